//go:build unix

package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// A state folder beside stores is the one's that locked it first, until somebody
// says otherwise; one inside a store is that store's, wherever it is moved.
func TestAStateFolderIsOneStores(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	for _, root := range []string{"a", "b"} {
		fill(t, filepath.Join(dir, root), map[string]string{"a/file": root}, nil)
	}
	lock := func(root, state string) error {
		w := openStore(t, filepath.Join(dir, root), Options{}, state)
		claimed := w.Claimed()
		unlock, err := w.Lock(context.Background(), keeping)
		if err == nil {
			err = unlock()
		}
		if errors.Is(err, backend.ErrOther) != errors.Is(claimed, backend.ErrOther) {
			t.Errorf("%s: Lock: %v, Check: %v", root, err, claimed)
		}
		return err
	}
	for range 2 {
		if err := lock("a", state); err != nil {
			t.Fatal(err)
		}
		if err := lock("b", state); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "a")) {
			t.Errorf("another store's: %v", err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(state, "*")); err != nil || len(names) != 2 {
		t.Errorf("%v, %v: not just the lock and the name", names, err)
	}
	if err := os.Remove(filepath.Join(state, "store")); err != nil {
		t.Fatal(err)
	}
	if err := lock("b", state); err != nil {
		t.Errorf("given to another store: %v", err)
	}
	if err := lock("a", state); !errors.Is(err, backend.ErrOther) {
		t.Errorf("given away: %v", err)
	}
	if err := os.WriteFile(filepath.Join(state, "store"), []byte(filepath.Join(dir, "a")+"\n"+filepath.Join(dir, "b")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lock("a", state), lock("b", state)); err != nil {
		t.Errorf("of a store that has had two names: %v", err)
	}
	if err := lock("b", filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Errorf("nobody's yet: %v", err)
	}
	if err := lock("a", filepath.Join(dir, "a/.regfsck")); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "b")) {
		t.Errorf("claimed by another: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Fatal(err)
	}
	if err := lock("a", filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Fatal(err)
	}
	if err := lock("b", filepath.Join(dir, "a/.regfsck")); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "a")) {
		t.Errorf("in another store: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := lock("moved", filepath.Join(dir, "moved/.regfsck")); err != nil {
		t.Errorf("moved with its store: %v", err)
	}
}

// All that stands in the state folder is the store's owner's, so that a run of
// root doesn't keep that one out.
func TestTheStateIsTheOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		return // who isn't root gives nothing away
	}
	for _, state := range []string{".regfsck", "../state"} {
		root := filepath.Join(t.TempDir(), "root")
		fill(t, root, map[string]string{"a/file": "x"}, nil)
		if err := os.Chown(root, 1234, 2345); err != nil {
			t.Fatal(err)
		}
		w := openStore(t, root, Options{}, filepath.Join(root, state))
		unlock, err := w.Lock(context.Background(), keeping)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := w.Directory(keeping)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(folder, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Give(f), f.Close(), removeOne(w, keeping, "a/file"), unlock()); err != nil {
			t.Fatal(err)
		}
		for key := range picture(t, w.state) {
			var st unix.Stat_t
			err := unix.Lstat(filepath.Join(w.state, key), &st)
			if kept := strings.Contains(key, "/kept/%/"); err != nil || !kept && (st.Uid != 1234 || st.Gid != 2345) {
				t.Errorf("%s: %d:%d, %v", key, st.Uid, st.Gid, err)
			}
		}
	}
}
