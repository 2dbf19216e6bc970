//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/fixtures"
)

var keeping = backend.Run{ID: "run-1", Keep: true}

// picture returns the picture of a directory.
func picture(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unchanged checks that a directory hasn't changed.
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

// Nothing is written by opening, by queries, or by refused changes.
func TestWriterWritesNothing(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/file": "x"}, nil)
	before := picture(t, root)
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	ctx := context.Background()
	if err := w.CanUndo(ctx); err != nil {
		t.Error(err)
	}
	if n, err := w.Kept(ctx, keeping, nil); n != 0 || err != nil {
		t.Errorf("Kept: %d, %v", n, err)
	}
	if n, err := w.Purge(ctx, keeping, nil); n != 0 || err != nil {
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

// The state directory belongs to the root's owner, isn't readable by others, and is no
// part of the store.
func TestState(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/file": "x"}, nil)
	if os.Geteuid() == 0 {
		if err := os.Chown(root, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	dirKey := runDir(t, w, keeping)
	if err := removeOne(w, keeping, "a/file"); err != nil {
		t.Error(err)
	}
	var rootIs unix.Stat_t
	if err := unix.Stat(root, &rootIs); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{w.state, filepath.Dir(dirKey), dirKey, filepath.Join(dirKey, "kept"), filepath.Join(dirKey, "kept", "%")} {
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

// TestTimesOfWhatIsRestored: files have their times back, and so have directories that were removed
// empty or with their only file. One that was emptied first has a new time.
func TestTimesOfWhatIsRestored(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/b/one/data": "x", "a/b/many/1": "x", "a/b/many/2": "x"}, []string{"a/b/none"})
	then := fixtures.Epoch
	stay := []string{"a/b/none", "a/b/one", "a/b/one/data", "a/b/many/1", "a/b/many/2"}
	before := picture(t, root)
	for key := range before {
		if err := os.Chtimes(filepath.Join(root, key), then, then); err != nil {
			t.Fatal(err)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	keys := []string{"a/b/one/data", "a/b/many/1", "a/b/many/2", "a/b/none/", "a/b/"}
	runDir(t, w, keeping)
	var receipts []backend.Receipt
	for _, key := range keys {
		receipt := w.Remove(context.Background(), keeping, []string{key})[0]
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
		receipts = append(receipts, receipt)
	}
	for _, err := range w.Restore(context.Background(), keeping, receipts) {
		if err != nil {
			t.Error(err)
		}
	}
	after := picture(t, root)
	for key := range before {
		if is := after[key].Modified == then.UnixNano(); is != slices.Contains(stay, key) {
			t.Errorf("%s has its time: %v", key, is)
		}
	}
}

// runDir makes the directory of a run, as a journal does, and returns its path.
func runDir(t *testing.T, w *Store, run backend.Run) string {
	t.Helper()
	d, err := statedir.Make(w.state, w.SetOwner, "runs", run.ID)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	return filepath.Join(w.state, "runs", run.ID)
}

// After a crash while a file has two names, the change can be undone and repeated.
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

// No two keys are kept at one path, and no key is kept in the directory of another: neither
// with keys that are cut, nor with keys that are alike after escaping. A path is of a key only
// if the key is kept there.
func TestPieces(t *testing.T) {
	var dirs []string
	for n := pieceLength - 4; n <= pieceLength+4; n++ {
		dirs = append(dirs, strings.Repeat("x", n), strings.Repeat("x", n)+"/x", strings.Repeat("日", n/3)+strings.Repeat("x", n%3))
	}
	dirs = append(dirs, "", "a", "a/b", "a%2Fb", "a%b", "%", "%2F", "%25", "a/%", "a%/b", strings.Repeat("%", 200), strings.Repeat("x/", 300)+"x")
	used := map[string]string{}
	for _, dirKey := range dirs {
		place := pieces(dirKey)
		if key, ok := keyOf(place); !ok || key != dirKey {
			t.Errorf("%q is the place of %q", place, key)
		}
		for i, name := range place {
			if len(name) > 255 || name == "" || strings.Contains(name, "/") {
				t.Errorf("%q is kept in %q", dirKey, place)
			}
			path := strings.Join(place[:i+1], "/")
			if what, ok := used[path]; ok && what != "way" || ok && i == len(place)-1 {
				t.Errorf("%q is kept in %q, which is %s", dirKey, path, what)
			}
			used[path] = "way"
		}
		used[strings.Join(place, "/")] = "the place of " + dirKey
		for _, name := range []string{"x", "xx", "a", "%", "%2F", "2F", "%+", "F", "F" + strings.Repeat("x", 9)} {
			path := strings.Join(place, "/") + "/" + name
			if what, ok := used[path]; ok {
				t.Errorf("%q of %q is kept in %q, which is %s", name, dirKey, path, what)
			}
			used[path] = fmt.Sprintf("%q of %q", name, dirKey)
		}
	}
	for _, place := range [][]string{{"a%b"}, {"%2f"}, {"%41"}, {"a" + cutMark, "b"}, {"%", "a"}, {strings.Repeat("x", pieceLength+1)}} {
		if key, ok := keyOf(place); ok {
			t.Errorf("%q is the place of %q", place, key)
		}
	}
}

// A Put that fails at its end leaves the existing file unchanged, with its one name.
func TestPutFailsLate(t *testing.T) {
	for name, link := range map[string]renaming{"linked": linkNew, "renamed": func(dir, string, dir, string) error { return unix.EPERM }} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			fill(t, root, map[string]string{"a/link": "old"}, nil)
			w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
			state := runDir(t, w, keeping)
			w.link = func(from dir, name string, to dir, as string) error {
				written, err := filepath.Glob(filepath.Join(state, "new-*"))
				if err != nil || len(written) != 1 {
					t.Errorf("written: %v, %v", written, err)
				}
				for _, path := range written {
					if err := os.Remove(path); err != nil {
						t.Error(err)
					}
				}
				return link(from, name, to, as)
			}
			before := onlyFiles(picture(t, root))
			r := w.Put(context.Background(), keeping, "a/link", []byte("new"), 0)
			if !errors.Is(r.Err, fs.ErrNotExist) || r.Undo != "" {
				t.Errorf("Put: %+v", r)
			}
			if diff := before.Diff(onlyFiles(picture(t, root))); len(diff) > 0 {
				t.Errorf("changed: %v", diff)
			}
			if left, err := filepath.Glob(filepath.Join(state, "kept/*/*")); err != nil || len(left) > 0 {
				t.Errorf("kept: %v, %v", left, err)
			}
		})
	}
}

// The second name of a file that is replaced is durable before its first name is another
// file's, and a restored name before it is reported. A directory that can't be synced is an
// error; the file is replaced only if its second name is durable.
func TestNamesAreSynced(t *testing.T) {
	const kept = ".regfsck/runs/run-1/kept"
	restore := func(key string) func(w *Store) error {
		return func(w *Store) error {
			return w.Restore(context.Background(), keeping, []backend.Receipt{{Key: key}})[0]
		}
	}
	for _, c := range []struct {
		remove string
		do     func(w *Store) error
		want   []string
	}{
		{"", func(w *Store) error { return w.Put(context.Background(), keeping, "a/link", []byte("new"), 0).Err }, []string{kept + "/a", kept, "a"}},
		{"a/link", restore("a/link"), []string{"a"}},
		{"b/link", restore("b/link"), []string{"."}}, // with its directory
	} {
		for fails := range len(c.want) + 1 {
			root := t.TempDir()
			fill(t, root, map[string]string{"a/link": "old", "a/other": "", "b/link": "old"}, nil)
			w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
			if c.remove != "" {
				if err := removeOne(w, keeping, c.remove); err != nil {
					t.Fatal(err)
				}
			}
			runDir(t, w, keeping)
			var synced []string
			w.syncDir = func(d dir) error {
				synced = append(synced, pathOf(t, root, d))
				if len(synced) == fails+1 {
					return unix.EIO
				}
				return d.sync()
			}
			err, complete := c.do(w), fails == len(c.want)
			if complete && err != nil || !complete && !errors.Is(err, unix.EIO) {
				t.Errorf("%v, sync %d failed: %v", c.want, fails, err)
			}
			if complete && !slices.Equal(synced, c.want) {
				t.Errorf("synced %q, want %q", synced, c.want)
			}
			if c.remove == "" && fails < 2 {
				mustRead(t, w.Reader, "a/link", "old")
			}
		}
	}
}

// pathOf returns the path of an open directory below root.
func pathOf(t *testing.T, root string, d dir) (found string) {
	t.Helper()
	is, err := d.self()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if info, _ := os.Lstat(path); info != nil && info.Sys().(*syscall.Stat_t).Ino == is.Ino {
			found, err = filepath.Rel(root, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A file with another name frees no bytes. After a purge only the run's directory remains.
func TestFreed(t *testing.T) {
	root := t.TempDir()
	body := strings.Repeat("x", 1<<16)
	fill(t, root, map[string]string{"a/data": body, "b/data": body, "c/link": body}, nil)
	for _, key := range []string{"a/data", "b/data", "c/link"} {
		if err := os.Link(filepath.Join(root, key), filepath.Join(root, strings.ReplaceAll(key, "/", "-"))); err != nil {
			t.Fatal(err)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	for _, r := range []backend.Receipt{
		w.Remove(context.Background(), backend.Run{ID: "free"}, []string{"a/data"})[0],
		w.Put(context.Background(), backend.Run{ID: "free"}, "c/link", nil, 0),
		w.Remove(context.Background(), keeping, []string{"b/data"})[0],
	} {
		if r.Err != nil || r.Freed != 0 {
			t.Errorf("%+v", r)
		}
	}
	for _, tally := range []func(context.Context, backend.Run, backend.Receipts) (int64, error){w.Kept, w.Purge} {
		if n, err := tally(context.Background(), keeping, nil); n != 0 || err != nil {
			t.Errorf("%d bytes kept, %v", n, err)
		}
	}
	if left := picture(t, filepath.Join(root, ".regfsck/runs/run-1")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// Temporary files of an interrupted write in any run's directory are removed when the store is
// locked again, and nothing else is.
func TestTemporaryFilesAreRemoved(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"a/data": "old"}, nil)
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	if r := w.Remove(context.Background(), keeping, []string{"a/data"})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	state := runDir(t, w, keeping)
	before := onlyFiles(picture(t, state))
	if err := os.WriteFile(filepath.Join(state, tempPrefix+"0123456789abcdef"), []byte("half of a blo"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := w.Lock(context.Background(), backend.Run{ID: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := before.Diff(onlyFiles(picture(t, state))); len(diff) > 0 {
		t.Errorf("left, or gone: %v", diff)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
