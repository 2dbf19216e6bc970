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

// What survives a fix is exactly what its plan says: then there is nothing left
// to do, and an undo gives back exactly what was there.
func TestSurvivorsAreWhatThePlanSays(t *testing.T) {
	const groups = 8 // most of the time goes into waiting for the disk
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			steps := 0
			for i := group; i < *survivorStores; i += groups {
				seed := *survivorSeed + i
				for asked, policy := range plain() {
					n, wrong := survive(t, seed, policy)
					if steps += n; len(wrong) > 0 {
						_, story := randomStore(seed)
						t.Errorf("seed %d, policy %q:\n%s\nafter\n%s", seed, asked,
							strings.Join(wrong, "\n"), strings.Join(story, "\n"))
					}
				}
			}
			if *survivorStores >= 100 && steps < 100 {
				t.Errorf("only %d steps in all", steps)
			}
		})
	}
}

// survive fixes the store of a seed and undoes it, and returns how many steps
// that took, and what was wrong on the way.
func survive(t *testing.T, seed uint64, policy graph.Policy) (steps int, wrong []string) {
	b, _ := randomStore(seed)
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	p, _ := planned(t, m, policy)
	out := carryOut(t, m, state, p, policy)
	is := dump(m)
	say := func(what, d string) {
		if d != "" {
			wrong = append(wrong, what+":\n"+d)
		}
	}
	for _, l := range out.Left {
		say("left", l.Step.Key+": "+l.Reason)
	}
	say("not what the plan says", diff(survivors(was, p), bodies(is)))
	say("a tag's needs", lost(needs(was), was, is))
	can := pulls(is)
	for ref := range pulls(was) {
		if !can[ref] {
			say("can't be pulled any more", ref)
		}
	}
	second, r := planned(t, m, policy)
	for _, s := range second.Steps {
		say("a second fix would", fmt.Sprint(s.Op, " ", s.Key, ": ", s.Finding))
	}
	for f := range r.Findings {
		if f.Cure == graph.CureRemove && !f.Young || f.Cure == graph.CureRebuild {
			say("found afterwards", f.ID.String()+" "+f.Path)
		}
	}
	if out.Run != "" {
		for range 2 {
			back := undone(t, m, state, out.Run)
			for _, l := range back.Left {
				say("not undone", l.Step.Key+": "+l.Reason)
			}
			say("after the undo", diff(was, dump(m)))
		}
	}
	return len(p.Steps), wrong
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

// survivors are the files of a store after a plan, with what they hold: all,
// without what is removed, and with what is written. Folders that are removed
// with what is in them are those of uploads; others go if nothing is in them.
func survivors(was map[string]string, p *plan.Plan) map[string]string {
	left := bodies(was)
	for _, s := range p.Steps {
		switch {
		case s.Op == plan.Write:
			left[s.Key] = s.Body
		case s.Kind == plan.Upload && strings.HasSuffix(s.Key, "/"):
			for key := range left {
				if strings.HasPrefix(key, s.Key) {
					delete(left, key)
				}
			}
		default:
			delete(left, s.Key)
		}
	}
	return left
}

// bodies are the files of a dump, without their times.
func bodies(all map[string]string) map[string]string {
	files := map[string]string{}
	for key, content := range all {
		if !strings.HasSuffix(key, "/") {
			_, files[key], _ = strings.Cut(content, " ")
		}
	}
	return files
}
