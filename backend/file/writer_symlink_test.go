//go:build unix

package file

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"regfsck/backend"
)

// Nothing is changed through a symbolic link, nor is one taken away.
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

// What is put back goes where it was, not where a link leads that has taken its
// folder's place.
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

// The state folder is entered through no link that whoever owns the store could
// have put there.
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

// A link that is followed belongs to the store, but stays.
func TestWriterFollows(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	fill(t, outside, map[string]string{"data": "o", "sub/data": "o"}, nil)
	fill(t, root, map[string]string{"file": "x"}, nil)
	symlink(t, root, outside, "away")
	symlink(t, root, filepath.Join(root, "file"), "alias")
	w := openStore(t, root, Options{Follow: []string{"away", "alias"}}, filepath.Join(root, ".regfsck"))
	for _, key := range []string{"away", "away/", "alias"} {
		if err := removeOne(w, keeping, key); !errors.Is(err, errStands) {
			t.Errorf("Remove(%q): %v, want %v", key, err, errStands)
		}
	}
	if err := w.Put(context.Background(), keeping, "alias", nil, 0).Err; !errors.Is(err, errStands) {
		t.Errorf("Put: %v, want %v", err, errStands)
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
		t.Errorf("the followed folder went, or not all that was in it: %v", got)
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
