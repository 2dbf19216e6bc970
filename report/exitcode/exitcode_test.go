package exitcode

import (
	"slices"
	"testing"

	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

func TestExitOf(t *testing.T) {
	one := func(ids ...finding.Kind) *check.Result {
		r := &check.Result{Complete: true}
		for _, id := range ids {
			r.Counts[id].Count = 1
		}
		return r
	}
	incomplete := func(ids ...finding.Kind) *check.Result {
		r := one(ids...)
		r.Complete = false
		return r
	}
	young := &check.Result{Complete: true}
	young.Counts[finding.BlobOrphan].InGrace = 9
	const never = finding.Fatal
	for _, c := range []struct {
		name   string
		result *check.Result
		failOn finding.Severity
		want   Code
	}{
		{"nothing", one(), finding.Garbage, 0},
		{"error", one(finding.BlobMissing), finding.Error, 4},
		{"error, never", one(finding.BlobMissing), never, 0},
		{"error, warning", one(finding.TagDangling), finding.Warning, 4},
		{"warning", one(finding.ForeignFile), finding.Error, 0},
		{"warning, warning", one(finding.ForeignFile), finding.Warning, 4},
		{"warning, garbage", one(finding.ForeignFile), finding.Garbage, 4},
		{"warning, never", one(finding.ForeignFile), never, 0},
		{"garbage", one(finding.BlobOrphan), finding.Error, 0},
		{"garbage, warning", one(finding.BlobOrphan), finding.Warning, 0},
		{"garbage, garbage", one(finding.SignatureLegacy), finding.Garbage, 4},
		{"young garbage, garbage", young, finding.Garbage, 0},
		{"unreadable", incomplete(finding.StoreUnreadable), finding.Error, 8},
		{"unreadable, never", incomplete(finding.StoreUnreadable), never, 8},
		{"unreadable and error", incomplete(finding.StoreUnreadable, finding.BlobCorrupt), finding.Error, 12},
		{"unreadable and error, never", incomplete(finding.StoreUnreadable, finding.BlobCorrupt), never, 8},
	} {
		if got := OfCheck(c.result, c.failOn, nil); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestExitNames(t *testing.T) {
	for e, want := range map[Code][]string{
		0: {}, 1: {"repaired"}, 4: {"damage-left"}, 8: {"incomplete"}, 16: {"usage"}, 32: {"cancelled"}, 64: {"refused"},
		12: {"damage-left", "incomplete"}, 5: {"repaired", "damage-left"},
	} {
		if got := e.Names(); !slices.Equal(got, want) || got == nil {
			t.Errorf("%d: %q, want %q", e, got, want)
		}
		if e.Meaning() == "" {
			t.Errorf("%d means nothing", e)
		}
	}
	for _, b := range Bits() {
		if b.Bit == 2 {
			t.Error("2 is what Go dies with")
		}
	}
}

// TestExitOfRuns: only what was cured is no damage any more.
func TestExitOfRuns(t *testing.T) {
	link := finding.Finding{Kind: finding.LinkInvalid, Path: "l", Cure: finding.CureRebuild, AffectsCount: 1}
	tag := finding.Finding{Kind: finding.TagDangling, Path: "r/t/current/link", Repository: "r", Tag: "t", Cure: finding.CureRemoveAsk, AffectsCount: 1}
	nameless := finding.Finding{Kind: finding.TagWithoutCurrent, Path: "r/t", Repository: "r", Tag: "t", Cure: finding.CureRebuild, AffectsCount: 1}
	corrupt := finding.Finding{Kind: finding.BlobCorrupt, Path: "b", Cure: finding.CureMoveAsk}
	state := finding.Finding{Kind: finding.CacheStateInvalid, Path: "s", Cure: finding.CureMoveAsk}
	lost := finding.Finding{Kind: finding.ManifestMissing, Path: "m", Cure: finding.CureRemoveAsk}
	wanted := lost
	wanted.AffectsCount = 1
	step := func(f finding.Finding, key string) plan.Step { return plan.Step{Key: key, Finding: f.Kind} }
	for _, c := range []struct {
		name    string
		finding finding.Finding
		steps   []plan.Step
		left    int // of the steps
		want    Code
	}{
		{"rebuilt", link, []plan.Step{step(link, "l")}, 0, Repaired},
		{"not asked for", tag, nil, 0, DamageLeft},
		{"rebuilding failed", link, []plan.Step{step(link, "l")}, 1, DamageLeft | Incomplete},
		{"a tag removed", tag, []plan.Step{step(tag, "r/t/index"), step(tag, tag.Path)}, 0, Repaired},
		{"half a tag removed", tag, []plan.Step{step(tag, tag.Path), step(tag, "r/t/index")}, 1, Repaired | DamageLeft | Incomplete},
		{"a tag's link written", nameless, []plan.Step{step(nameless, "r/t/current/link")}, 0, Repaired},
		{"moved away", corrupt, []plan.Step{step(corrupt, "b")}, 0, Repaired | DamageLeft},
		{"the state of a cache moved away", state, []plan.Step{step(state, "s")}, 0, Repaired},
		{"nobody wants it", lost, []plan.Step{step(lost, "m")}, 0, Repaired},
		{"removed as garbage", link, []plan.Step{{Key: "l", Finding: finding.ManifestUntagged}}, 0, 0},
		{"its history is garbage", tag, []plan.Step{{Key: "r/t/index", Kind: plan.TagHistory, Repository: "r", Tag: "t", Finding: finding.TagHistoryStale}}, 0, DamageLeft},
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
		if got := OfRun(resultOf(c.finding), p, o, finding.Error); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	unknown := resultOf()
	unknown.Totals.TagsUnknown = 1
	unknown.Unknown = slices.Values([]finding.BrokenTag{{Repository: "r", Tag: "t"}})
	removal := &plan.Plan{Steps: []plan.Step{{Key: "r/t", Kind: plan.Tag, Repository: "r", Tag: "t", Finding: finding.TagRemoved}}}
	if got := OfRun(unknown, &plan.Plan{}, &apply.Outcome{}, finding.Error); got != Incomplete {
		t.Errorf("a tag that can't be judged: %d", got)
	}
	if got := OfRun(unknown, removal, &apply.Outcome{}, finding.Error); got != 0 {
		t.Errorf("a tag that can't be judged, removed: %d", got)
	}
	if got := OfUndo(&apply.Outcome{RemovedLater: []string{"later"}}); got != Incomplete {
		t.Errorf("what came back needs what is gone: %d", got)
	}
	stopped := &apply.Outcome{Interrupted: true}
	if got := OfRun(resultOf(link), &plan.Plan{}, stopped, finding.Error); got != Cancelled|DamageLeft {
		t.Errorf("stopped: %d", got)
	}
}

// resultOf returns the result of a check with these findings.
func resultOf(all ...finding.Finding) *check.Result {
	r := &check.Result{Complete: true, Findings: slices.Values(all)}
	for _, f := range all {
		r.Counts[f.Kind].Count++
	}
	return r
}
