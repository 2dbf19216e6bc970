package apply

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// asking is a policy under which what the references name is removed: "repo",
// "repo:tag", "repo@sha256:…".
func asking(refs ...string) graph.Policy {
	r := &graph.Removal{Repositories: map[string]string{}, Tags: map[string]map[string]string{}, Manifests: map[string]map[string]string{}}
	for _, ref := range refs {
		repo, digest, byDigest := strings.Cut(ref, "@")
		repo, tag, byTag := strings.Cut(repo, ":")
		switch {
		case byDigest && r.Manifests[repo] == nil:
			r.Manifests[repo] = map[string]string{digest: "asked for"}
		case byDigest:
			r.Manifests[repo][digest] = "asked for"
		case byTag && r.Tags[repo] == nil:
			r.Tags[repo] = map[string]string{tag: "asked for"}
		case byTag:
			r.Tags[repo][tag] = "asked for"
		default:
			r.Repositories[repo] = "asked for"
		}
	}
	return graph.Policy{Removal: r}
}

// remove removes what the references name, and holds what that does to its plan.
func remove(t *testing.T, m *fixtures.Memory, state string, refs ...string) (*plan.Plan, *Outcome) {
	t.Helper()
	policy := asking(refs...)
	p, r := planned(t, m, policy)
	if len(r.Denied) > 0 {
		t.Fatalf("denied: %+v", r.Denied)
	}
	was := dump(m)
	out := carryOut(t, m, state, p, policy)
	var wrong complaints
	wrong.afterRemoval(was, dump(m), p, out)
	if len(wrong) > 0 {
		t.Fatal(strings.Join(wrong, "\n"))
	}
	return p, out
}

// afterRemoval holds what a removal did to its plan, and to what all other tags
// need.
func (c *complaints) afterRemoval(was, is map[string]string, p *plan.Plan, out *Outcome) {
	for _, l := range out.NotDone {
		c.say("left", l.Step.Key+": "+l.Reason)
	}
	c.say("not what the plan says", diff(survivors(was, p), bodies(is)))
	rest := maps.Clone(was)
	for _, s := range p.Steps {
		if s.Kind.IsTag() {
			delete(rest, s.Key)
		}
	}
	c.say("a tag's needs", lost(needs(rest), was, is))
	can := pulls(is)
	for ref := range pulls(rest) {
		if !can[ref] {
			c.say("can't be pulled any more", ref)
		}
	}
	if gone := size(was) - size(is); gone != p.Bytes() || !out.Keep && gone != out.Freed {
		c.say("bytes", fmt.Sprintf("%d are gone, %d were announced, %d are told as freed", gone, p.Bytes(), out.Freed))
	}
}

// size is how many bytes a store holds.
func size(all map[string]string) (n int64) {
	for _, body := range bodies(all) {
		n += int64(len(body))
	}
	return n
}

// randomRefs names some of what a store has.
func randomRefs(was map[string]string, r *rand.Rand) (refs []string) {
	repositories := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		k, err := layout.Parse(key)
		switch {
		case err != nil || k.Repository == "" || !layout.ValidRepository(k.Repository):
		case k.Kind == layout.TagCurrent && r.IntN(3) == 0:
			refs = append(refs, k.Repository+":"+k.Tag)
		case k.Kind == layout.Revision && r.IntN(20) == 0:
			refs = append(refs, k.Repository+"@sha256:"+k.Hex)
		default:
			repositories[k.Repository] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		if r.IntN(5) == 0 {
			refs = append(refs, name)
		}
	}
	return refs
}

// What a removal leaves is exactly what its plan says, and all that other tags
// need; it frees what it announces; and undoing it gives back what was there.
func TestARemovalLeavesWhatItsPlanSays(t *testing.T) {
	const groups = 8
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			steps := 0
			for i := group; i < *survivorStores; i += groups {
				seed := *survivorSeed + i
				for _, keep := range []bool{true, false} {
					b, story := randomStore(seed)
					refs, wrong := removeSome(t, b.Memory(), seed, keep, &steps)
					if len(wrong) > 0 {
						t.Errorf("seed %d, keep %v, %v:\n%s\nafter\n%s", seed, keep, refs, strings.Join(wrong, "\n"), strings.Join(story, "\n"))
					}
				}
			}
			if *survivorStores >= 100 && steps < 300 {
				t.Errorf("only %d steps were taken", steps)
			}
		})
	}
}

func removeSome(t *testing.T, m *fixtures.Memory, seed uint64, keep bool, steps *int) (refs []string, wrong complaints) {
	was, state := dump(m), t.TempDir()
	refs = randomRefs(was, rand.New(rand.NewPCG(seed, 3)))
	policy := asking(refs...)
	policy.Untagged = seed%3 == 0
	p, r := planned(t, m, policy)
	if len(r.Denied) > 0 && len(p.Steps) > 0 {
		wrong.say("planned though denied", listed(p))
	}
	in := input(m.Store(), state, p, policy)
	in.Run.Keep, in.Limits.AnyAmount, in.Limits.MaxDelete, in.Limits.NoUndoOK = keep, true, 1, true
	out, err := Run(context.Background(), in)
	if err != nil {
		wrong.say("refused", err.Error())
		return refs, wrong
	}
	*steps += len(p.Steps)
	wrong.afterRemoval(was, dump(m), p, out)
	if keep && out.Run != "" {
		undoAll(t, m, state, []string{out.Run})
		wrong.say("after the undo", diff(was, dump(m)))
	}
	return refs, wrong
}
