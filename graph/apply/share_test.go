package apply

import (
	"context"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Shares are of the store as it was when a run began: what it has taken before it
// was interrupted is no reason to refuse its plan, nor one that finishes the work.
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
	planned := func() (*graph.Result, *plan.Plan) {
		r, _, err := graph.Check(context.Background(), m, options(graph.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		return r, plan.New(r, graph.Policy{})
	}
	refusals := func(r *graph.Result, p *plan.Plan, l Limits) string {
		facts, err := Look(context.Background(), m, state, Facts{})
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
	if got := refusals(r, saved, tight); !strings.Contains(got, "60 of the 100 blobs would go") {
		t.Fatal(got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in := input(fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel)), state, saved, graph.Policy{})
	in.Limits = limits
	if out, err := Run(ctx, in); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	r, rest := planned()
	if r.Totals.Blobs != 40 || len(rest.Steps) == 0 {
		t.Fatalf("%d blobs are left, and %d steps", r.Totals.Blobs, len(rest.Steps))
	}
	for name, p := range map[string]*plan.Plan{"its own": saved, "a new one": rest} {
		facts, err := Look(context.Background(), m, state, Facts{})
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
	in = input(m.Store(), state, saved, graph.Policy{})
	in.Limits = tight
	if out, err := Run(context.Background(), in); err != nil || !out.Resumed || out.Interrupted || len(out.NotDone) > 0 {
		t.Errorf("%v, %+v", err, out)
	}
}
