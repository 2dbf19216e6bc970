package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// guarded is a store with something to fix, and the input of a run.
type guarded struct {
	t  *testing.T
	m  *fixtures.Memory
	in Input
}

// garbage returns a store with an orphan and an untagged manifest.
func garbage() *fixtures.Builder {
	b := fixtures.New(3)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("a", "", fixtures.Image{})
	b.Put(layout.BlobKey(layout.Sum([]byte("orphan"))), []byte("orphan"))
	b.SetClock(b.Now().Add(time.Hour))
	b.Image("z", "newest", fixtures.Image{})
	return b
}

func guard(t *testing.T, b *fixtures.Builder, p gc.Policy) *guarded {
	g := &guarded{t: t, m: b.Memory()}
	o := options(p)
	o.Fingerprint = true
	made, _, err := check.Store(context.Background(), g.m, o)
	if err != nil {
		t.Fatal(err)
	}
	g.in = input(g.m.Store(), t.TempDir(), plan.New(made, p), p)
	g.in.Found = made
	if len(g.in.Plan.Steps) == 0 {
		t.Fatal("there is nothing to do")
	}
	return g
}

// refused expects a refusal with the word, without changes.
func (g *guarded) refused(word string) *Refused {
	g.t.Helper()
	was := dump(g.m)
	out, err := Run(context.Background(), g.in)
	var r *Refused
	if !errors.As(err, &r) || out != nil {
		g.t.Fatalf("%q: it ran: %v, %+v", word, err, out)
	}
	if !strings.Contains(r.Error(), word) {
		g.t.Errorf("refused for %v, want %q", r, word)
	}
	for _, reason := range r.Reasons {
		if reason.How == "" {
			g.t.Errorf("%q doesn't say how to go on", reason.Why)
		}
	}
	if d := diff(was, dump(g.m)); d != "" {
		g.t.Errorf("%q: the store was touched:\n%s", word, d)
	}
	if runs, err := journal.Summaries(g.in.State); err != nil || len(runs) > 0 && runs[0].ID == g.in.Run.ID {
		g.t.Errorf("%q: there is a run: %v, %v", word, runs, err)
	}
	return r
}

// runs expects no refusal.
func (g *guarded) runs() *Outcome {
	g.t.Helper()
	out, err := Run(context.Background(), g.in)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

func TestGuardsOfFacts(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	g.in.Given.Answering = "localhost:5000"
	g.refused("localhost:5000")
	g.in.Limits.RunningOK = true
	g.in.Given.NoUndo = "the bucket keeps no versions"
	g.refused("keeps no versions")
	g.in.Limits.NoUndoOK = true
	g.runs()
}

// cancelled is a store whose context is cancelled when it is asked whether it can undo.
type cancelled struct {
	backend.Store
	cancel func()
}

func (c cancelled) CanUndo(ctx context.Context) error {
	c.cancel()
	return ctx.Err()
}

func TestACancelledGuardIsNoRefusal(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	ctx, cancel := context.WithCancel(context.Background())
	g.in.Store = cancelled{g.m.Store(), cancel}
	if out, err := Run(ctx, g.in); !errors.Is(err, context.Canceled) || out != nil {
		t.Errorf("%v, %+v", err, out)
	}
}

func TestAnIncompleteScanIsRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	f := fixtures.NewFaultyStore(g.m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpItem && strings.Contains(key, "/z/_manifests/revisions/") {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	g.in.Store = f
	r := g.refused("incomplete")
	if len(r.Reasons[0].Keys) == 0 {
		t.Error("it doesn't name what could not be read")
	}
}

func TestAChangedStoreIsRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	g.in.Store = fixtures.NewFaultyStore(g.m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpItem && key == "docker/registry/v2/repositories/z/_manifests/tags/newest/current/link" {
			return fixtures.Lie // the listing precedes the change
		}
		return fixtures.Right
	})
	g.refused("changed while it was read")
}

