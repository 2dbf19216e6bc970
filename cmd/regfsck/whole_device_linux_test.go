package main

import (
	"strings"
	"testing"
)

// A state directory on another filesystem can keep nothing: a rename doesn't lead
// there.
func TestNoUndoIsRefused(t *testing.T) {
	f := newFix(t, littered())
	before := snapshot(t, f.store)
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck"); exit != 0 || !strings.Contains(f.out.String(), "could not be brought back") {
		t.Errorf("dry run: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if strings.Contains(f.out.String(), "All of it could be undone") {
		t.Errorf("it says both:\n%s", f.out.String())
	}
	var p struct{ Undo struct{ Possible bool } }
	if f.document(t, &p, "fix", "STORE", "--state", "/proc/regfsck"); p.Undo.Possible {
		t.Error("the document says that it could be undone")
	}
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--undo none") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck", "--apply", "--yes", "--undo", "none"); exit != 8 || !strings.Contains(f.errs.String(), "Nothing was changed") {
		t.Errorf("without a place for a journal: exit %d, %s", exit, f.errs.String())
	}
	if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
		t.Errorf("the store changed\n%s", strings.Join(diff, "\n"))
	}
}
