package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// planOf is a plan of steps, made from a scan that found what is given.
func planOf(steps []plan.Step, findings ...finding.Finding) *Plan {
	return &Plan{
		Check: *checkOf(findings, nil), Command: "fix", Plan: &plan.Plan{Steps: steps},
		State: "/var/lib/registry/.regfsck", Apply: []string{"fix", "/var/lib/registry", "--apply"},
	}
}

// manySteps has repositories with links that go, each so many, and as many blobs.
func manySteps(repositories, links int) (steps []plan.Step) {
	for r := range repositories {
		for i := range links {
			name := fmt.Sprintf("repo%03d", r)
			steps = append(steps, plan.Step{Op: plan.Remove, Kind: plan.LayerLink, Repository: name, Finding: finding.LayerLinkUnreferenced,
				Key: fmt.Sprintf("docker/registry/v2/repositories/%s/_layers/sha256/%064x/link", name, i)})
		}
	}
	for i := range links {
		steps = append(steps, plan.Step{Op: plan.Remove, Kind: plan.Blob, Finding: finding.BlobOrphan, Bytes: 1 << 20,
			Key: fmt.Sprintf("docker/registry/v2/blobs/sha256/%02x/%064x/data", i>>8, i)})
	}
	return steps
}

// written returns what a function writes.
func written(t *testing.T, write func(io.Writer, TextOptions) error, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDiffIsCutOnATerminalAlone(t *testing.T) {
	p := planOf(manySteps(25, 12))
	whole := written(t, p.WriteText, TextOptions{})
	if n := strings.Count(whole, "\n  - "); n != 26*12+2 || strings.Contains(whole, "more") {
		t.Errorf("off a terminal there are %d lines", n)
	}
	cut := written(t, p.WriteText, TextOptions{Terminal: true})
	if n := strings.Count(cut, "\n  - "); n != 11*10+2 {
		t.Errorf("on a terminal there are %d lines", n)
	}
	for _, want := range []string{
		"… and 15 more repositories: regfsck fix /var/lib/registry --json", "… and 2 more: regfsck fix", "--report report.json",
		"- _layers/sha256/000000000000…/link", "- sha256:000000000000…",
	} {
		if !strings.Contains(cut, want) {
			t.Errorf("%q is not in\n%s", want, cut)
		}
	}
	if text := written(t, planOf(manySteps(10, 10)).WriteText, TextOptions{Terminal: true}); strings.Contains(text, "more") {
		t.Errorf("lists of ten are cut:\n%s", text)
	}
}

func TestSharesAddUp(t *testing.T) {
	p := planOf(manySteps(2, 30))
	p.Result.Totals = graph.Totals{Blobs: 120, Bytes: 40 << 20, LayerLinks: 600, Repositories: 2}
	text := strings.Join(strings.Fields(written(t, p.WriteText, TextOptions{})), " ")
	for _, want := range []string{"blobs 30 90 25.0 %", "layer links 60 540 10.0 %", "size of blobs 30.0 MiB 10.0 MiB 75.0 %", "tags 0 0 -", "90 steps, 30.0 MiB go"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestStrangersAreCleanedInDiffsAndOutcomes(t *testing.T) {
	evil := "a\x1b[31m\r\n\x00\x7f\u0085\u202e\u200b\xff\\z"
	step := plan.Step{Op: plan.Remove, Kind: plan.LayerLink, Repository: evil, Key: evil, Finding: finding.LayerLinkDangling, Reason: evil}
	p := planOf([]plan.Step{step}, finding.Finding{Kind: finding.TagDangling, Repository: evil, Path: evil, Detail: evil, Cure: finding.CureRemoveAsk})
	p.Target, p.State, p.Unfinished, p.Apply = evil, evil, evil, []string{evil}
	p.Refusals = []apply.Refusal{{Why: evil, How: evil, Keys: []string{evil}}}
	r := &Run{
		Command: "fix", Target: evil, Store: []string{evil}, State: evil, Redis: evil,
		Outcome: &apply.Outcome{Run: evil, Keep: true, Kept: 1, Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Done: 1}}, NotDone: []apply.NotDone{{Step: step, Reason: evil}}},
	}
	runs := &Runs{State: evil, Runs: []journal.Summary{{ID: evil, Command: evil}}}
	purge := &Purge{Runs: []Purged{{ID: evil, Err: errors.New(evil)}, {ID: evil}}}
	for i, write := range []func(io.Writer, TextOptions) error{
		p.WriteText, p.WriteVerdict, r.WriteText, r.WriteVerdict, runs.WriteText, (&Runs{State: evil}).WriteText, purge.WriteText, purge.WriteVerdict,
	} {
		for _, c := range written(t, write, TextOptions{}) {
			if c != '\n' && (c < ' ' || c == 0x7f || strings.ContainsRune("\u0085\u202e\u200b\ufffd", c)) {
				t.Fatalf("%d: %q is in the text", i, c)
			}
		}
	}
}

func TestDocumentsAreJSON(t *testing.T) {
	empty := &apply.Outcome{}
	full := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.TagDangling: {Done: 1}, finding.BlobOrphan: {Failed: 2}}, NotDone: []apply.NotDone{{Reason: "why"}}}
	for schema, write := range map[string][]func(io.Writer) error{
		PlanSchema:  {planOf(nil).WriteJSON, planOf(manySteps(2, 2), damagedFindings()...).WriteJSON},
		RunSchema:   {(&Run{Outcome: empty}).WriteJSON, (&Run{Outcome: full, Exit: 13}).WriteJSON},
		RunsSchema:  {(&Runs{}).WriteJSON, (&Runs{Runs: make([]journal.Summary, 2)}).WriteJSON},
		PurgeSchema: {(&Purge{}).WriteJSON, (&Purge{Runs: make([]Purged, 2)}).WriteJSON},
	} {
		for i, w := range write {
			var b bytes.Buffer
			err := w(&b)
			var doc map[string]any
			if again := json.Unmarshal(b.Bytes(), &doc); err != nil || again != nil || doc["schema"] != schema || doc["exit"] == nil {
				t.Errorf("%s, %d: %v, %v in\n%s", schema, i, err, again, b.String())
			}
			if strings.Contains(b.String(), ":null") {
				t.Errorf("%s, %d: null in\n%s", schema, i, b.String())
			}
		}
	}
	for i, w := range []func(io.Writer) error{planOf(manySteps(9, 90)).WriteJSON, (&Run{Outcome: full}).WriteJSON, (&Purge{}).WriteJSON} {
		if err := w(&brokenWriter{}); !errors.Is(err, errBroken) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestAnUndoThatIsNoneSaysSo: the line that matters most doesn't say that all is
// as it was, and the runs are named.
func TestAnUndoThatIsNoneSaysSo(t *testing.T) {
	o := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Done: 1}}, RemovedLater: []string{"later", "latest"}}
	r := &Run{Command: "undo", Store: []string{"s"}, Outcome: o}
	text := written(t, r.WriteText, TextOptions{})
	if strings.Contains(text, "UNDONE") || !strings.Contains(text, "\n  later\n  latest\n") || !strings.Contains(text, "can't come back") {
		t.Errorf("%s", text)
	}
	if verdict := written(t, r.WriteVerdict, TextOptions{}); strings.Contains(verdict, "UNDONE") {
		t.Errorf("%s", verdict)
	}
}

