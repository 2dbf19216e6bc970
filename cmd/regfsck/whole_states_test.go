package main

import (
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// two returns a small store with one more repository.
func two() *fixtures.Builder {
	b := littered()
	b.Image("other", "v1", fixtures.Image{Layers: []int{20, 30}})
	return b
}

// Two state directories of one store know of each other: an undo with one says what
// later runs with the other took, and a list names the other.
func TestTwoStateDirectoriesOfOneStore(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) *fake{
		"a directory": func(t *testing.T) *fake { return newFix(t, two()) },
		"a bucket": func(t *testing.T) *fake {
			f, _, _ := change(t, two(), s3test.Enabled)
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := make(t)
			first, second := filepath.Join(f.dir, "first"), filepath.Join(f.dir, "second")
			var a, b applied
			f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--state", first)
			if exit := f.run("undo", "STORE", "--state", first); exit != 0 {
				t.Fatalf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.document(t, &a, "rm", "STORE", "other", "--apply", "--yes", "--state", first, "--grace", "0s")
			f.document(t, &b, "rm", "STORE", "base", "--apply", "--yes", "--state", second, "--grace", "0s")
			if a.Totals.Done == 0 || b.Totals.Done == 0 {
				t.Fatalf("%+v, %+v", a, b)
			}
			for state, want := range map[string]string{first: second, second: first, filepath.Join(f.dir, "none"): first} {
				if exit := f.run("undo", "STORE", "--list", "--state", state); exit != 0 || !strings.Contains(f.out.String(), "--state "+want) {
					t.Errorf("the list of %s: exit %d, %s%s", state, exit, f.out.String(), f.errs.String())
				}
			}
			if exit := f.run("undo", "STORE", "--list"); exit != 0 || !strings.Contains(f.out.String(), "There are no runs") ||
				!strings.Contains(f.out.String(), first) || !strings.Contains(f.out.String(), second) {
				t.Errorf("the list of the default: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("undo", "STORE", a.Run); exit != 16 || !strings.Contains(f.errs.String(), first) {
				t.Errorf("a run of another directory: exit %d, %s", exit, f.errs.String())
			}
			exit := f.run("undo", "STORE", "--state", first)
			_, command, _ := strings.Cut(f.out.String(), "regfsck undo ")
			command, _, _ = strings.Cut(command, "\n")
			if exit != 8 || !strings.Contains(command, b.Run) || !strings.Contains(command, "--state "+second) {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run(append([]string{"undo"}, strings.Fields(command)...)...); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
				t.Errorf("undo %s: exit %d, %s%s", command, exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("check", "STORE"); exit != 0 {
				t.Errorf("check: exit %d, %s", exit, f.out.String())
			}
		})
	}
}
