//go:build amd64 || arm64

package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// injected is a driver with the given mounts.
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
		t.Errorf("leaves were listed as %q", got.items)
	}
	mustRead(t, s, "a/mounted/b/file", "deep")
	mustRead(t, s, "dir/leaf/link", "l")
}

// If the test may mount, every driver is tried with a real mount: one that exists when
// the store is opened, and one that is made later. TestMountsInjected needs no permission.
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
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		listAll(t, s, "", "dir").mustBe(t, "a/file a/mounted/b/file dir/file dir/leaf/link dir/plain/link",
			map[string]error{"dir/mounted": backend.ErrMount})
		listAll(t, s, "dir/mounted").mustBe(t, "", map[string]error{"dir/mounted": backend.ErrMount})
		mustFail(t, s, "dir/mounted/link", backend.ErrMount, "dir/mounted")
		s = open(t, root, Options{Follow: []string{at}})
		got := listAll(t, s, "", "dir")
		got.mustBe(t, "a/file a/mounted/b/file dir/file dir/leaf/link dir/mounted/link dir/plain/link", nil)
		if got.items["dir/mounted/link"] != "inside" {
			t.Errorf("the followed leaf was listed as %q", got.items["dir/mounted/link"])
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

const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
40 22 8:1 / /srv/registry rw - ext4 /dev/sda1 rw
41 40 8:2 / /srv/registry/docker/registry/v2/blobs rw - ext4 /dev/sda2 rw
42 40 8:2 /x /srv/registry/with\040space/and\134back\011tab rw - ext4 /dev/sda2 rw
43 22 8:3 / /srv/registry2/docker rw - ext4 /dev/sda3 rw
44 40 8:3 / /srv/registry/odd\04 rw - ext4 /dev/sda3 rw

short line
`

func TestMountKeys(t *testing.T) {
	for root, want := range map[string][]string{
		"/srv/registry":     {"docker/registry/v2/blobs", `odd\04`, "with space/and\\back\ttab"},
		"/srv/registry2":    {"docker"},
		"/srv/reg":          nil,
		"/srv/registry/doc": nil,
		"/srv": {"registry", "registry/docker/registry/v2/blobs", `registry/odd\04`,
			"registry/with space/and\\back\ttab", "registry2/docker"},
	} {
		got, err := mountKeys(strings.NewReader(mountinfo), root, "")
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("below %s: %q (%v), want %q", root, got, err, want)
		}
	}
	if got, err := mountKeys(strings.NewReader(mountinfo), "/", ""); len(got) != 6 || err != nil {
		t.Errorf("below /: %q (%v), want 6", got, err)
	}
	if _, err := mountKeys(strings.NewReader(strings.Repeat("x", 2<<20)), "/", ""); err == nil {
		t.Error("a line that doesn't end: no error")
	}
}

// A directory with two names in a store is a fault under at least one of them, whichever
// is followed. Otherwise a removal under one name would remove what the other name needs.
func TestADirectoryWithTwoNamesIsAFault(t *testing.T) {
	for name, c := range map[string]struct {
		from, at string // a directory, and its second name
		prefix   string
		fault    string
	}{
		"beside it":        {"s/new", "s/old", "s", "s/new"},
		"what is in it":    {"s/new/in", "s/other", "s", "s/new/in"},
		"above it":         {"s", "s/other", "s", "s"},
		"the root":         {"", "s/other", "s", "s/other"},
		"the other prefix": {"s", "r/other", "s", "s"},
	} {
		for how, join := range map[string]func(from, at string) error{
			"a link":       func(from, at string) error { return errors.Join(os.Remove(at), os.Symlink(from, at)) },
			"a bind mount": func(from, at string) error { return unix.Mount(from, at, "", unix.MS_BIND, "") },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				root := t.TempDir()
				fill(t, root, map[string]string{"s/new/in/deep/link": "x", "s/new/link": "y", "r/link": "z"}, nil)
				at := filepath.Join(root, c.at)
				mkdir(t, root, c.at)
				err := join(filepath.Join(root, c.from), at)
				if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
					return // without permission to mount there is only the link
				}
				if err != nil {
					t.Fatal(err)
				}
				if how != "a link" {
					t.Cleanup(func() {
						if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
							t.Error(err)
						}
					})
				}
				s := opening(newSystem)(t, root, Options{Follow: []string{c.at}})
				got := listAll(t, s, c.prefix)
				if err := got.faults[c.fault]; !errors.Is(err, backend.ErrTwice) || len(got.faults) != 1 {
					t.Errorf("faults: %v, want one of %s", got.faults, c.fault)
				}
			})
		}
	}
}

// A followed directory with only one name in the store isn't a fault.
func TestAFollowedDirectoryWithOneNameIsNoFault(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"s/new/link": "y", "away/link": "z"}, nil)
	if err := os.Symlink(filepath.Join(root, "away"), filepath.Join(root, "s/old")); err != nil {
		t.Fatal(err)
	}
	s := opening(newSystem)(t, root, Options{Follow: []string{"s/old"}})
	listAll(t, s, "s").mustBe(t, "s/new/link s/old/link", nil)
	listAll(t, s, "").mustBe(t, "away/link s/new/link s/old/link", nil)
}
