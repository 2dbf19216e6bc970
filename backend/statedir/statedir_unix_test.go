//go:build unix

package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestNoNameIsFollowed: no symbolic link at or below a state directory is followed, and no
// file with a second name is used.
func TestNoNameIsFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	state := filepath.Join(dir, "state")
	d, err := Make(state, nil, "runs")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"file": filepath.Join(outside, "file"), "dir": outside, "nowhere": filepath.Join(outside, "new")} {
		if err := os.Symlink(to, filepath.Join(state, "runs", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(state, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"open the directory": func() error { _, err := Open(filepath.Join(dir, "link")); return err },
		"make the directory": func() error { _, err := Make(filepath.Join(dir, "link"), nil); return err },
		"open below":         func() error { _, err := OpenBelow(state, "runs", "dir"); return err },
		"make below":         func() error { _, err := Make(state, nil, "runs", "dir"); return err },
		"read":               func() error { _, err := d.Read("file"); return err },
		"text":               func() error { _, err := d.Text("file", 10); return err },
		"edit":               func() error { _, err := d.Edit("file"); return err },
		"edit, to make":      func() error { _, err := d.Edit("nowhere"); return err },
	} {
		if err := do(); !errors.Is(err, errLink) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.Write("file", []byte("mine"), nil); err != nil {
		t.Errorf("removing a link must keep its target: %v", err)
	}
	if err := d.Remove("nowhere"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{filepath.Join(outside, "file"): "root's", filepath.Join(state, "runs", "file"): "mine"} {
		if is, err := os.ReadFile(path); err != nil || string(is) != want {
			t.Errorf("%s: %q, %v", path, is, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestAnEditChangesOneName: a file with two names is edited as a copy, with its owner and mode; one
// that is locked by either name isn't edited.
func TestAnEditChangesOneName(t *testing.T) {
	d, err := Make(filepath.Join(t.TempDir(), "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	mine, other := filepath.Join(d.Path(), "mine"), filepath.Join(d.Path(), "other")
	if err := errors.Join(os.WriteFile(mine, []byte("text"), 0o640), os.Link(mine, other)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chown(d.Path(), 1234, 2345), os.Chown(mine, 1234, 2345)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"mine", "other"} {
		was, err := os.Lstat(filepath.Join(d.Path(), name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.Edit(name)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := d.Edit(name); !errors.Is(err, ErrHeld) {
			t.Errorf("edited twice at once: %v, %v", g, err)
		}
		if _, err := f.WriteAt([]byte(name), 0); err != nil {
			t.Error(err)
		}
		is, err := f.Stat()
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		before, after := was.Sys().(*syscall.Stat_t), is.Sys().(*syscall.Stat_t)
		if is.Mode() != was.Mode() || after.Uid != before.Uid || after.Gid != before.Gid || os.SameFile(is, was) != (name == "other") {
			t.Errorf("%s was %+v, is %+v", name, before, after)
		}
		if all, err := os.ReadFile(other); err != nil || string(all) != map[string]string{"mine": "text", "other": "other"}[name] {
			t.Errorf("after the edit of %s the other is %q, %v", name, all, err)
		}
	}
	if all, err := os.ReadFile(mine); err != nil || string(all) != "mine" {
		t.Errorf("%q, %v", all, err)
	}
	if entries, err := d.Entries(); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestPrivate: root uses no directory in which users may write who may not write in the store.
func TestPrivate(t *testing.T) {
	if os.Geteuid() != 0 {
		d, err := Make(filepath.Join(t.TempDir(), "state"), nil)
		if err == nil {
			err = errors.Join(os.Chmod(d.Path(), 0o777), d.Private(""))
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
	for _, c := range []struct {
		state, store fs.FileMode
		user, owner  int
		ok, bucket   bool // whether it is allowed for a store on this machine, and for a bucket
	}{
		{0o700, 0o755, 0, 1000, true, true},
		{0o755, 0o755, 0, 1000, true, true},
		{0o700, 0o755, 1000, 1000, true, false},
		{0o700, 0o755, 1001, 1000, false, false},
		{0o770, 0o755, 0, 1000, false, false},
		{0o770, 0o775, 1000, 1000, true, false},
		{0o2770, 0o2775, 0, 1000, false, false}, // another group
		{0o777, 0o775, 1000, 1000, false, false},
		{0o1777, 0o755, 0, 0, false, false},
		{0o777, 0o777, 1001, 1000, true, false},
	} {
		dir := t.TempDir()
		store := filepath.Join(dir, "store")
		d, err := Make(filepath.Join(dir, "state"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := errors.Join(
			os.Mkdir(store, 0o700), os.Chown(store, c.owner, c.owner), os.Chmod(store, c.store.Perm()),
			os.Chown(d.Path(), c.user, c.user), os.Chmod(d.Path(), c.state.Perm()),
		); err != nil {
			t.Fatal(err)
		}
		for store, ok := range map[string]bool{store: c.ok, "": c.bucket} {
			err := d.Private(store)
			if ok && err != nil || !ok && (!errors.Is(err, ErrShared) || !strings.Contains(err.Error(), d.Path())) {
				t.Errorf("%o of %d, the store %o of %d, %q: %v", c.state, c.user, c.store, c.owner, store, err)
			}
		}
	}
}

// TestReadWhileItIsWritten: a file that is replaced is always read completely.
func TestReadWhileItIsWritten(t *testing.T) {
	d, err := Make(filepath.Join(t.TempDir(), "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Write("record", []byte("whole"), nil); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 2000 {
				if got, err := d.Text("record", 100); err != nil || got != "whole" {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { readers.Wait(); close(ended) }()
	for done := false; !done; {
		if err := d.Write("record", []byte("whole"), nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
			done = true
		default:
		}
	}
}
