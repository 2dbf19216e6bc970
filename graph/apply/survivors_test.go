package apply

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// A longer run: go test ./graph/apply -run Survivors -stores 10000
// One store again: go test ./graph/apply -run Survivors -stores 1 -seed 4711
var (
	survivorStores = flag.Uint64("stores", 240, "how many generated stores are fixed")
	survivorSeed   = flag.Uint64("seed", 0, "the seed of the first of them")
)

// What survives a fix is exactly what its plan says, and what tags need; soon
// there is nothing left to do, and undoing it gives back exactly what was there.
func TestSurvivorsAreWhatThePlanSays(t *testing.T) {
	const groups = 8 // most of the time goes into waiting for the disk
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			var all tally
			for i := group; i < *survivorStores; i += groups {
				seed := *survivorSeed + i
				for asked, policy := range plain() {
					if wrong := survive(t, seed, policy, &all); len(wrong) > 0 {
						_, story := randomStore(seed)
						t.Errorf("seed %d, policy %q:\n%s\nafter\n%s", seed, asked,
							strings.Join(wrong, "\n"), strings.Join(story, "\n"))
					}
				}
			}
			if *survivorStores >= 100 && (all.steps < 100 || all.halted*20 > all.fixes) {
				t.Errorf("too little was done: %+v", all)
			}
		})
	}
}

// tally is how much was done in all.
type tally struct{ fixes, steps, halted int }

// complaints are what is wrong with the store of a seed.
type complaints []string

func (c *complaints) say(what, d string) {
	if d != "" {
		*c = append(*c, what+":\n"+d)
	}
}

// maxRuns is how many fixes a store may take: the first, one for what links
// that were rebuilt had kept, and one for what they brought to light.
const maxRuns = 3

// survive fixes the store of a seed until nothing is to be done and undoes all
// of it. It returns what was wrong on the way.
func survive(t *testing.T, seed uint64, policy graph.Policy, all *tally) (wrong complaints) {
	b, _ := randomStore(seed)
	m, state := b.Memory(), t.TempDir()
	first := dump(m)
	var runs []string
	for before := (*plan.Plan)(nil); ; {
		p, r := planned(t, m, policy)
		if before != nil && len(p.Steps) > 0 && !mayFollow(before) {
			wrong.say("one more fix would do", listed(p))
		}
		if len(p.Steps) == 0 {
			for f := range r.Findings {
				if f.Cure == graph.CureRemove && !f.Young || f.Cure == graph.CureRebuild {
					wrong.say("found, and not fixed", f.ID.String()+" "+f.Path)
				}
			}
			break
		}
		if len(runs) == maxRuns {
			wrong.say("it never ends", listed(p))
			break
		}
		was := dump(m)
		out := carryOut(t, m, state, p, policy)
		all.fixes++
		all.steps += len(p.Steps)
		if halted(p, out) {
			all.halted++
		}
		wrong.afterFix(was, dump(m), p, out)
		runs, before = append(runs, out.Run), p
	}
	can := pulls(dump(m))
	for ref := range pulls(first) {
		if !can[ref] {
			wrong.say("can't be pulled any more", ref)
		}
	}
	undoAll(t, m, state, runs)
	wrong.say("after the undo", diff(first, dump(m)))
	return wrong
}

// afterFix holds what a fix did to what it was to do.
func (c *complaints) afterFix(was, is map[string]string, p *plan.Plan, out *Outcome) {
	c.say("a tag's needs", lost(needs(was), was, is))
	if halted(p, out) { // it does less
		c.say("gone besides", strings.Join(deleted(survivors(was, p), bodies(is)), "\n"))
		return
	}
	for _, l := range out.NotDone {
		c.say("left", l.Step.Key+": "+l.Reason)
	}
	c.say("not what the plan says", diff(survivors(was, p), bodies(is)))
}

func planned(t *testing.T, m *fixtures.Memory, policy graph.Policy) (*plan.Plan, *graph.Result) {
	t.Helper()
	r, _, err := graph.Check(context.Background(), m, options(policy))
	if err != nil {
		t.Fatal(err)
	}
	return plan.New(r, policy), r
}

// carryOut carries a plan out, however much of the store is missing.
func carryOut(t *testing.T, m *fixtures.Memory, state string, p *plan.Plan, policy graph.Policy) *Outcome {
	t.Helper()
	in := input(m.Store(), state, p, policy)
	in.Limits.MaxDelete = 1
	out, err := Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
