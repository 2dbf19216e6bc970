package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// aborting are steps that abort two multipart uploads, one at a blob's key.
func aborting() []plan.Step {
	step := plan.Step{Op: plan.Abort, Kind: plan.Upload, Finding: finding.MultipartStale, Modified: 1}
	blob, data := step, step
	blob.Key, blob.Upload, blob.Reason = "docker/registry/v2/blobs/sha256/4f/"+hexA+"/data", "copy", "upload id copy"
	data.Key, data.Upload, data.Reason = "docker/registry/v2/repositories/web/_uploads/u/data", "\x1b1", "upload id \x1b1"
	data.Repository = "web"
	return []plan.Step{blob, data}
}

// What is aborted is told apart from what goes, and is never among what could be
// undone.
func TestAbortsAreToldAsGoneForGood(t *testing.T) {
	for name, c := range map[string]struct {
		steps  []plan.Step
		state  string
		whole  bool
		wanted []string
		never  string
	}{
		"aborts alone": {
			aborting(), "/state", false,
			[]string{"Nothing of this could be undone: a multipart upload that was aborted is gone for good", "2 multipart uploads are aborted besides"},
			"moved into",
		},
		"among others": {
			append(aborting()[:1], manySteps(1, 3)...), "/state", false,
			[]string{"1 multipart upload would be gone for good", "All the rest could be undone", "1 multipart upload is aborted besides", "7 steps, 3.0 MiB go"},
			"All of it",
		},
		"no undo at all": {aborting(), "", false, []string{"Nothing of this could be undone (--undo none)"}, "moved into"},
		"no aborts":      {manySteps(1, 3), "/state", true, []string{"All of it could be undone"}, "multipart"},
	} {
		p := planOf(c.steps)
		p.State = c.state
		text := strings.Join(strings.Fields(written(t, p.WriteText, TextOptions{})), " ")
		for _, want := range c.wanted {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, text)
			}
		}
		if strings.Contains(text, c.never) {
			t.Errorf("%s: %q is in\n%s", name, c.never, text)
		}
		var doc struct {
			Undo  struct{ Possible, Whole bool }
			Going struct{ Aborts int }
			Steps []struct{ Op, Upload string }
		}
		var b bytes.Buffer
		if err := p.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		aborts := 0
		for _, s := range doc.Steps {
			if s.Op == "abort" && s.Upload != "" {
				aborts++
			}
		}
		if doc.Undo.Whole != c.whole || doc.Undo.Possible != (c.state != "") || doc.Going.Aborts != aborts {
			t.Errorf("%s: %+v", name, doc)
		}
	}
}

// A line about a multipart upload doesn't look as if a blob went.
func TestAnAbortIsNoBlobThatGoes(t *testing.T) {
	text := written(t, planOf(aborting()).WriteText, TextOptions{})
	for _, want := range []string{"- blobs/sha256/4f/" + hexA + "/data  multipart-stale\n", "- _uploads/u/data  multipart-stale\n", "upload id copy"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "sha256:"+hexA) || strings.ContainsRune(text, '\x1b') {
		t.Errorf("a blob seems to go:\n%s", text)
	}
}

// After a run that can be undone it is said what that doesn't bring back.
func TestWhatAnUndoDoesNotBringBackIsSaid(t *testing.T) {
	for done, said := range map[int]bool{0: false, 3: true} {
		o := &apply.Outcome{Run: "r", Keep: true, Counts: map[finding.Kind]apply.Tally{finding.MultipartStale: {Done: done, Failed: 1}}}
		text := written(t, (&Run{Command: "fix", Store: []string{"s"}, Outcome: o}).WriteText, TextOptions{})
		if strings.Contains(text, "doesn't bring back what was aborted: 3 multipart uploads.") != said {
			t.Errorf("%d: %s", done, text)
		}
	}
}
