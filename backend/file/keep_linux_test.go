//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// No rename leads from one mount of a filesystem to another, as two volumes of a
// container are: that is known before anything is changed.
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
	if err := w.CanKeep(context.Background()); !errors.Is(err, errDevice) {
		t.Errorf("CanKeep: %v, want %v", err, errDevice)
	}
	unchanged(t, again, before)
	free := backend.Run{ID: "free"}
	for _, r := range []backend.Receipt{w.Put(context.Background(), free, "b/link", []byte("new"), 0), w.Put(context.Background(), free, "c/link", []byte("new"), 0)} {
		if r.Err != nil {
			t.Errorf("without keeping: %+v", r)
		}
	}
	if err := openStore(t, again, Options{}, filepath.Join(again, ".regfsck")).CanKeep(context.Background()); err != nil {
		t.Errorf("in the same mount: %v", err)
	}
}

// What is followed to another filesystem can't be kept either, and that is known
// before the links that lead there are gone.
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
	if err := w.CanKeep(context.Background()); !errors.Is(err, errDevice) {
		t.Errorf("CanKeep: %v, want %v", err, errDevice)
	}
	for _, follow := range [][]string{nil, {"file"}} {
		if err := openStore(t, root, Options{Follow: follow}, state).CanKeep(context.Background()); err != nil {
			t.Errorf("following %q: %v", follow, err)
		}
	}
}
