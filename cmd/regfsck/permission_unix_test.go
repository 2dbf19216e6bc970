//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// theirs is the variable with the path of another user's store.
const theirs = "STORE_OF_ANOTHER_USER"

// TestPermissions runs as a user without permissions. For root, the test binary is started
// again as nobody.
func TestPermissions(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	f := newWhole(t, fixtures.Standard())
	t.Run("closed", f.testClosed)
	f.rewrite(t, rotten())
	want := f.judge(t).lines()
	t.Run("read-only", func(t *testing.T) { f.testReadOnly(t, want) })
	if store := os.Getenv(theirs); store != "" {
		f.store = store
	}
	t.Run("of another user", func(t *testing.T) { f.testSame(t, want) })
}

// asNobody runs the test in a process of user nobody.
func asNobody(t *testing.T) {
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "regfsck.test"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "theirs")
	if err := rotten().WriteDir(store); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(filepath.Join(dir, "regfsck.test"), "-test.v", "-test.run", "^"+t.Name()+"$")
	c.Dir = dir
	c.Env = append(os.Environ(), "TMPDIR="+dir, theirs+"="+store)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+"/of_another_user") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// boast matches claims that a check without permissions can't make.
var boast = regexp.MustCompile(`CLEAN|(?i)no tags|all \d+ tags can be pulled|disks are mounted`)

// testClosed makes one path after the other unreadable. A check reports only that path, and
// claims nothing about its content.
func (f *fake) testClosed(t *testing.T) {
	base := fixtures.Standard().Tagged("base", "stable")
	for _, key := range []string{
		layout.Blobs, layout.Blobs + "/sha256", path.Dir(path.Dir(base.Blobs[1].Key())), path.Dir(base.Blobs[1].Key()),
		path.Dir(path.Dir(base.Key())), path.Dir(base.Key()), base.Key(),
		layout.Repositories, layout.RepositoryKey("base"), layout.RepositoryKey("base") + "/_manifests", layout.RepositoryKey("base") + "/_layers",
		layout.RepositoryKey("app"), layout.TagKey("base", "stable"), layout.CurrentKey("base", "stable"),
		base.RevisionKey(), path.Dir(base.RevisionKey()), base.LayerKey(1), path.Dir(base.LayerKey(1)),
	} {
		open := closed(t, filepath.Join(f.store, key), 0)
		for _, flags := range [][]string{nil, {"--thorough", "--verify", "all", "--untagged"}} {
			a := f.judge(t, flags...)
			if a.Complete || a.Exit.Code != 8 || a.Verdict != "clean" || a.Totals.TagsBroken > 0 || a.Totals.Tags == 22 && a.Totals.TagsUnknown == 0 {
				t.Errorf("%s closed, %q: complete is %v, exit %d, %s, %+v", key, flags, a.Complete, a.Exit.Code, a.Verdict, a.Totals)
			}
			if len(a.Findings) != 1 || a.Findings[0].ID != "store-unreadable" || a.Findings[0].Path != key || a.Findings[0].Detail != "permission denied" {
				t.Errorf("%s closed, %q: found %+v", key, flags, a.Findings)
			}
			f.run(slices.Concat([]string{"check", "STORE", "--no-progress"}, flags)...)
			if out := f.out.String(); !strings.Contains(out, "\nINCOMPLETE: ") || !strings.Contains(out, key) ||
				boast.MatchString(out) {
				t.Errorf("%s closed, %q: the text is\n%s", key, flags, out)
			}
		}
		open()
	}
	for _, key := range []string{".", "docker", "docker/registry/v2"} {
		open := closed(t, filepath.Join(f.store, key), 0)
		if exit := f.run("check", "STORE", "--json"); exit != 16 || !f.refuses("--json") || !strings.Contains(f.errs.String(), "no permission to read it") {
			t.Errorf("%s closed: exit %d, %q, %q", key, exit, f.out.String(), f.errs.String())
		}
		open()
	}
}

// closed changes the mode of path until open is called.
func closed(t *testing.T, path string, mode fs.FileMode) (open func()) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { os.Chmod(path, info.Mode()) }
}

// testReadOnly removes all write permissions; the result must be the same.
func (f *fake) testReadOnly(t *testing.T, want []string) {
	err := filepath.WalkDir(f.store, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			t.Cleanup(closed(t, name, info.Mode()&^0o222))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.testSame(t, want)
}

// testSame checks that the result is the same and nothing is written. For another user's
// store, some flags are refused.
func (f *fake) testSame(t *testing.T, want []string) {
	before := snapshot(t, f.store)
	if got := f.judge(t).lines(); !slices.Equal(got, want) || len(want) < 12 {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
		t.Errorf("changed\n%s", strings.Join(diff, "\n"))
	}
}
