package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// What has two names in the store is judged twice, and what isn't needed under
// one would be taken from the other.
func TestALinkIntoTheStoreIsNotFollowed(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("b", "v1", fixtures.Image{})
	f := newFix(t, b)
	link := func(target, key string) string {
		t.Helper()
		at := filepath.Join(f.store, key)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
		return key
	}
	elsewhere := filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	inside := link("../a", layout.RepositoryKey("b/c"))
	over := link(f.store, layout.RepositoryKey("c"))
	once, twice := link(elsewhere, layout.RepositoryKey("d")), link(elsewhere, layout.RepositoryKey("e"))
	before := f.content(t)
	for _, c := range []struct {
		follow []string
		exit   int
	}{{[]string{inside}, 16}, {[]string{over}, 16}, {[]string{once, twice}, 16}, {[]string{once, filepath.Join(f.store, once)}, 8}} {
		for _, args := range []string{"check STORE", "fix STORE --apply --yes"} {
			all := strings.Fields(args)
			for _, key := range c.follow {
				all = append(all, "--follow", key)
			}
			exit := f.run(all...)
			if c.exit == 16 && (exit != 16 || !strings.Contains(f.errs.String(), "under another name")) || c.exit != 16 && exit == 16 {
				t.Errorf("%q: exit %d, %s", all, exit, f.errs.String())
			}
			f.untouched(t, args, before)
		}
	}
}

// A whole store may stand behind a link that is followed.
func TestAStoreBehindALink(t *testing.T) {
	f := newFix(t, small())
	docker, elsewhere := filepath.Join(f.store, "docker"), filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Rename(docker, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, docker); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("check", "STORE", "--follow", "docker"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}
