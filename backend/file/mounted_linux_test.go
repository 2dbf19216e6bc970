//go:build amd64 || arm64

package file

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// injected is a keeper that is told what is mounted.
func injected(keys ...string) maker {
	return variant(func(l *linux) { l.setMounts(keys, true); l.inside = false })
}

var mountFiles = map[string]string{
	"dir/mounted/link": "under", "dir/plain/link": "plain", "a/mounted/b/file": "deep", "a/file": "x", "dir/file": "f", "dir/leaf/link": "l",
}

func TestMountsInjected(t *testing.T) {
	root := t.TempDir()
	fill(t, root, mountFiles, nil)
	faults := map[string]error{"dir/mounted": backend.ErrMount, "a/mounted": backend.ErrMount, "dir/leaf/link": backend.ErrMount, "dir/file": backend.ErrMount}
	m := injected("dir/mounted", "a/mounted", "dir/leaf/link", "dir/file")
	s := opening(m)(t, root, Options{})
	listAll(t, s, "", "dir").mustBe(t, "a/file dir/plain/link", faults)
	listAll(t, s, "a/mounted/b").mustBe(t, "", map[string]error{"a/mounted": backend.ErrMount})
	mustFail(t, s, "a/mounted/b/file", backend.ErrMount, "a/mounted")
	mustFail(t, s, "dir/mounted/link", backend.ErrMount, "dir/mounted")
	mustFail(t, s, "dir/file", backend.ErrMount, "dir/file")
	mustRead(t, s, "a/file", "x")

	delete(faults, "a/mounted")
	delete(faults, "dir/leaf/link")
	delete(faults, "dir/mounted")
	s = opening(m)(t, root, Options{Follow: []string{"a/mounted", "dir/leaf/link", "dir/mounted"}})
	got := listAll(t, s, "", "dir")
	got.mustBe(t, "a/file a/mounted/b/file dir/leaf/link dir/mounted/link dir/plain/link", faults)
	if got.items["dir/leaf/link"] != "l" || got.items["dir/mounted/link"] != "under" {
		t.Errorf("leaves came as %q", got.items)
	}
	mustRead(t, s, "a/mounted/b/file", "deep")
	mustRead(t, s, "dir/leaf/link", "l")
}

// Where the test may mount, every keeper is tried on a real mount: one that is
// there when the store is opened, and one that comes later. Where it may not,
// the kernel is known to refuse, and TestMountsInjected has to do.
func TestMountsReal(t *testing.T) {
	root := t.TempDir()
	fill(t, root, mountFiles, nil)
	at := filepath.Join(root, "dir/mounted")
	err := unix.Mount("regfsck-test", at, "tmpfs", 0, "size=64k")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	write(t, root, "dir/mounted/link", "inside")
	eachKeeper(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		listAll(t, s, "", "dir").mustBe(t, "a/file a/mounted/b/file dir/file dir/leaf/link dir/plain/link",
			map[string]error{"dir/mounted": backend.ErrMount})
		listAll(t, s, "dir/mounted").mustBe(t, "", map[string]error{"dir/mounted": backend.ErrMount})
		mustFail(t, s, "dir/mounted/link", backend.ErrMount, "dir/mounted")
		s = open(t, root, Options{Follow: []string{at}})
		got := listAll(t, s, "", "dir")
		got.mustBe(t, "a/file a/mounted/b/file dir/file dir/leaf/link dir/mounted/link dir/plain/link", nil)
		if got.items["dir/mounted/link"] != "inside" {
			t.Errorf("the followed leaf came as %q", got.items["dir/mounted/link"])
		}
		mustRead(t, s, "dir/mounted/link", "inside")
	})
	s := opening(newSystem)(t, root, Options{})
	later := filepath.Join(root, "a/mounted")
	if err := unix.Mount("regfsck-test", later, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(later, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	listAll(t, s, "a").mustBe(t, "a/file", map[string]error{"a/mounted": backend.ErrMount})
}
