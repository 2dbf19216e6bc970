package apply

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
)

// atRandom lets operations go wrong at random, about as many in a hundred. A key
// is lied about once: a lie that is told twice is as good as the truth.
func atRandom(seed uint64, w fixtures.Wrong, percent int) fixtures.Rule {
	var mu sync.Mutex
	r, told := rand.New(rand.NewPCG(seed, uint64(w))), map[string]bool{}
	return func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		mu.Lock()
		defer mu.Unlock()
		lies := w == fixtures.Lie || w == fixtures.Cut
		if !tells(w, op) || r.IntN(100) >= percent || lies && told[key] {
			return fixtures.Right
		}
		told[key] = true
		return w
	}
}

// Whatever goes wrong, and however often, in a check, in a fix by many workers
// and in its undo, on each golden store: no tag loses anything, nothing goes that
// an undisturbed fix keeps, and what follows undisturbed comes to the same end.
func TestMuchTroubleInGoldenStores(t *testing.T) {
	policy := graph.Policy{Untagged: true}
	for name, b := range oneOfEach() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clean := b.Memory()
			was := dump(clean)
			mustFix(t, clean.Store(), t.TempDir(), policy)
			want := dump(clean)
			for i, kind := range slices.Sorted(maps.Keys(wrongs)) {
				for round, percent := range []int{1, 10} {
					seed := uint64(100*i + round)
					tr := troubled{t, b.Memory(), t.TempDir(), policy, fmt.Sprintf("%s, seed %d, %d %%", kind, seed, percent)}
					tr.fix(fixtures.NewFaultyStore(tr.m.Store(), atRandom(seed, wrongs[kind], percent)), was, want)
					tr.undo(fixtures.NewFaultyStore(tr.m.Store(), atRandom(seed+1, wrongs[kind], percent)), was, want)
				}
			}
		})
	}
}

// troubled is a store in trouble.
type troubled struct {
	*testing.T
	m      *fixtures.Memory
	state  string
	policy graph.Policy
	how    string
}

// fix checks and fixes with trouble, and then fixes without.
func (tr troubled) fix(f *fixtures.FaultyStore, was, want map[string]string) {
	tr.Helper()
	o := options(tr.policy)
	o.Workers = 8
	graph.Check(context.Background(), f, o)
	if d := diff(was, dump(tr.m)); d != "" {
		tr.Fatalf("%s: a check changed\n%s", tr.how, d)
	}
	fixBy(8, f, tr.state, tr.policy)
	is := dump(tr.m)
	if l := lost(needs(was), was, is); l != "" {
		tr.Fatalf("%s: a tag's needs:\n%s", tr.how, l)
	}
	gone := deleted(was, want)
	for _, key := range deleted(was, is) {
		if !slices.Contains(gone, key) {
			tr.Fatalf("%s: %s is gone", tr.how, key)
		}
	}
	mustFix(tr.T, tr.m.Store(), tr.state, tr.policy)
	if d := diff(want, dump(tr.m)); d != "" {
		tr.Fatalf("%s: after the next fix:\n%s", tr.how, d)
	}
}

// undo undoes with trouble, and then without.
func (tr troubled) undo(f *fixtures.FaultyStore, was, want map[string]string) {
	tr.Helper()
	Undo(context.Background(), f, tr.state, "")
	needed := needs(was)
	maps.DeleteFunc(needed, func(key string, _ bool) bool { return was[key] != want[key] }) // written by the fix, and on their way back
	if l := lost(needed, was, dump(tr.m)); l != "" {
		tr.Fatalf("%s: after a broken undo a tag's needs:\n%s", tr.how, l)
	}
	undoRest(tr.T, tr.m, tr.state)
	if d := diff(was, dump(tr.m)); d != "" {
		tr.Fatalf("%s: after the undo:\n%s", tr.how, d)
	}
}
