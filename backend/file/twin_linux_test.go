//go:build amd64 || arm64

package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// A directory that has two names in a store is a fault under one of them at
// least, whichever is followed, and wherever the other one stands: else what goes
// under one name would be lost under the other.
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
					return // who may not mount has only the link
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

// A directory that is followed to where nothing else leads is none.
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
