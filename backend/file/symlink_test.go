package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
)

// linked makes a store with symbolic links at all levels, most of them to a directory
// outside.
func linked(t *testing.T) (root, outside string) {
	root, outside = t.TempDir(), t.TempDir()
	fill(t, outside, map[string]string{"file": "outside", "link": "outside link", "sub/link": "sub link"}, nil)
	fill(t, root, map[string]string{"dir/good/link": "good", "dir/holder/other": "x", "plain/file": "f"}, []string{"dir/dangler"})
	symlink(t, root, outside, "folder")
	symlink(t, root, outside+"/file", "plain/alias")
	symlink(t, root, outside, "dir/child")
	symlink(t, root, outside+"/link", "dir/holder/link")
	symlink(t, root, "nowhere", "dir/dangler/link")
	symlink(t, root, "..", "plain/up")
	symlink(t, root, "self", "self")
	return root, outside
}

var linksNotFollowed = map[string]error{
	"folder": backend.ErrSymlink, "plain/alias": backend.ErrSymlink, "dir/child": backend.ErrSymlink,
	"dir/holder/link": backend.ErrSymlink, "dir/dangler/link": backend.ErrSymlink,
	"plain/up": backend.ErrSymlink, "self": backend.ErrSymlink,
}

func TestSymlinks(t *testing.T) {
	root, _ := linked(t)
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		listAll(t, s, "", "dir").mustBe(t, "dir/good/link dir/holder/other plain/file", linksNotFollowed)
		for key := range linksNotFollowed {
			mustFail(t, s, key, backend.ErrSymlink, key)
		}
		mustFail(t, s, "folder/file", backend.ErrSymlink, "folder")
		mustFail(t, s, "folder/missing", backend.ErrSymlink, "folder")
		mustFail(t, s, "plain/up/plain/file", backend.ErrSymlink, "plain/up")
		mustFail(t, s, "self/x", backend.ErrSymlink, "self")
		for _, prefix := range []string{"folder", "folder/sub", "folder/missing"} {
			listAll(t, s, prefix).mustBe(t, "", map[string]error{"folder": backend.ErrSymlink})
		}
	})
}

func TestFollow(t *testing.T) {
	root, outside := linked(t)
	alias := filepath.Join(t.TempDir(), "alias")
	symlink(t, filepath.Dir(alias), root, "alias")
	follow := []string{"folder/", filepath.Join(root, "plain/alias"), filepath.Join(alias, "dir/child"), "dir/holder/link", "plain/up"}
	left := map[string]error{
		"dir/dangler/link": backend.ErrSymlink, "self": backend.ErrSymlink,
		// a link in a followed directory isn't followed again
		"plain/up/folder": backend.ErrSymlink, "plain/up/plain/alias": backend.ErrSymlink, "plain/up/dir/child": backend.ErrSymlink,
		"plain/up/dir/holder/link": backend.ErrSymlink, "plain/up/dir/dangler/link": backend.ErrSymlink,
		"plain/up/plain/up": backend.ErrSymlink, "plain/up/self": backend.ErrSymlink,
	}
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, alias, Options{Follow: follow})
		got := listWith(t, s, "", expecting(backend.Hint{Name: "link", Read: 100, Siblings: backend.SiblingsAll}, "dir"))
		got.mustBe(t, "dir/child/file dir/child/link dir/child/sub/link dir/good/link dir/holder/link dir/holder/other "+
			"folder/file folder/link folder/sub/link plain/alias plain/file "+
			"plain/up/dir/good/link plain/up/dir/holder/other plain/up/plain/file", left)
		if got.items["dir/child/link"] != "outside link" || got.items["dir/holder/link"] != "outside link" {
			t.Errorf("followed leaves were listed as %q", got.items)
		}
		listAll(t, s, "folder/sub").mustBe(t, "folder/sub/link", nil)
		mustRead(t, s, "folder/file", "outside")
		mustRead(t, s, "folder/sub/link", "sub link")
		mustRead(t, s, "plain/alias", "outside")
		mustRead(t, s, "dir/holder/link", "outside link")
		mustRead(t, s, "plain/up/plain/file", "f")
		mustFail(t, s, "plain/up/plain/up", backend.ErrSymlink, "plain/up/plain/up")
		mustFail(t, s, "self", backend.ErrSymlink, "self")
		if _, err := s.Open(context.Background(), "folder/missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of what is missing in a followed directory: %v", err)
		}
	})
	if body, err := os.ReadFile(outside + "/file"); string(body) != "outside" || err != nil {
		t.Errorf("outside: %q, %v", body, err)
	}
}

func TestFollowRefused(t *testing.T) {
	root, outside := linked(t)
	for path, want := range map[string]string{
		outside: "is not below", root: "is not below", "missing": "no such file", "dir/dangler/link": "no such file",
		"self": "symbolic links", "..": "is no key", "": "is no key", "plain/up/plain/up/plain": "is a symbolic link",
	} {
		for _, m := range []maker{newSystem, newPortable} {
			s, err := open(root, Options{Follow: []string{path}}, m)
			if err == nil {
				s.Close()
				t.Errorf("follow %q: no error", path)
			} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "follow "+path) {
				t.Errorf("follow %q: %v, want %q", path, err, want)
			}
		}
	}
}

// If the target of a followed link no longer exists, its content is unknown.
func TestFollowedLinkWithoutTarget(t *testing.T) {
	eachDriver(t, func(t *testing.T, open opener) {
		root, outside := linked(t)
		s := open(t, root, Options{Follow: []string{"plain/alias"}})
		if err := os.Remove(outside + "/file"); err != nil {
			t.Fatal(err)
		}
		got := listAll(t, s, "plain")
		if got.faults["plain/alias"] == nil {
			t.Errorf("a broken link that is followed: listed %v, faults %v", got.items, got.faults)
		}
	})
}

func TestRoot(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, map[string]string{"file": "x", "real/root/a": "y"}, nil)
	symlink(t, dir, "real", "link")
	symlink(t, dir, "nowhere", "dangling")
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, dir+"/link/root", Options{})
		listAll(t, s, "").mustBe(t, "a", nil)
		mustRead(t, s, "a", "y")
	})
	for name, want := range map[string]string{"missing": "no such file", "file": "is not a directory", "dangling": "no such file", "file/x": "not a directory"} {
		for _, m := range []maker{newSystem, newPortable} {
			_, err := open(filepath.Join(dir, name), Options{}, m)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), name) != 1 {
				t.Errorf("root %s: %v, want %q", name, err, want)
			}
		}
	}
	if _, err := Open(dir+"/missing", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("root missing: %v", err)
	}
}
