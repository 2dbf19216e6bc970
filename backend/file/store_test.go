//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/fixtures/storetest"
)

var _ backend.Store = (*Store)(nil)

// writing are the variants in which a Store is tested: the path of its state directory,
// relative to the root, and the system calls that it lacks.
var writing = map[string]struct {
	state  string
	change func(*Store)
}{
	"inside":     {".regfsck", func(*Store) {}},
	"outside":    {"../state", func(*Store) {}},
	"one worker": {"../state", func(w *Store) { w.workers = 1 }},
	"without rename": {".regfsck", func(w *Store) {
		w.move = func(from dir, name string, to dir, as string) error { return moveByLink(linkNew, from, name, to, as) }
	}},
	"without links": {".regfsck", func(w *Store) {
		w.link = func(dir, string, dir, string) error { return syscall.EPERM }
		w.move = func(from dir, name string, to dir, as string) error { return moveByLink(w.link, from, name, to, as) }
	}},
}

func TestWriterConforms(t *testing.T) {
	for name, way := range writing {
		t.Run(name, func(t *testing.T) {
			k := writerDriver(func(t *testing.T, root string) *Store {
				w := openStore(t, root, Options{}, filepath.Join(root, way.state))
				way.change(w)
				return w
			})
			k.Gap = name == "without links"
			storetest.TestStore(t, k)
		})
	}
}

