package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend"
)

// own makes a file or directory of a user.
func own(t *testing.T, root, key string, mode fs.FileMode, user int) {
	t.Helper()
	path := filepath.Join(root, key)
	if strings.HasSuffix(key, "/") {
		mkdir(t, root, key)
	} else {
		write(t, root, key, "x")
	}
	if err := errors.Join(os.Chown(path, user, user+1), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// A file that root writes gets the owner of its neighbour: the file that it replaces, one
// next to it, a file of its name in the same repository, or the directory.
func TestNeighbours(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can change owners; see TestUnprivileged
	}
	root := t.TempDir()
	mkdir(t, root, "among")
	for _, key := range []string{"r/", "r/_layers/", "r/_layers/sha256/", "r/_layers/sha256/a/"} {
		own(t, root, key, 0o750, 1000)
	}
	for key, user := range map[string]int{"r/_layers/sha256/a/link": 1100, "r/sub/_layers/sha256/a/link": 1200, "q/_layers/sha256/a/link": 1300} {
		mkdir(t, root, filepath.Dir(key))
		own(t, root, key, 0o640, user)
	}
	own(t, root, "empty/", 0o770|fs.ModeSetgid, 1400)
	own(t, root, "empty/_layers/", 0o2775, 1500)
	own(t, root, "shut/", 0o700, 1700)
	own(t, root, "over/", 0o755, 1600)
	own(t, root, "over/link", 0o600, 1601)
	own(t, root, "over/beside", 0o444, 1602)
	for i := range 9 {
		own(t, root, fmt.Sprint("among/", i), 0o444, 1602)
	}
	own(t, root, "among/link", 0o600, 1601)
	for _, key := range []string{"p/", "p/_layers/"} {
		own(t, root, key, 0o750, 1900)
	}
	for _, key := range []string{"p/sub/", "p/sub/_layers/", "p/sub/_layers/sha256/", "p/sub/_layers/sha256/link"} {
		own(t, root, key, 0o750, 1800)
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	for key, want := range map[string]string{
		"r/_layers/sha256/b/link":                     "100640 1100:1101",
		"r/_manifests/revisions/sha256/c/link":        "100640 1100:1101",
		"r/_manifests/tags/t/current/link":            "100640 1100:1101",
		"over/link":                                   "100600 1601:1602",
		"among/link":                                  "100600 1601:1602",
		"p/_layers/sha256/a/link":                     "100640 1900:1901",
		"empty/_layers/sha256/a/link":                 "100664 1500:1501",
		"empty/other/file":                            "100660 1400:1401",
		"shut/new":                                    "100600 1700:1701",
		"q/_manifests/tags/t/index/sha256/d/link":     "100640 1300:1301",
		"r/sub/_manifests/tags/t/index/sha256/d/link": "100640 1200:1201",
	} {
		if err := w.Put(context.Background(), keeping, key, []byte("new"), 0).Err; err != nil {
			t.Error(err)
		}
		if _, is := look(t, root, key); is != want {
			t.Errorf("%s is %s, want %s", key, is, want)
		}
	}
	for key, want := range map[string]string{
		"r/_layers/sha256/b": "40750 1000:1001", "r/_manifests": "40750 1000:1001", "r/_manifests/tags/t/current": "40750 1000:1001",
		"empty/other": "42770 1400:1401",
	} {
		if _, is := look(t, root, key); is != want {
			t.Errorf("%s is %s, want %s", key, is, want)
		}
	}
	if err := w.Put(context.Background(), keeping, "over/third", nil, 0).Err; err != nil {
		t.Error(err)
	}
	if _, is := look(t, root, "over/third"); is != "100444 1602:1603" && is != "100600 1601:1602" {
		t.Errorf("over/third is %s, unlike the files next to it", is)
	}
}

// TestUnprivileged needs an unprivileged user. Root makes files of other users, and starts
// the test again as one.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		unprivileged(t, os.Getenv(childRoot))
		return
	}
	root, err := os.MkdirTemp("/tmp", "regfsck-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	own(t, root, "./", 0o755, nobody)
	own(t, root, "mine/", 0o755, nobody)
	own(t, root, "mine/link", 0o644, 1000)
	own(t, root, "theirs/", 0o755, 1000)
	own(t, root, "theirs/link", 0o644, 1000)
	for _, test := range []string{"^TestUnprivileged$", "^TestWriterConforms$/^inside$"} {
		cmd := exec.Command("/proc/self/exe", "-test.run="+test, "-test.count=1", "-test.v")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "TMPDIR=/tmp", childRoot+"="+root)
		out, err := cmd.CombinedOutput()
		if name := strings.Trim(strings.Split(test, "/")[0], "^$"); err != nil || !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
			t.Errorf("as another user: %v\n%s", err, out)
		}
	}
}

