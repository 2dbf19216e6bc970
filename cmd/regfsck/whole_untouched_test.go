package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
)

// rotten returns a store with something of everything that a check might be
// tempted to put right.
func rotten() *fixtures.Builder {
	return damaged("blob-missing", "manifest-corrupt", "link-invalid", "tag-dangling", "tag-without-current",
		"foreign-file", "name-invalid", "blob-orphan", "repo-empty", "upload-stale", "tmp-stale", "folder-empty", "signature-legacy")
}

// TestCheckNeverWrites compares bytes, modes and times of all files and directories
// before and after checks under all combinations of flags.
func TestCheckNeverWrites(t *testing.T) {
	f := newWhole(t, rotten())
	moved := filepath.Join(f.aside(t), "moved")
	repository := filepath.Join(f.store, "docker/registry/v2/repositories/base")
	if err := os.Rename(repository, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(moved, repository); err != nil {
		t.Fatal(err)
	}
	choices := [][]string{
		{"--json"}, {"--thorough", "--workers", "1"}, {"--untagged", "--grace", "0"}, {"--verify", "all"},
		{"--report", "DIR/r.json"}, {"--follow", repository},
	}
	before := snapshot(t, f.store)
	there := snapshot(t, moved)
	for set := range 1 << len(choices) {
		args := []string{"check", "STORE"}
		for i, flags := range choices {
			if set>>i&1 == 1 {
				args = append(args, flags...)
			}
		}
		want := 4
		if !strings.Contains(strings.Join(args, " "), "--follow") {
			want |= 8
		}
		if exit := f.run(args...); exit != want {
			t.Errorf("%q: exit %d, want %d\n%s", args, exit, want, f.errs.String())
		}
		if diff := append(before.Diff(snapshot(t, f.store)), there.Diff(snapshot(t, moved))...); len(diff) > 0 {
			t.Fatalf("%q changed\n%s", args, strings.Join(diff, "\n"))
		}
	}
	if files, err := os.ReadDir(f.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v: not just the report was written", files, err)
	}
	before = snapshot(t, filepath.Dir(f.store))
	for _, args := range [][]string{{"--help"}, {"--version"}, {"explain"}, {"explain", "blob-orphan"}, {"check", "STORE", "--help"}} {
		if exit := f.run(args...); exit != 0 {
			t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
		}
	}
	if diff := before.Diff(snapshot(t, filepath.Dir(f.store))); len(diff) > 0 {
		t.Errorf("changed\n%s", strings.Join(diff, "\n"))
	}
}
