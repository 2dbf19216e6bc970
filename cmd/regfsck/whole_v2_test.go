package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestAV2Alone takes the v2 out of a store: wherever it stands, and whether it or
// the directory that holds it is named, it has the same findings and the same
// plan, is fixed, and is undone.
func TestAV2Alone(t *testing.T) {
	for name, b := range map[string]*fixtures.Builder{"littered": littered(), "rotten": rotten()} {
		f := newFix(t, b)
		want := f.plan(t)
		if len(want.Steps) == 0 {
			t.Fatal("there is nothing to do")
		}
		holder := filepath.Join(f.dir, "mounted")
		v2 := filepath.Join(holder, "v2")
		if err := os.Mkdir(holder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
			t.Fatal(err)
		}
		for _, f.store = range []string{holder, v2} {
			if got := f.plan(t); got.Plan != want.Plan || len(got.Steps) != len(want.Steps) {
				t.Errorf("%s, STORE %s: plan %s with %d steps, and %s with %d in its place",
					name, f.store, got.Plan, len(got.Steps), want.Plan, len(want.Steps))
			}
		}
		f.fixOne(t, name, false, nil)
		if _, err := os.Stat(filepath.Join(v2, stateName)); err != nil {
			t.Errorf("the state directory isn't in the root: %v", err)
		}
	}
}

// A key to follow, a state directory and a report are found in a v2 alone as in a
// whole store.
func TestPlacesInAV2Alone(t *testing.T) {
	f := newFix(t, littered())
	v2 := filepath.Join(f.dir, "v2")
	if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
		t.Fatal(err)
	}
	f.store = v2
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	from := filepath.Join(v2, "repositories", "base")
	if err := os.Rename(from, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, from); err != nil {
		t.Fatal(err)
	}
	if f.judge(t).Complete {
		t.Error("a link was followed that nobody named")
	}
	for _, follow := range []string{layout.Repositories + "/base", from} {
		if !f.judge(t, "--follow", follow).Complete {
			t.Errorf("--follow %s isn't heeded: %s", follow, f.errs.String())
		}
	}
	for _, c := range [][]string{
		{"check", "STORE", "--report", "STORE/blobs/r.json"}, {"fix", "STORE", "--state", "STORE/blobs/state"},
	} {
		if exit := f.run(c...); exit != 16 || !strings.Contains(f.errs.String(), "STORE/blobs") && !strings.Contains(f.errs.String(), v2) {
			t.Errorf("%q: exit %d, %s", c, exit, f.errs.String())
		}
	}
}