func TestAStalePlanIsRefused(t *testing.T) {
	for name, change := range map[string]func(*fixtures.Memory, *plan.Step){
		"gone":          func(m *fixtures.Memory, s *plan.Step) { m.Delete(s.Key) },
		"written again": func(m *fixtures.Memory, s *plan.Step) { m.Touch(s.Key, now.AddDate(0, -1, 0)) },
		"another size":  func(m *fixtures.Memory, s *plan.Step) { m.Put(s.Key, []byte("x"), time.Unix(s.Modified, 0)) },
		"needed": func(m *fixtures.Memory, s *plan.Step) {
			doc := `{"schemaVersion":2,"config":{"digest":"` + s.Digest + `","size":6},"layers":[]}`
			d := layout.Sum([]byte(doc))
			m.Put(layout.BlobKey(d), []byte(doc), now)
			for _, key := range []string{layout.RevisionKey("z", d), layout.CurrentKey("z", "new")} {
				m.Put(key, []byte(d.String()), now)
			}
			config, _ := layout.ParseDigest(s.Digest)
			m.Put(layout.LayerKey("z", config), []byte(s.Digest), now)
		},
		"linked by a push in flight": func(m *fixtures.Memory, s *plan.Step) {
			d, _ := layout.ParseDigest(s.Digest)
			m.Put(layout.LayerKey("z", d), []byte(s.Digest), now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, garbage(), gc.Policy{})
			s := &g.in.Plan.Steps[0]
			change(g.m, s)
			just := g.in.Found
			g.in.Found = nil // a saved plan
			r := g.refused("stale")
			if len(r.Reasons[0].Keys) != 1 || r.Reasons[0].Keys[0] != s.Key {
				t.Errorf("it names %q, want %q", r.Reasons[0].Keys, s.Key)
			}
			g.in.Found = just
			was := dump(g.m)
			var no *Refused
			if out, err := Run(context.Background(), g.in); err == nil && reasons(out)[s.Key] == "" || err != nil && !errors.As(err, &no) {
				t.Errorf("made just now, it isn't left: %+v, %v", out, err)
			}
			if d := diff(was, dump(g.m)); d != "" {
				t.Errorf("made just now, it is carried out:\n%s", d)
			}
		})
	}
}

// TestAPlanThatLacksStepsIsRefused: without the removal of the link, the removal of the blob
// doesn't follow.
func TestAPlanThatLacksStepsIsRefused(t *testing.T) {
	b := garbage()
	b.Push("a", "x", []byte("linked, and of no manifest"))
	g := guard(t, b, gc.Policy{Untagged: true})
	whole := g.in.Plan.Steps
	for i := range whole {
		if s := whole[i]; s.Kind != plan.LayerLink && s.Kind != plan.RevisionLink {
			continue
		}
		g.in.Plan = &plan.Plan{Steps: append(append([]plan.Step{}, whole[:i]...), whole[i+1:]...)}
		g.refused("stale")
	}
}

// TestAnEditedPlanIsRefused: a step must be as the judgement has it, since guards and totals
// use it.
func TestAnEditedPlanIsRefused(t *testing.T) {
	b := garbage()
	b.Image("harbour/x", "", fixtures.Image{})
	g := guard(t, b, gc.Policy{Untagged: true})
	whole := g.in.Plan.Steps
	for name, lie := range map[string]func(*plan.Step){
		"finding":    func(s *plan.Step) { s.Finding = finding.BlobOrphan },
		"repository": func(s *plan.Step) { s.Repository = "other" },
		"bytes":      func(s *plan.Step) { s.Bytes = 1 },
		"digest":     func(s *plan.Step) { s.Digest = layout.Sum(nil).String() },
	} {
		t.Run(name, func(t *testing.T) {
			g.in.Plan = &plan.Plan{Steps: slices.Clone(whole)}
			for i := range g.in.Plan.Steps {
				if g.in.Plan.Steps[i].Finding == finding.ManifestUntagged {
					lie(&g.in.Plan.Steps[i])
				}
			}
			g.in.Limits.AllowTagless = name != "finding"
			g.refused("stale")
		})
	}
}

