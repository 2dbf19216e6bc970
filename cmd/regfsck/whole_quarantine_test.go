//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// quarantined fixes STORE and returns the directory of what the run keeps.
func (f *fake) quarantined(t *testing.T) (kept string) {
	t.Helper()
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Fatalf("fix: exit %d, %s", exit, f.errs.String())
	}
	return only(t, filepath.Join(f.store, stateName, "runs", "*", "kept"))
}

// What can't be looked at in the quarantine may be kept: an undo that meets it
// has failed there, a purge of all runs leaves the run alone, and both go on as
// soon as it can be looked at.
func TestAQuarantineThatCannotBeReadIsNotEmpty(t *testing.T) {
	for name, where := range map[string]string{
		"all of it":              "",
		"where the blob is":      "docker%2Fregistry%2Fv2%2Fblobs%2Fsha256%2F??",
		"where its directory is": "docker%2Fregistry%2Fv2%2Fblobs%2Fsha256",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFix(t, littered())
			before := f.content(t)
			closed := only(t, filepath.Join(f.quarantined(t), where))
			away := filepath.Join(f.dir, "away")
			// A link isn't followed there: like a closed directory, but for root too.
			if err := os.Rename(closed, away); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(away, closed); err != nil {
				t.Fatal(err)
			}
			if exit := f.run("undo", "STORE"); exit != 8 || strings.Contains(f.out.String()+f.errs.String(), "neither") {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("undo", "STORE", "--list"); exit != 0 || !strings.Contains(f.out.String(), "undoing, can be undone") {
				t.Errorf("the list: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 || !strings.Contains(f.out.String(), "NOTHING TO DO") {
				t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if err := os.Remove(closed); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(away, closed); err != nil {
				t.Fatal(err)
			}
			if exit := f.run("undo", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
				t.Errorf("undo, when it can be read: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, "after the undo", before)
		})
	}
}