func writerDriver(open func(t *testing.T, root string) *Store) storetest.Store {
	roots := map[backend.Store]string{}
	again := func(t *testing.T, root string) backend.Store {
		w := open(t, root)
		roots[w] = root
		return w
	}
	return storetest.Store{
		Fill: func(t *testing.T, files map[string]string, dirs []string) backend.Store {
			root := filepath.Join(t.TempDir(), "root")
			fill(t, root, files, dirs)
			disguise(t, root, files, dirs)
			return again(t, root)
		},
		Reopen:     func(t *testing.T, s backend.Store) backend.Store { return again(t, roots[s]) },
		Attributes: func(t *testing.T, s backend.Store, key string) (int64, string) { return look(t, roots[s], key) },
		Steal: func(t *testing.T, s backend.Store, _ backend.Run) {
			if err := os.Remove(filepath.Join(s.(*Store).state, lockName)); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func openStore(t *testing.T, root string, o Options, state string) *Store {
	t.Helper()
	w, err := OpenStore(root, o, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// look returns the time of a file or directory, and its mode, owner and group.
func look(t *testing.T, root, key string) (int64, string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(root, key), &st); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return st.Mtim.Nano(), fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
}

// disguise sets unusual times and modes of the files and, if the test may, different
// owners and groups.
func disguise(t *testing.T, root string, files map[string]string, dirs []string) {
	t.Helper()
	paths := map[string]bool{}
	for key := range files {
		for ; key != "." && key != "/"; key = filepath.Dir(key) {
			paths[key] = true
		}
	}
	for _, key := range dirs {
		paths[key] = true
	}
	n := 0
	for key := range paths {
		n++
		path := filepath.Join(root, key)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		mode := []os.FileMode{0o600, 0o640, 0o644, 0o444, 0o660}[n%5]
		if info.IsDir() {
			mode = []os.FileMode{0o700, 0o750, 0o755, 0o770 | os.ModeSetgid}[n%4]
		}
		if os.Geteuid() == 0 {
			if err := os.Lchown(path, 1000+n%7, 2000+n%5); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for key := range paths {
		at := syscall.NsecToTimespec(1_500_000_000_123_456_789 + int64(len(key))*1_000_000_007)
		if err := syscall.UtimesNano(filepath.Join(root, key), []syscall.Timespec{at, at}); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing is changed through a symbolic link, and no link is removed.
func TestWriterSymlinks(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	fill(t, outside, map[string]string{"data": "o", "sub/data": "o"}, []string{"empty"})
	fill(t, root, map[string]string{"dir/data": "x", "dir/beside": "y"}, nil)
	for _, key := range []string{"away", "dir/away"} {
		symlink(t, root, outside, key)
	}
	symlink(t, root, filepath.Join(outside, "data"), "file")
	w := openStore(t, root, Options{}, filepath.Join(t.TempDir(), "state"))
	inside, out := picture(t, root), picture(t, outside)
	for _, run := range []backend.Run{keeping, {ID: "run-2"}} {
		for _, key := range []string{"away/data", "away/sub/data", "dir/away/data", "away/empty/", "away/", "dir/away/", "file", "away"} {
			if err := removeOne(w, run, key); !errors.Is(err, backend.ErrSymlink) {
				t.Errorf("Remove(%q): %v, want ErrSymlink", key, err)
			}
		}
		for _, key := range []string{"away/data", "away/new", "away/new/data", "file", "away"} {
			if err := w.Put(context.Background(), run, key, []byte("bad"), 0).Err; !errors.Is(err, backend.ErrSymlink) {
				t.Errorf("Put(%q): %v, want ErrSymlink", key, err)
			}
		}
	}
	unchanged(t, root, inside)
	unchanged(t, outside, out)

	if err := removeOne(w, keeping, "dir/data"); err != nil {
		t.Fatal(err)
	}
	if err := removeOne(w, keeping, "dir/beside"); err != nil {
		t.Fatal(err)
	}
}

// A file isn't restored through a symbolic link that has replaced its directory.
func TestRestoreSymlinks(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	fill(t, root, map[string]string{"a/b/data": "x", "file": "f", "c/one": "1", "c/two": "2"}, nil)
	w := openStore(t, root, Options{}, filepath.Join(t.TempDir(), "state"))
	var receipts []backend.Receipt
	for _, key := range []string{"a/b/data", "a/", "c/one", "c/two"} {
		receipts = append(receipts, w.Remove(context.Background(), keeping, []string{key})...)
	}
	symlink(t, root, outside, "a")
	symlink(t, root, outside, "c")
	inside, out := picture(t, root), picture(t, outside)
	for i, err := range w.Restore(context.Background(), keeping, receipts) {
		if receipts[i].Err != nil || err == nil {
			t.Errorf("%+v restored: %v", receipts[i], err)
		}
	}
	unchanged(t, root, inside)
	unchanged(t, outside, out)
}

// The state directory isn't entered through a symbolic link, since the store's owner could
// have made it.
func TestStateSymlinks(t *testing.T) {
	for _, at := range []string{".regfsck", ".regfsck/runs", ".regfsck/runs/run-1", ".regfsck/runs/run-1/kept", ".regfsck/runs/run-1/kept/dir", ".regfsck/lock"} {
		root, outside := t.TempDir(), t.TempDir()
		fill(t, root, map[string]string{"dir/data": "x", "dir/beside": "y"}, nil)
		mkdir(t, root, filepath.Dir(at))
		to := outside
		if at == ".regfsck/lock" {
			to = filepath.Join(outside, "made")
		}
		symlink(t, root, to, at)
		w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
		store, out := picture(t, filepath.Join(root, "dir")), picture(t, outside)
		var errs []error
		if at == ".regfsck/lock" {
			_, err := w.Lock(context.Background(), keeping)
			errs = append(errs, err)
		} else {
			errs = append(errs, removeOne(w, keeping, "dir/data"), w.Put(context.Background(), keeping, "dir/data", []byte("new"), 0).Err)
		}
		for _, err := range errs {
			if err == nil {
				t.Errorf("%s is a link, and something was done", at)
			}
		}
		unchanged(t, filepath.Join(root, "dir"), store)
		unchanged(t, outside, out)
	}
}

// What is kept in a directory that can't be looked at isn't lost.
func TestRestoreFromWhatCannotBeLookedAt(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/data": "x", "dir/beside": "y"}, nil)
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	if err := removeOne(w, keeping, "dir/data"); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(root, ".regfsck/runs/run-1/kept/dir")
	if err := errors.Join(os.Rename(kept, kept+"2"), os.Symlink("dir2", kept)); err != nil {
		t.Fatal(err)
	}
	if err := w.Restore(context.Background(), keeping, []backend.Receipt{{Key: "dir/data"}})[0]; !errors.Is(err, errLink) {
		t.Errorf("restored from a link: %v", err)
	}
	if err := errors.Join(os.Remove(kept), os.Rename(kept+"2", kept)); err != nil {
		t.Fatal(err)
	}
	if err := w.Restore(context.Background(), keeping, []backend.Receipt{{Key: "dir/data"}})[0]; err != nil {
		t.Error(err)
	}
	mustRead(t, w.Reader, "dir/data", "x")
}

// A followed link belongs to the store, and isn't removed.
func TestWriterFollows(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	fill(t, outside, map[string]string{"data": "o", "sub/data": "o"}, nil)
	fill(t, root, map[string]string{"file": "x"}, nil)
	symlink(t, root, outside, "away")
	symlink(t, root, filepath.Join(root, "file"), "alias")
	w := openStore(t, root, Options{Follow: []string{"away", "alias"}}, filepath.Join(root, ".regfsck"))
	for _, key := range []string{"away", "away/", "alias"} {
		if err := removeOne(w, keeping, key); !errors.Is(err, backend.ErrFollowed) {
			t.Errorf("Remove(%q): %v, want %v", key, err, backend.ErrFollowed)
		}
	}
	if err := w.Put(context.Background(), keeping, "alias", nil, 0).Err; !errors.Is(err, backend.ErrFollowed) {
		t.Errorf("Put: %v, want %v", err, backend.ErrFollowed)
	}
	before := picture(t, outside)
	receipts := w.Remove(context.Background(), keeping, []string{"away/sub/data", "away/data"})
	receipts = append(receipts, w.Put(context.Background(), keeping, "away/new", []byte("n"), 0))
	for _, r := range receipts {
		if r.Err != nil {
			t.Errorf("%+v", r)
		}
	}
	if got := picture(t, outside); len(got) != 2 || got["new"].Size != 1 {
		t.Errorf("left: %v", got)
	}
	if err := removeOne(w, backend.Run{ID: "run-2"}, "away/new"); err != nil {
		t.Error(err)
	}
	if got := picture(t, outside); len(got) != 1 {
		t.Errorf("the followed directory was removed, or not all of its content was: %v", got)
	}
	for _, err := range w.Restore(context.Background(), keeping, receipts[:2]) {
		if err != nil {
			t.Error(err)
		}
	}
	after := picture(t, outside)
	delete(before, ".")
	delete(after, ".")
	if diff := before.Diff(after); len(diff) > 0 {
		t.Errorf("changed: %v", diff)
	}
}