func TestAWrongRootIsRefused(t *testing.T) {
	b := fixtures.New(3)
	b.Put(layout.BlobKey(layout.Sum([]byte("x"))), []byte("x"))
	b.Mkdir(layout.Repositories)
	g := guard(t, b, gc.Policy{})
	g.refused("no repository")
}

func TestBlobsThatAreNotMountedAreRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	g.m.Delete(layout.Blobs)
	g.m.Mkdir(layout.Blobs)
	g.refused("are missing")
}

func TestTooMuchIsRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{Untagged: true})
	g.in.Limits.MinObjects = 1
	r := g.refused("of the 13 blobs would be removed")
	if !strings.Contains(r.Reasons[0].How, "--max-delete 39%") {
		t.Errorf("it says %q", r.Reasons[0].How)
	}
	g.in.Limits.MaxDelete = 0.39
	g.runs()
}

func TestADatabaseIsRefused(t *testing.T) {
	b := garbage()
	b.Upload("a", 5)
	b.Put(layout.Locks+"/database-in-use", []byte(`{"version":1}`))
	guard(t, b, gc.Policy{}).refused("in a database")
}

func TestBlobsWithoutLinksAreRefused(t *testing.T) {
	b := garbage()
	for i := range byte(11) {
		b.Put(layout.BlobKey(layout.Sum([]byte{i})), []byte{i})
	}
	g := guard(t, b, gc.Policy{})
	g.refused("no link names")
	g.m.Put(layout.Locks+"/filesystem-in-use", nil, now)
	g.runs()
}

func TestTaglessRepositoriesAreRefused(t *testing.T) {
	b := garbage()
	b.Image("harbour/x", "", fixtures.Image{})
	g := guard(t, b, gc.Policy{Untagged: true})
	g.in.Limits.AllowTagless = false
	r := g.refused("no tag at all")
	if len(r.Reasons[0].Keys) != 1 || r.Reasons[0].Keys[0] != "harbour/x" {
		t.Errorf("it names %q", r.Reasons[0].Keys)
	}
	g.in.Limits.AllowTagless = true
	g.runs()
}

func TestASecondRegfsckIsRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	unlock, err := g.m.Store().Lock(context.Background(), backend.Run{ID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	g.refused("other")
	unlock()
	g.runs()
}

// TestAnUnfinishedUndoIsRefused: while an undo is unfinished, and out of order, nothing is
// changed.
func TestAnUnfinishedUndoIsRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	first := g.runs().Run
	f := fixtures.NewFaultyStore(g.m.Store(), func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if op == fixtures.OpRestore {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	if out, err := Undo(context.Background(), f, g.in.State, ""); err != nil || out.Steps.Failed == 0 {
		t.Fatalf("the undo didn't fail: %v, %+v", err, out)
	}
	g.refused("undo of run " + first)
	if out, err := Undo(context.Background(), g.m.Store(), g.in.State, ""); err != nil || !out.Resumed || len(out.NotDone) > 0 {
		t.Errorf("the undo doesn't go on: %v, %+v", err, out)
	}
}

// slowLock is a store in which something happens before it is locked.
type slowLock struct {
	*fixtures.MemoryStore
	before func()
}

func (l *slowLock) Lock(ctx context.Context, run backend.Run) (func() error, error) {
	l.before()
	return l.MemoryStore.Lock(ctx, run)
}

// TestGuardsAreRepeatedUnderTheLock: what another regfsck began meanwhile is refused.
func TestGuardsAreRepeatedUnderTheLock(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	first := mustFix(t, g.m.Store(), g.in.State, gc.Policy{Untagged: true}).Run
	g.in.Plan, _ = planned(t, garbage().Memory(), gc.Policy{})
	g.in.Store = &slowLock{g.m.Store(), func() {
		ctx, cancel := context.WithCancel(context.Background())
		f := fixtures.NewFaultyStore(g.m.Store(), atFirst(fixtures.OpRestore, cancel))
		if out, err := Undo(ctx, f, g.in.State, ""); err != nil || !out.Interrupted {
			t.Errorf("%v, %+v", err, out)
		}
	}}
	var r *Refused
	if out, err := Run(context.Background(), g.in); !errors.As(err, &r) || !strings.Contains(r.Error(), "undo of run "+first) {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestTagsInADatabaseAreRefused: if a database may hold the tags, no untagged manifest is
// removed.
func TestTagsInADatabaseAreRefused(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{Untagged: true})
	g.in.Limits.AllowTagless = false
	g.in.Given.Harbor = "auth.htpasswd.realm in config.yml"
	g.refused("Harbor")
	g.in.Limits.AllowTagless = true
	g.runs()

	plain := guard(t, garbage(), gc.Policy{})
	plain.in.Limits.AllowTagless = false
	plain.in.Given.Harbor = "auth.htpasswd.realm in config.yml"
	plain.runs() // with revisions as roots nothing is removed

	b := fixtures.New(3)
	for i := range 8 {
		b.Image(fmt.Sprint("r", i), "v1", fixtures.Image{})
	}
	for i := range 8 {
		b.Image(fmt.Sprint("r", i), "", fixtures.Image{})
	}
	g = guard(t, b, gc.Policy{Untagged: true})
	g.in.Limits.AllowTagless = false
	if r := g.refused("every tag is older"); len(r.Reasons) != 1 || len(r.Reasons[0].Keys) != 8 {
		t.Errorf("%+v", r.Reasons)
	}
	g.in.Limits.AllowTagless = true
	g.runs()
}

// TestSharesAreOfTheStoreAsItWas: what an interrupted run removed doesn't count against its
// plan, or against one that finishes it.
func TestSharesAreOfTheStoreAsItWas(t *testing.T) {
	b := fixtures.New(3)
	for i := range 60 {
		b.Put(layout.BlobKey(layout.Sum([]byte{byte(i)})), []byte{byte(i)})
	}
	b.Mkdir(layout.Repositories + "/void")
	for range 10 {
		b.Image("app", "v1", fixtures.Image{})
	}
	m, state := b.Memory(), t.TempDir()
	limits := Limits{MaxDelete: 0.7, MinObjects: 1}
	planned := func() (*check.Result, *plan.Plan) {
		r, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		return r, plan.New(r, gc.Policy{})
	}
	refusals := func(r *check.Result, p *plan.Plan, l Limits) string {
		facts, err := FindFacts(context.Background(), m, state, Given{})
		if err != nil {
			t.Fatal(err)
		}
		return (&Refused{Refusals(r, p, l, facts)}).Error()
	}
	none := (&Refused{}).Error()

	r, saved := planned()
	if got := refusals(r, saved, limits); got != none {
		t.Fatal(got)
	}
	tight := limits
	tight.MaxDelete = 0.5
	if got := refusals(r, saved, tight); !strings.Contains(got, "60 of the 100 blobs would be removed") {
		t.Fatal(got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in := input(fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel)), state, saved, gc.Policy{})
	in.Limits = limits
	if out, err := Run(ctx, in); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	r, rest := planned()
	if r.Totals.Blobs != 40 || len(rest.Steps) == 0 {
		t.Fatalf("%d blobs are left, and %d steps", r.Totals.Blobs, len(rest.Steps))
	}
	for name, p := range map[string]*plan.Plan{"its own": saved, "a new one": rest} {
		facts, err := FindFacts(context.Background(), m, state, Given{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range Shares(r, p, facts) {
			if s.Removed < 0 || s.Remaining < 0 || s.Removed+s.Remaining > s.Total || s.Name == "blobs" && s != (Share{"blobs", 0, 40, 100, false}) {
				t.Errorf("%s: %+v", name, s)
			}
		}
		for _, l := range []Limits{limits, tight} {
			if got := refusals(r, p, l); got != none {
				t.Errorf("%s, at most %v: %s", name, l.MaxDelete, got)
			}
		}
	}
	in = input(m.Store(), state, saved, gc.Policy{})
	in.Limits = tight
	if out, err := Run(context.Background(), in); err != nil || !out.Resumed || out.Interrupted || len(out.NotDone) > 0 {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestSingular: a refusal about one object uses the singular.
func TestSingular(t *testing.T) {
	r := &check.Result{Findings: func(func(finding.Finding) bool) {}, Totals: check.Totals{Blobs: 1, Revisions: 1, Tags: 1, LayerLinks: 1, Bytes: 1}}
	r.Counts[finding.StoreUnreadable].Count, r.Counts[finding.StoreChanged].Count = 1, 1
	r.Doubts.Tagless, r.Doubts.Overtaken = []string{"app"}, []string{"app"}
	p := &plan.Plan{Steps: []plan.Step{
		{Op: plan.Remove, Kind: plan.Blob, Key: "b", Finding: finding.BlobOrphan},
		{Op: plan.Remove, Kind: plan.RevisionLink, Key: "r", Finding: finding.ManifestUntagged},
		{Op: plan.Remove, Kind: plan.LayerLink, Key: "l", Finding: finding.LayerLinkUnreferenced},
		{Op: plan.Remove, Kind: plan.Directory, Key: layout.RepositoryKey("app") + "/_layers/", Repository: "app", Finding: finding.RepoEmpty},
	}}
	plural := regexp.MustCompile(`\b1 (of the 1 )?(things|places|blobs|manifests|tags|layer links|repositories)\b`)
	all := append(Refusals(r, p, Limits{}, Facts{}), Refusals(r, p, Limits{ByRule: true}, Facts{})...)
	if len(all) < 8 {
		t.Errorf("only %d refusals", len(all))
	}
	for _, refusal := range all {
		if plural.MatchString(refusal.Why) {
			t.Errorf("%q", refusal.Why)
		}
	}
}

// TestLimitsOfGuards: each guard permits what is just within its limit, or doesn't concern
// it, and refuses what is just beyond.
func TestLimitsOfGuards(t *testing.T) {
	d := layout.Sum([]byte("x")).String()
	removal := func(kind plan.Kind, id finding.Kind, repository string) *plan.Plan {
		return &plan.Plan{Steps: []plan.Step{{Op: plan.Remove, Kind: kind, Key: "k", Finding: id, Repository: repository}}}
	}
	orphan := removal(plan.Blob, finding.BlobOrphan, "")
	write := &plan.Plan{Steps: []plan.Step{{Op: plan.Write, Kind: plan.Rebuilt, Key: "k", Finding: finding.LayerLinkMissing, Absent: true}}}
	missing := func(kinds ...finding.Kind) func(*check.Result) {
		return func(r *check.Result) {
			r.Totals.ReferencedBlobs = 3
			for _, k := range kinds {
				r.Counts[k].Count++
			}
			r.Findings = func(yield func(finding.Finding) bool) {
				for i, k := range kinds {
					if !yield(finding.Finding{Kind: k, Digest: layout.Sum([]byte{byte(i)}).String()}) {
						return
					}
				}
			}
		}
	}
	linkless := func(n int) func(*check.Result) { return func(r *check.Result) { r.Doubts.Linkless = n } }
	tagless := func(r *check.Result) { r.Doubts.Tagless = []string{"app"} }
	overtaken := func(r *check.Result) { r.Doubts.Overtaken = []string{"app"} }
	blobs := func(n int) func(*check.Result) { return func(r *check.Result) { r.Totals.Blobs = n } }
	most := Limits{MaxDelete: 1}
	quarter := Limits{MaxDelete: 0.25, MinObjects: 3}
	rule := Limits{MaxDelete: 1, ByRule: true}
	for name, c := range map[string]struct {
		spoil func(*check.Result)
		plan  *plan.Plan
		l     Limits
		f     Facts
		why   string // in the refusal; "" for none
	}{
		"nothing":                                {nil, orphan, most, Facts{}, ""},
		"no undo for what is removed":            {nil, orphan, most, Facts{Given: Given{NoUndo: "no way"}}, "no way"},
		"no undo for what is written":            {nil, write, most, Facts{Given: Given{NoUndo: "no way"}}, ""},
		"a quarter is missing":                   {missing(finding.BlobMissing), write, quarter, Facts{}, ""},
		"more is missing":                        {missing(finding.BlobMissing, finding.ManifestMissing), write, quarter, Facts{}, "are missing"},
		"a tag's manifest is missing":            {missing(finding.TagDangling), write, Limits{}, Facts{}, "is missing"},
		"one thing twice":                        {func(r *check.Result) { missing(finding.BlobMissing)(r); r.Counts[finding.BlobMissing].Count = 9 }, write, quarter, Facts{}, ""},
		"a quarter of the blobs":                 {blobs(4), orphan, quarter, Facts{}, ""},
		"a third of the blobs":                   {blobs(3), orphan, quarter, Facts{}, "of the 3 blobs"},
		"half of a few blobs":                    {blobs(2), orphan, quarter, Facts{}, ""},
		"ten blobs without a link":               {linkless(10), orphan, most, Facts{}, ""},
		"eleven":                                 {linkless(11), orphan, most, Facts{}, "that no link names"},
		"eleven, one of them by the run":         {linkless(11), orphan, most, Facts{Unlinked: 1}, ""},
		"eleven, and no orphan is removed":       {linkless(11), removal(plan.LayerLink, finding.LayerLinkUnreferenced, "app"), most, Facts{}, ""},
		"no tag, and untagged ones go":           {tagless, removal(plan.RevisionLink, finding.ManifestUntagged, "other"), most, Facts{}, "no tag at all"},
		"no tag, and a rule removes there":       {tagless, removal(plan.RevisionLink, finding.ManifestRemoved, "app"), rule, Facts{}, "no tag at all"},
		"no tag, and a person names it":          {tagless, removal(plan.RevisionLink, finding.ManifestRemoved, "app"), most, Facts{}, ""},
		"no tag, and a rule removes elsewhere":   {tagless, removal(plan.RevisionLink, finding.ManifestRemoved, "other"), rule, Facts{}, ""},
		"no tag, and a rule removes something":   {tagless, removal(plan.LayerLink, finding.LayerLinkUnreferenced, "app"), rule, Facts{}, ""},
		"tags of old, and a rule":                {overtaken, removal(plan.RevisionLink, finding.ManifestRemoved, "app"), rule, Facts{}, "every tag is older"},
		"tags of old, and a person":              {overtaken, removal(plan.RevisionLink, finding.ManifestRemoved, "app"), most, Facts{}, ""},
		"Harbor's, and a rule removes its needs": {nil, removal(plan.RevisionLink, finding.ManifestUnneeded, "app"), rule, Facts{Given: Given{Harbor: "x"}}, "Harbor"},
		"Harbor's, and a person":                 {nil, removal(plan.RevisionLink, finding.ManifestUnneeded, "app"), most, Facts{Given: Given{Harbor: "x"}}, ""},
	} {
		r := &check.Result{Complete: true, Findings: func(func(finding.Finding) bool) {}, Totals: check.Totals{Repositories: 1}}
		if c.spoil != nil {
			c.spoil(r)
		}
		all := Refusals(r, c.plan, c.l, c.f)
		if c.why == "" && len(all) > 0 || c.why != "" && (len(all) != 1 || !strings.Contains(all[0].Why, c.why)) {
			t.Errorf("%s: %+v, want %q", name, all, c.why)
		}
	}
	g := Given{}.WithoutUndo(fmt.Errorf("the bucket: %w", backend.ErrRetained))
	if g.Retained == "" || g.NoUndo != "" || g.CannotDelete {
		t.Errorf("a lock on what is written: %+v", g)
	}
	if g = (Given{}).WithoutUndo(backend.ErrTestObject); g.Retained != "" || g.NoUndo == "" || !g.CannotDelete {
		t.Errorf("an object that is kept: %+v", g)
	}
	run := &journal.Run{
		Intents: []journal.Intent{
			{Op: plan.Remove, Kind: plan.Blob, Key: "failed", Digest: d}, {Op: plan.Remove, Kind: plan.Blob, Key: "done", Bytes: 3}, {Op: plan.Remove, Kind: plan.Blob, Key: "unknown", Bytes: 4},
			{Op: plan.Write, Kind: plan.Rebuilt, Key: "written"},
		},
		Receipts: map[string]journal.Receipt{"failed": {Err: "no"}, "done": {}},
	}
	if keys, n := removedBy([]*journal.Run{run, run}); len(keys) != 2 || !keys["done"] || !keys["unknown"] || n.Blobs != 2 || n.BlobBytes != 7 {
		t.Errorf("removed are %v, %+v", keys, n)
	}
}

// TestAnUndoIsFinishedFirst: while an undo is unfinished, no other run changes the store,
// whichever state directories they have: what was restored may have no references yet.
func TestAnUndoIsFinishedFirst(t *testing.T) {
	m, state, other := garbage().Memory(), t.TempDir(), t.TempDir()
	run := kept(t, m.Store(), state, true).Run
	ctx, cancel := context.WithCancel(context.Background())
	s := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRestore, cancel))
	if out, err := Undo(ctx, s, state, run); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	m.Put(layout.BlobKey(layout.Sum([]byte("restored"))), []byte("restored"), fixtures.Epoch)
	was := dump(m)
	refuses := func(s backend.Store, directory, why, how string) {
		t.Helper()
		_, err := fix(s, directory, gc.Policy{})
		refused, _ := errors.AsType[*Refused](err)
		if refused == nil || !strings.Contains(refused.Error(), why) || !strings.Contains(refused.Reasons[0].How, how) {
			t.Errorf("%v", err)
		}
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("the store was changed:\n%s", d)
		}
	}
	refuses(m.Store(), state, run, "regfsck undo STORE "+run)
	refuses(&beside{m.Store(), state}, other, run, "regfsck undo STORE "+run+" --state "+state)
	refuses(&unreadable{m.Store(), nil}, other, "input/output error", "")
	refuses(&unreadable{m.Store(), []backend.StateDir{{Path: state, Here: true, Gone: true, Unread: "permission denied"}}}, other, "permission denied", "")

	name := filepath.Join(state, "runs", run, journal.FileName) // a damaged journal changes nothing of that
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Replace(whole, []byte("blobs/sha256"), []byte("blobs/sha255"), 1)
	if err := os.WriteFile(name, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := journal.Read(state, run, journal.Whole); err != nil || p.Damage == "" {
		t.Fatalf("%v, %+v", err, p)
	}
	refuses(&beside{m.Store(), state}, other, run, "regfsck purge --damaged STORE "+run+" --state "+state)
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	undone(t, m, state, run)
	mustFix(t, &beside{m.Store(), state}, other, gc.Policy{})
}

// unreadable is a store whose other state directories can't be read, or, without any, whose record
// of them.
type unreadable struct {
	*fixtures.MemoryStore
	states []backend.StateDir
}

func (u *unreadable) States(context.Context) ([]backend.StateDir, error) {
	if u.states == nil {
		return nil, errors.New("input/output error")
	}
	return u.states, nil
}
