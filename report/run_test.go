package report_test

import (
	"strings"
	"testing"

	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/view"
)

// TestAStoppedRun: the report says that the run may be repeated; that of an undo has the
// command.
func TestAStoppedRun(t *testing.T) {
	for command, want := range map[string]string{
		"fix":  "The same command again does the rest.",
		"undo": "Continue: regfsck undo /store 20260101-000000-0000",
	} {
		r := &report.Run{Command: command, Store: []string{"/store"}, Outcome: &apply.Outcome{Run: "20260101-000000-0000", Interrupted: true, Keep: true}}
		for _, stopped := range []bool{true, false} {
			r.Outcome.Interrupted = stopped
			text := written(t, r.View, view.Options{})
			if strings.Contains(text, "STOPPED") != stopped || strings.Contains(text, want) != stopped {
				t.Errorf("%s, stopped %t:\n%s", command, stopped, text)
			}
		}
	}
}

// TestIncompleteUndo: the verdict doesn't say that all is restored, and the runs are listed.
func TestIncompleteUndo(t *testing.T) {
	o := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Done: 1}}, RemovedLater: []string{"later", "latest"}}
	r := &report.Run{Command: "undo", Store: []string{"s"}, Outcome: o}
	text := written(t, r.View, view.Options{})
	if strings.Contains(text, "UNDONE") || !strings.Contains(text, "\n  later\n  latest\n") || !strings.Contains(text, "for good that the restored ones may need") {
		t.Errorf("%s", text)
	}
	if verdict := written(t, r.Short, view.Options{}); strings.Contains(verdict, "UNDONE") {
		t.Errorf("%s", verdict)
	}
}

// TestFailedSteps: a failed step may have changed something; only without failures the rest
// is called unchanged.
func TestFailedSteps(t *testing.T) {
	for failed, want := range map[bool]string{false: "Skipped steps changed nothing", true: "may have changed something"} {
		o := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Skipped: 1}}, NotDone: []apply.NotDone{{Reason: "why"}, {Reason: "why not", Failed: failed}}}
		text := written(t, (&report.Run{Command: "fix", Store: []string{"s"}, Outcome: o}).View, view.Options{})
		if !strings.Contains(text, want) || failed && strings.Contains(text, "changed nothing") {
			t.Errorf("failed %t:\n%s", failed, text)
		}
	}
}
