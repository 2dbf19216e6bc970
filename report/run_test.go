package report

import (
	"strings"
	"testing"

	"regfsck/graph/apply"
)

// A run that was stopped says that it may be run again; an undo that was stopped
// names the command.
func TestAStoppedRunSaysHowToGoOn(t *testing.T) {
	for command, want := range map[string]string{
		"fix":  "The same command again does the rest.",
		"undo": "To go on: regfsck undo /store 20260101-000000-0000",
	} {
		r := &Run{
			Command: command, Store: []string{"/store"},
			Outcome: &apply.Outcome{Run: "20260101-000000-0000", Interrupted: true, Keep: true},
		}
		for _, stopped := range []bool{true, false} {
			r.Outcome.Interrupted = stopped
			text := written(t, r.WriteText, TextOptions{})
			if strings.Contains(text, "STOPPED") != stopped || strings.Contains(text, want) != stopped {
				t.Errorf("%s, stopped %t:\n%s", command, stopped, text)
			}
		}
	}
}
