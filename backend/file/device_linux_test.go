//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// mounted mounts a small filesystem at a path. It reports whether the kernel allows that.
func mounted(t *testing.T, at, options string) bool {
	t.Helper()
	err := unix.Mount("regfsck-test", at, "tmpfs", 0, options)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// A state directory on another filesystem can keep nothing. The error comes before any
// change. Runs that don't keep anything work.
func TestOtherDevice(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	if !mounted(t, other, "size=1m") {
		return
	}
	fill(t, root, map[string]string{"a/data": "x", "b/one": "1", "b/two": "2"}, []string{"empty"})
	for _, state := range []string{other, filepath.Join(other, "state")} {
		w := openStore(t, root, Options{}, state)
		if err := w.CanUndo(context.Background()); !errors.Is(err, errDevice) {
			t.Errorf("CanUndo with state %s: %v, want %v", state, err, errDevice)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(other, "state"))
	before := picture(t, root)
	for _, key := range []string{"a/data", "b/one", "empty/"} {
		if err := removeOne(w, keeping, key); !errors.Is(err, errDevice) {
			t.Errorf("Remove(%q): %v, want %v", key, err, errDevice)
		}
	}
	if err := w.Put(context.Background(), keeping, "b/one", []byte("new"), 0).Err; !errors.Is(err, errDevice) {
		t.Errorf("Put: %v, want %v", err, errDevice)
	}
	unchanged(t, root, before)
	for _, r := range []backend.Receipt{
		w.Put(context.Background(), backend.Run{ID: "free"}, "b/one", []byte("new"), 0),
		w.Put(context.Background(), keeping, "c/"+strings.Repeat("n", 255), []byte("new"), 0),
		w.Remove(context.Background(), backend.Run{ID: "free"}, []string{"a/data"})[0],
	} {
		if r.Err != nil {
			t.Errorf("%+v", r)
		}
	}
	listAll(t, w.Reader, "").mustBe(t, "b/one b/two c/"+strings.Repeat("n", 255)+" empty/", nil)
}

// A mount in the store is changed only if it is followed. Its files can't be kept on
// another filesystem, and remain.
func TestWriterMounts(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/mounted/under": "u", "file": "x"}, nil)
	at := filepath.Join(root, "dir/mounted")
	if !mounted(t, at, "size=1m") {
		return
	}
	write(t, root, "dir/mounted/data", "inside")
	before := picture(t, root)
	state := filepath.Join(t.TempDir(), "state")
	for _, run := range []backend.Run{keeping, {ID: "free"}} {
		w := openStore(t, root, Options{}, state)
		for _, key := range []string{"dir/mounted/data", "dir/mounted/x/data"} {
			errs := []error{removeOne(w, run, key), w.Put(context.Background(), run, key, nil, 0).Err}
			for _, err := range append(errs, w.Restore(context.Background(), run, []backend.Receipt{{Key: key}})...) {
				if !errors.Is(err, backend.ErrMount) {
					t.Errorf("%q: %v, want ErrMount", key, err)
				}
			}
		}
		if err := removeOne(w, run, "dir/mounted/"); err == nil {
			t.Error("a mount was removed")
		}
	}
	unchanged(t, root, before)
	w := openStore(t, root, Options{Follow: []string{at}}, state)
	if err := removeOne(w, keeping, "dir/mounted/data"); !errors.Is(err, errDevice) {
		t.Errorf("Remove of what is followed: %v, want %v", err, errDevice)
	}
	unchanged(t, root, before)
	if err := removeOne(w, backend.Run{ID: "free"}, "dir/mounted/data"); err != nil {
		t.Error(err)
	}
	if got := picture(t, at); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

// A full disk is an error like any other: existing files don't change, no temporary file
// remains, and removing works.
func TestFullDisk(t *testing.T) {
	for _, state := range []string{".regfsck", "../elsewhere"} {
		t.Run(state, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			mkdir(t, root, "")
			if !mounted(t, root, "size=256k") {
				return
			}
			fill(t, root, map[string]string{"a/link": "old", "a/beside": "b", "big/data": strings.Repeat("x", 1<<16)}, nil)
			w := openStore(t, root, Options{}, filepath.Join(root, state))
			run := backend.Run{ID: "run-1", Keep: state == ".regfsck"}
			runDir(t, w, run)
			full(t, filepath.Join(root, "ballast"))
			before := picture(t, root)
			for _, key := range []string{"a/link", "a/new", "b/c/d/link"} {
				if r := w.Put(context.Background(), run, key, []byte(strings.Repeat("n", 1<<13)), 5); !errors.Is(r.Err, unix.ENOSPC) || r.Undo != "" {
					t.Errorf("Put(%q): %+v, want ENOSPC", key, r)
				}
			}
			after := picture(t, root)
			for _, key := range []string{".", "a", ".regfsck/runs/run-1"} { // the directory's time changed
				delete(before, key)
				delete(after, key)
			}
			if diff := before.Diff(after); len(diff) > 0 {
				t.Errorf("changed: %v", diff)
			}
			r := w.Remove(context.Background(), run, []string{"big/data"})[0]
			if r.Err != nil || run.Keep == (r.Freed > 0) {
				t.Errorf("Remove on a full disk: %+v", r)
			}
			if n, err := w.Purge(context.Background(), run, nil); err != nil || run.Keep == (n == 0) {
				t.Errorf("Purge on a full disk: %d, %v", n, err)
			}
			if err := w.Put(context.Background(), run, "a/link", []byte(strings.Repeat("n", 1<<13)), 5).Err; err != nil {
				t.Error(err)
			}
		})
	}
}

// full fills a filesystem with one file.
func full(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if err := errors.Join(f.Close()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// No descriptor remains open, with and without errors.
func TestWriterDescriptors(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/data": "x", "b/one": "1", "b/two": "2", "file": "f"}, []string{"empty", "full/empty"})
	symlink(t, root, root, "away")
	before := descriptors(t)
	w, err := OpenStore(root, Options{Follow: []string{"b"}}, filepath.Join(root, ".regfsck"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for round := range 3 {
		keys := []string{"a/data", "b/one", "missing", "away/x", "a", "empty/", "full/", "missing/x", "file/x", "b/"}
		receipts := w.Remove(ctx, keeping, keys)
		for _, key := range []string{"b/two", "new/x/y", "away/z", "file", "file/x", "full"} {
			receipts = append(receipts, w.Put(ctx, keeping, key, []byte(fmt.Sprint(round)), 0))
		}
		w.Restore(ctx, keeping, receipts)
		unlock, err := w.Lock(ctx, keeping)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Lock(ctx, keeping); !errors.Is(err, backend.ErrLocked) {
			t.Error(err)
		}
		_, kept := w.Kept(ctx, keeping, nil)
		_, purged := w.Purge(ctx, keeping, nil)
		if err := errors.Join(unlock(), kept, purged, w.CanUndo(ctx), w.Sync(ctx)); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if w, err := OpenStore(root, Options{Follow: []string{"gone"}}, filepath.Join(root, ".regfsck")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", w, err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("open before: %s; after: %s", before, after)
	}
}

// A store on a full disk can be locked, so that it can be purged.
func TestAFullDiskIsLocked(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	mkdir(t, root, "")
	if !mounted(t, root, "size=256k") {
		return
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	for _, before := range []func(){func() {}, func() { full(t, filepath.Join(root, "ballast")) }} {
		before()
		unlock, err := w.Lock(context.Background(), keeping)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Lock(context.Background(), keeping); !errors.Is(err, backend.ErrLocked) {
			t.Errorf("a second lock: %v", err)
		}
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}
}

// A rename can't move files between two mounts of one filesystem, such as two volumes of a
// container. The error comes before any change.
func TestAnotherMountKeepsNothing(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, dir, "root")
	if !mounted(t, filepath.Join(dir, "root"), "size=1m") {
		return
	}
	fill(t, filepath.Join(dir, "root"), map[string]string{"store/a/data": "x", "store/b/link": "old", "beside/file": ""}, nil)
	mkdir(t, dir, "again")
	again := filepath.Join(dir, "again")
	if err := unix.Mount(filepath.Join(dir, "root/store"), again, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(again, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	w := openStore(t, again, Options{}, filepath.Join(dir, "root/beside/state"))
	before := picture(t, again)
	if err := w.CanUndo(context.Background()); !errors.Is(err, errDevice) {
		t.Errorf("CanUndo: %v, want %v", err, errDevice)
	}
	unchanged(t, again, before)
	free := backend.Run{ID: "free"}
	for _, r := range []backend.Receipt{w.Put(context.Background(), free, "b/link", []byte("new"), 0), w.Put(context.Background(), free, "c/link", []byte("new"), 0)} {
		if r.Err != nil {
			t.Errorf("without keeping: %+v", r)
		}
	}
	if err := openStore(t, again, Options{}, filepath.Join(again, ".regfsck")).CanUndo(context.Background()); err != nil {
		t.Errorf("in the same mount: %v", err)
	}
}

// Followed files on another filesystem can't be kept either. The error comes before any
// link to them is removed.
func TestFollowedElsewhereKeepsNothing(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	if !mounted(t, other, "size=1m") {
		return
	}
	fill(t, root, map[string]string{"a/link": "x"}, nil)
	fill(t, other, map[string]string{"blobs/data": "x", "file": "y"}, nil)
	for name, to := range map[string]string{"blobs": "blobs", "file": "file"} {
		if err := os.Symlink(filepath.Join(other, to), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(root, ".regfsck")
	w := openStore(t, root, Options{Follow: []string{"blobs"}}, state)
	if err := w.CanUndo(context.Background()); !errors.Is(err, errDevice) {
		t.Errorf("CanUndo: %v, want %v", err, errDevice)
	}
	for _, follow := range [][]string{nil, {"file"}} {
		if err := openStore(t, root, Options{Follow: follow}, state).CanUndo(context.Background()); err != nil {
			t.Errorf("following %q: %v", follow, err)
		}
	}
}