// unprivileged tries changes without permission, in a store with files of root, if prepared
// is set, and in one of its own.
func unprivileged(t *testing.T, prepared string) {
	root := t.TempDir()
	fill(t, root, map[string]string{"locked/a/data": "x", "locked/one": "1", "locked/two": "2", "open/a/data": "x", "locked/open/a/data": "x"}, []string{"locked/empty"})
	for _, key := range []string{"locked", "open/a"} {
		path := filepath.Join(root, key)
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
	}
	state := filepath.Join(t.TempDir(), "state")
	for _, run := range []backend.Run{keeping, {ID: "free"}} {
		w := openStore(t, root, Options{}, state)
		denied(t, w, root, run, "locked/one", "locked/empty/", "open/a/data")
		if run.Keep { // else the file is removed and its directory remains
			denied(t, w, root, run, "locked/a/data")
		}
		for _, key := range []string{"locked/one", "locked/new", "locked/new/directory/link"} {
			before := picture(t, root)
			if err := w.Put(context.Background(), run, key, []byte("new"), 0).Err; !errors.Is(err, fs.ErrPermission) {
				t.Errorf("Put(%q): %v", key, err)
			}
			unchanged(t, root, before)
		}
	}
	w := openStore(t, filepath.Join(root, "locked"), Options{}, filepath.Join(root, "locked", ".regfsck"))
	denied(t, w, root, keeping, "open/a/data") // the state can't be made
	shutKept(t)
	if prepared == "" {
		return
	}
	w = openStore(t, prepared, Options{}, filepath.Join(prepared, ".regfsck"))
	before := picture(t, filepath.Join(prepared, "mine"))
	for _, key := range []string{"mine/new", "mine/link"} {
		if err := w.Put(context.Background(), keeping, key, []byte("new"), 0).Err; !errors.Is(err, errOwner) {
			t.Errorf("Put(%q): %v, want %v", key, err, errOwner)
		}
	}
	if diff := before.Diff(picture(t, filepath.Join(prepared, "mine"))); len(diff) > 0 {
		t.Errorf("changed: %v", diff)
	}
	denied(t, w, filepath.Join(prepared, "theirs"), keeping, "theirs/link")
	fmt.Println("permissions were tried")
}

// shutKept checks that a kept directory that can't be entered is an error: its bytes aren't none.
func shutKept(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"blobs/ab/data": strings.Repeat("x", 1<<16)}, nil)
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	if err := removeOne(w, keeping, "blobs/ab/data"); err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(root, ".regfsck/runs/run-1/kept/blobs/ab")
	for _, mode := range []fs.FileMode{0, 0o700} {
		if err := os.Chmod(shut, mode); err != nil {
			t.Fatal(err)
		}
		for _, tally := range []func(context.Context, backend.Run, backend.Receipts) (int64, error){w.Kept, w.Purge} {
			n, err := tally(context.Background(), keeping, nil)
			if errors.Is(err, fs.ErrPermission) != (mode == 0) || (n >= 1<<16) != (mode != 0) {
				t.Errorf("mode %o: %d bytes, %v", mode, n, err)
			}
		}
	}
}

// denied checks that the permission to remove keys is missing.
func denied(t *testing.T, w *Store, root string, run backend.Run, keys ...string) {
	t.Helper()
	before := picture(t, root)
	for _, r := range w.Remove(context.Background(), run, keys) {
		if !errors.Is(r.Err, fs.ErrPermission) {
			t.Errorf("%+v, want fs.ErrPermission", r)
		}
	}
	unchanged(t, root, before)
}