func damagedFindings() []finding.Finding { return slices.Collect(damagedCheck().Result.Findings) }

// TestExitOfRuns: what was cured is damage no more, and nothing else is.
func TestExitOfRuns(t *testing.T) {
	link := finding.Finding{Kind: finding.LinkInvalid, Path: "l", Cure: finding.CureRebuild, AffectsCount: 1}
	tag := finding.Finding{Kind: finding.TagDangling, Path: "r/t/current/link", Repository: "r", Tag: "t", Cure: finding.CureRemoveAsk, AffectsCount: 1}
	nameless := finding.Finding{Kind: finding.TagWithoutCurrent, Path: "r/t", Repository: "r", Tag: "t", Cure: finding.CureRebuild, AffectsCount: 1}
	corrupt := finding.Finding{Kind: finding.BlobCorrupt, Path: "b", Cure: finding.CureMoveAsk}
	lost := finding.Finding{Kind: finding.ManifestMissing, Path: "m", Cure: finding.CureRemoveAsk}
	wanted := lost
	wanted.AffectsCount = 1
	step := func(f finding.Finding, key string) plan.Step { return plan.Step{Key: key, Finding: f.Kind} }
	for _, c := range []struct {
		name    string
		finding finding.Finding
		steps   []plan.Step
		left    int // of the steps
		want    Exit
	}{
		{"rebuilt", link, []plan.Step{step(link, "l")}, 0, Repaired},
		{"not asked for", tag, nil, 0, DamageLeft},
		{"rebuilding failed", link, []plan.Step{step(link, "l")}, 1, DamageLeft | Incomplete},
		{"a tag removed", tag, []plan.Step{step(tag, "r/t/index"), step(tag, tag.Path)}, 0, Repaired},
		{"half a tag removed", tag, []plan.Step{step(tag, tag.Path), step(tag, "r/t/index")}, 1, Repaired | DamageLeft | Incomplete},
		{"a tag's link written", nameless, []plan.Step{step(nameless, "r/t/current/link")}, 0, Repaired},
		{"moved away", corrupt, []plan.Step{step(corrupt, "b")}, 0, Repaired | DamageLeft},
		{"nobody wants it", lost, []plan.Step{step(lost, "m")}, 0, Repaired},
		{"a tag wants it", wanted, []plan.Step{step(wanted, "m")}, 0, Repaired | DamageLeft},
	} {
		p := &plan.Plan{Steps: c.steps}
		o := &apply.Outcome{Counts: map[finding.Kind]apply.Tally{}}
		for i, s := range c.steps {
			tally := o.Counts[s.Finding]
			if i < c.left {
				o.NotDone = append(o.NotDone, apply.NotDone{Step: s})
				tally.Skipped++
			} else {
				tally.Done++
			}
			o.Counts[s.Finding] = tally
		}
		if got := ExitOfRun(checkOf([]finding.Finding{c.finding}, nil).Result, p, o, finding.Error); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := ExitOfUndo(&apply.Outcome{RemovedLater: []string{"later"}}); got != Incomplete {
		t.Errorf("what came back needs what is gone: %d", got)
	}
	stopped := &apply.Outcome{Interrupted: true}
	if got := ExitOfRun(checkOf([]finding.Finding{link}, nil).Result, &plan.Plan{}, stopped, finding.Error); got != Cancelled|DamageLeft {
		t.Errorf("stopped: %d", got)
	}
}

// What failed may have changed something, and only where nothing failed is it said
// that all which was left is as it was.
func TestWhatFailedIsNotSaidToBeAsItWas(t *testing.T) {
	for failed, want := range map[bool]string{false: "What was left is as it was", true: "may have changed something"} {
		o := &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Skipped: 1}}, NotDone: []apply.NotDone{{Reason: "why"}, {Reason: "why not", Failed: failed}}}
		text := written(t, (&Run{Command: "fix", Store: []string{"s"}, Outcome: o}).WriteText, TextOptions{})
		if !strings.Contains(text, want) || failed && strings.Contains(text, "as it was") {
			t.Errorf("failed %t:\n%s", failed, text)
		}
	}
}
