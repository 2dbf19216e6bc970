//go:build unix

package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/fixtures"
)

var keeping = backend.Run{ID: "run-1", Keep: true}

// picture takes a picture of a folder.
func picture(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unchanged checks that a folder is as it was.
func unchanged(t *testing.T, dir string, before fixtures.Picture) {
	t.Helper()
	if diff := before.Diff(picture(t, dir)); len(diff) > 0 {
		t.Errorf("changed: %v", diff)
	}
}

// removeOne removes a key and returns the error.
func removeOne(w *Store, run backend.Run, key string) error {
	return w.Remove(context.Background(), run, []string{key})[0].Err
}

// Neither opening nor asking nor being refused writes anything.
func TestWriterWritesNothing(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/file": "x"}, nil)
	before := picture(t, root)
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	ctx := context.Background()
	if err := w.CanKeep(ctx); err != nil {
		t.Error(err)
	}
	if n, err := w.Kept(ctx, keeping); n != 0 || err != nil {
		t.Errorf("Kept: %d, %v", n, err)
	}
	if n, err := w.Purge(ctx, keeping); n != 0 || err != nil {
		t.Errorf("Purge: %d, %v", n, err)
	}
	if err := w.Restore(ctx, keeping, []backend.Receipt{{Key: "a/file"}})[0]; err != nil {
		t.Error(err)
	}
	if err := removeOne(w, backend.Run{ID: "run-1"}, "a/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	unchanged(t, root, before)
}

// The state folder is the root's owner's and nobody else's, and no part of the
// store.
func TestState(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/file": "x"}, nil)
	if os.Geteuid() == 0 {
		if err := os.Chown(root, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	folder, err := w.Directory(keeping)
	if err != nil || folder != filepath.Join(w.state, "runs", "run-1") {
		t.Errorf("Directory: %s, %v", folder, err)
	}
	if err := removeOne(w, keeping, "a/file"); err != nil {
		t.Error(err)
	}
	var rootIs unix.Stat_t
	if err := unix.Stat(root, &rootIs); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{w.state, filepath.Dir(folder), folder, filepath.Join(folder, "kept"), filepath.Join(folder, "kept", "%")} {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Mode&0o7777 != 0o700 || st.Uid != rootIs.Uid || st.Gid != rootIs.Gid {
			t.Errorf("%s: %o %d:%d, %v; want 700 %d:%d", path, st.Mode, st.Uid, st.Gid, err, rootIs.Uid, rootIs.Gid)
		}
	}
	before := picture(t, root)
	for _, key := range []string{".regfsck", ".regfsck/", ".regfsck/runs/run-1/kept/%/a/file", ".regfsck/new"} {
		errs := []error{removeOne(w, keeping, key), w.Put(context.Background(), keeping, key, nil, 0).Err}
		for _, err := range append(errs, w.Restore(context.Background(), keeping, []backend.Receipt{{Key: key}})...) {
			if !errors.Is(err, errState) && key != ".regfsck/" || err == nil {
				t.Errorf("%q: %v, want %v", key, err, errState)
			}
		}
	}
	unchanged(t, root, before)
	if err := w.Put(context.Background(), keeping, ".regfsck2", nil, 0).Err; err != nil {
		t.Error(err)
	}
	for _, state := range []string{root, filepath.Join(root, "missing", "state")} {
		if w, err := OpenStore(root, Options{}, state); err == nil || !strings.Contains(err.Error(), state) {
			t.Errorf("state %s: %v, %v", state, w, err)
		}
	}
	if _, err := OpenStore(filepath.Join(root, "missing"), Options{}, root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing root: %v", err)
	}
}

// What a crash leaves between a file's two names is no obstacle, for undoing or
// for doing it again.
func TestCrashInPut(t *testing.T) {
	for name, next := range map[string]func(w *Store) error{
		"undo":  func(*Store) error { return nil },
		"again": func(w *Store) error { return w.Put(context.Background(), keeping, "a/link", []byte("new"), 0).Err },
		"fails": func(w *Store) error {
			w.link = func(dir, string, dir, string) error { return unix.EIO }
			defer func() { w.link = linkNew }()
			if err := w.Put(context.Background(), keeping, "a/link", []byte("new"), 0).Err; !errors.Is(err, unix.EIO) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			fill(t, root, map[string]string{"a/link": "old"}, nil)
			w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
			at := filepath.Join(root, "a/link")
			before := picture(t, filepath.Dir(at))
			kept := filepath.Join(root, ".regfsck/runs/run-1/kept/a")
			mkdir(t, kept, "")
			if err := os.Link(at, filepath.Join(kept, "link")); err != nil {
				t.Fatal(err)
			}
			if err := next(w); err != nil {
				t.Fatal(err)
			}
			if name == "again" {
				mustRead(t, w.Reader, "a/link", "new")
				if err := w.Restore(context.Background(), keeping, []backend.Receipt{{Key: "a/link"}})[0]; !errors.Is(err, fs.ErrExist) {
					t.Errorf("Restore over what was written: %v", err)
				}
				if err := os.Remove(at); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := w.Restore(context.Background(), keeping, []backend.Receipt{{Key: "a/link"}})[0]; err != nil {
					t.Error(err)
				}
			}
			mustRead(t, w.Reader, "a/link", "old")
			if name != "again" {
				unchanged(t, filepath.Dir(at), before)
			}
			if left := picture(t, filepath.Dir(filepath.Dir(kept))); len(left) != 3 {
				t.Errorf("left in the state: %v", left)
			}
		})
	}
}
