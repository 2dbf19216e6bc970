package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/report"
	"regfsck/report/view"
)

// written returns a view as text.
func written(t *testing.T, view func(view.Options) view.View, o view.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := view(o).WriteText(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDiffIsCutOnATerminalAlone(t *testing.T) {
	p := reports.PlanOf(reports.ManySteps(25, 12))
	whole := written(t, p.View, view.Options{Verbose: true})
	if n := strings.Count(whole, "\n  - "); n != 26*12+2 || strings.Contains(whole, "more") {
		t.Errorf("off a terminal there are %d lines", n)
	}
	cut := written(t, p.View, view.Options{Terminal: true, Verbose: true})
	if n := strings.Count(cut, "\n  - "); n != 11*10+2 {
		t.Errorf("on a terminal there are %d lines", n)
	}
	for _, want := range []string{
		"… and 15 more repositories:  regfsck fix /var/lib/registry --json", "… and 2 more:  regfsck fix", "--report report.json",
		"- _layers/sha256/000000000000…/link", "- sha256:000000000000…",
	} {
		if !strings.Contains(cut, want) {
			t.Errorf("%q is not in\n%s", want, cut)
		}
	}
	if text := written(t, reports.PlanOf(reports.ManySteps(10, 10)).View, view.Options{Terminal: true, Verbose: true}); strings.Contains(text, "more") {
		t.Errorf("lists of ten are cut:\n%s", text)
	}
}

func TestSharesAddUp(t *testing.T) {
	p := reports.PlanOf(reports.ManySteps(2, 30))
	p.Result.Totals = check.Totals{Blobs: 120, Bytes: 40 << 20, LayerLinks: 600, Repositories: 2}
	text := strings.Join(strings.Fields(written(t, p.View, view.Options{Verbose: true})), " ")
	for _, want := range []string{"blobs 30 90 25.0 %", "layer links 60 540 10.0 %", "size of blobs 30.0 MiB 10.0 MiB 75.0 %", "tags 0 0 -", "90 steps, 30.0 MiB removed"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestForeignTextInDiffsAndOutcomes(t *testing.T) {
	evil := "a\x1b[31m\r\n\x00\x7f\u0085\u202e\u200b\xff\\z"
	step := plan.Step{Op: plan.Remove, Kind: plan.LayerLink, Repository: evil, Key: evil, Finding: finding.LayerLinkDangling, Reason: evil}
	p := reports.PlanOf([]plan.Step{step}, finding.Finding{Kind: finding.TagDangling, Repository: evil, Path: evil, Detail: evil, Cure: finding.CureRemoveAsk})
	p.Target, p.State, p.Unfinished, p.Apply = evil, evil, evil, []string{evil}
	p.Refusals = []apply.Refusal{{Why: evil, How: evil, Keys: []string{evil}}}
	r := &report.Run{
		Command: "fix", Target: evil, Store: []string{evil}, State: evil, Redis: evil,
		Outcome: &apply.Outcome{Run: evil, Keep: true, Kept: 1, Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Done: 1}}, NotDone: []apply.NotDone{{Step: step, Reason: evil}}},
	}
	runs := &report.Runs{State: evil, Runs: []journal.Summary{{ID: evil, Command: evil}}}
	purge := &report.Purge{Runs: []report.Purged{{ID: evil, Err: errors.New(evil)}, {ID: evil}}}
	for i, write := range []func(view.Options) view.View{
		p.View, p.Short, r.View, r.Short, runs.View, (&report.Runs{State: evil}).View, purge.View, purge.Short,
	} {
		for _, c := range written(t, write, view.Options{}) {
			if c != '\n' && (c < ' ' || c == 0x7f || strings.ContainsRune("\u0085\u202e\u200b\ufffd", c)) {
				t.Fatalf("%d: %q is in the text", i, c)
			}
		}
	}
}

func TestDocumentsAreJSON(t *testing.T) {
	empty := &apply.Outcome{}
	full := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.TagDangling: {Done: 1}, finding.BlobOrphan: {Failed: 2}}, NotDone: []apply.NotDone{{Reason: "why"}}}
	for schema, answers := range map[string][]report.Document{
		report.PlanSchema: {reports.PlanOf(nil), reports.PlanOf(reports.ManySteps(2, 2), reports.DamagedFindings()...)},
		report.RunSchema:  {&report.Run{Outcome: empty}, &report.Run{Outcome: full, Exit: 13}},
		report.RunsSchema: {&report.Runs{}, &report.Runs{Runs: make([]journal.Summary, 2)}},
		report.ShardSchema: {
			&report.Shard{Hashing: &graph.Hashing{}},
			&report.Shard{Hashing: &graph.Hashing{Wrong: make([]graph.Blob, 2), Unread: make([]graph.Fault, 2)}, Notes: []string{"a note"}, Requests: true},
		},
		report.PurgeSchema: {&report.Purge{}, &report.Purge{Runs: make([]report.Purged, 2)}},
	} {
		for i, d := range answers {
			var b bytes.Buffer
			err := report.WriteJSON(&b, d)
			var doc map[string]any
			if again := json.Unmarshal(b.Bytes(), &doc); err != nil || again != nil || doc["schema"] != schema || doc["exit"] == nil {
				t.Errorf("%s, %d: %v, %v in\n%s", schema, i, err, again, b.String())
			}
			if strings.Contains(b.String(), ":null") {
				t.Errorf("%s, %d: null in\n%s", schema, i, b.String())
			}
		}
	}
	for i, d := range []report.Document{reports.PlanOf(reports.ManySteps(9, 90)), &report.Run{Outcome: full}, &report.Purge{}} {
		if err := report.WriteJSON(&reports.Full{}, d); !errors.Is(err, reports.ErrFull) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// aborting returns steps that abort two multipart uploads, one at a blob's key.
func aborting() []plan.Step {
	step := plan.Step{Op: plan.Abort, Kind: plan.Upload, Finding: finding.MultipartStale, Modified: 1}
	blob, data := step, step
	blob.Key, blob.Upload, blob.Reason = "docker/registry/v2/blobs/sha256/4f/"+reports.HexA+"/data", "copy", "upload id copy"
	data.Key, data.Upload, data.Reason = "docker/registry/v2/repositories/web/_uploads/u/data", "\x1b1", "upload id \x1b1"
	data.Repository = "web"
	return []plan.Step{blob, data}
}

// TestAbortsAreFinal: aborts are listed apart from removals, and never as undoable.
func TestAbortsAreFinal(t *testing.T) {
	for name, c := range map[string]struct {
		steps  []plan.Step
		state  string
		whole  bool
		wanted []string
		never  string
	}{
		"aborts alone": {
			aborting(), "/state", false,
			[]string{"Not reversible: an aborted multipart upload can't be restored", "2 multipart uploads are aborted too"},
			"moved into",
		},
		"among others": {
			append(aborting()[:1], reports.ManySteps(1, 3)...), "/state", false,
			[]string{"Aborting 1 multipart upload can't be undone", "The rest is reversible", "1 multipart upload is aborted too", "7 steps, 3.0 MiB removed"},
			"Reversible",
		},
		"no undo at all": {aborting(), "", false, []string{"Not reversible (--undo none)"}, "are moved"},
		"no aborts":      {reports.ManySteps(1, 3), "/state", true, []string{"Reversible. Removed files are moved"}, "multipart"},
	} {
		p := reports.PlanOf(c.steps)
		p.State = c.state
		text := strings.Join(strings.Fields(written(t, p.View, view.Options{Verbose: true})), " ")
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
		if err := report.WriteJSON(&b, p); err != nil {
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

// TestAnAbortIsNotARemovedBlob: the line of an abort doesn't look like that of a blob.
func TestAnAbortIsNotARemovedBlob(t *testing.T) {
	text := written(t, reports.PlanOf(aborting()).View, view.Options{Verbose: true})
	for _, want := range []string{"- blobs/sha256/4f/" + reports.HexA + "/data  multipart-stale\n", "- _uploads/u/data  multipart-stale\n", "upload id copy"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "sha256:"+reports.HexA) || strings.ContainsRune(text, '\x1b') {
		t.Errorf("a blob seems to go:\n%s", text)
	}
}

// TestLimitsOfAnUndo: after a run that can be undone, the report says what an undo can't
// restore.
func TestLimitsOfAnUndo(t *testing.T) {
	for done, said := range map[int]bool{0: false, 3: true} {
		o := &apply.Outcome{Run: "r", Keep: true, Counts: map[finding.Kind]apply.Tally{finding.MultipartStale: {Done: done, Failed: 1}}}
		text := written(t, (&report.Run{Command: "fix", Store: []string{"s"}, Outcome: o}).View, view.Options{})
		if strings.Contains(text, "Undo can't restore what was aborted: 3 multipart uploads.") != said {
			t.Errorf("%d: %s", done, text)
		}
	}
}
