package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// wrongs are the faults of one operation, by name.
var wrongs = map[string]fixtures.Wrong{
	"fail": fixtures.Fail, "fail after": fixtures.FailAfter, "lie": fixtures.Lie, "cut": fixtures.Cut,
	"tear": fixtures.Tear, "crash": fixtures.Crash, "crash after": fixtures.CrashAfter,
}

// tells reports whether an operation can have a fault that isn't a plain failure or crash.
func tells(w fixtures.Wrong, op fixtures.Op) bool {
	switch w {
	case fixtures.FailAfter, fixtures.CrashAfter:
		return op > fixtures.OpRead
	case fixtures.Tear:
		return op == fixtures.OpPut
	case fixtures.Cut:
		return op == fixtures.OpItem || op == fixtures.OpRead
	}
	return true
}

// messy returns a small store that needs all kinds of steps: one, to which nothing is added.
var messy = sync.OnceValue(func() *fixtures.Builder {
	b := fixtures.New(7)
	base := b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
	b.Image("a", "", fixtures.Image{Layers: []int{30}})
	kept := b.Image("n/b", "keep", fixtures.Image{Shared: base.Blobs[1:], Layers: []int{}})
	b.Erase(kept.RevisionKey())
	b.Unlink(kept.LayerKey(0))
	b.Edit(base.LayerKey(1), func(x []byte) []byte { return x[:9] })
	b.Unpush(b.Image("e", "gone", fixtures.Image{Layers: []int{}}))
	b.Upload("a", 50)
	b.Mount("a", layout.Sum([]byte("nobody")))
	b.Tag("a", "dangling", layout.Sum([]byte("nothing")))
	b.Tag("a", "v1", layout.Sum([]byte("never")))
	b.Tag("a", "v1", base.Digest)
	hollow := b.Image("a", "hollow", fixtures.Image{Layers: []int{0}})
	b.Edit(hollow.Blobs[1].Key(), func([]byte) []byte { return []byte("x") })
	b.Erase(b.Referrer(hollow, "x/y").Blobs[0].Key())
	return b
})

func messyPolicy() gc.Policy {
	p := gc.Policy{Untagged: true}
	p.Also[finding.TagDangling] = true
	return p
}

// trouble is a run on a store with one faulty operation.
type trouble struct {
	m     *fixtures.Memory
	state string
	fired bool
}

// makeTrouble calls do with a store whose n-th suitable operation is faulty. A crash restores
// the state directory as it was at that moment.
func makeTrouble(t *testing.T, m *fixtures.Memory, state string, w fixtures.Wrong, n int, do func(*fixtures.FaultyStore)) *trouble {
	t.Helper()
	tr := &trouble{m: m, state: state}
	frozen, count := "", 0
	f := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if tells(w, op) {
			count++
		}
		if count != n || tr.fired {
			return fixtures.Right
		}
		tr.fired = true
		if w == fixtures.Crash || w == fixtures.CrashAfter {
			frozen = filepath.Join(t.TempDir(), "state")
			copyDir(t, state, frozen)
		}
		return w
	})
	do(f)
	if f.Crashed() {
		if err := os.RemoveAll(state); err != nil {
			t.Fatal(err)
		}
		copyDir(t, frozen, state)
	}
	return tr
}

// killedAt calls do with a store that crashes at its first operation of a kind. It restores the
// state directory as it was at that moment.
func killedAt(t *testing.T, m *fixtures.Memory, state string, op fixtures.Op, do func(*fixtures.FaultyStore)) {
	t.Helper()
	frozen := filepath.Join(t.TempDir(), "state")
	f := fixtures.NewFaultyStore(m.Store(), func(_ int, is fixtures.Op, _ string) fixtures.Wrong {
		if is != op {
			return fixtures.Right
		}
		copyDir(t, state, frozen)
		return fixtures.Crash
	})
	if do(f); !f.Crashed() {
		t.Fatal("it didn't crash")
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	copyDir(t, frozen, state)
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// eachTrouble runs check with every fault at every operation, until there is none left.
func eachTrouble(t *testing.T, check func(t *testing.T, w fixtures.Wrong, n int) (fired bool)) {
	for _, name := range slices.Sorted(maps.Keys(wrongs)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				fired := false
				t.Run(fmt.Sprint(n), func(t *testing.T) { fired = check(t, wrongs[name], n) })
				if !fired {
					if n < 4 && wrongs[name] != fixtures.Tear { // of a few links, and of none in an undo
						t.Fatalf("only %d operations", n-1)
					}
					return
				}
			}
		})
	}
}

// TestTroubleInAFix: with any fault in a fix, no tag loses anything, nothing more is removed,
// and the next fix has the result of one without faults.
func TestTroubleInAFix(t *testing.T) {
	policy := messyPolicy()
	clean := messy().Memory()
	was := dump(clean)
	mustFix(t, clean.Store(), t.TempDir(), policy)
	want := dump(clean)
	gone := deleted(was, want)
	if len(gone) < 10 {
		t.Fatalf("only %d keys are removed", len(gone))
	}
	needed := needs(was)
	delete(needed, layout.CurrentKey("a", "dangling")) // removed on request
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := messy().Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) { fix(f, state, policy) })
		is := dump(m)
		if l := lost(needed, was, is); l != "" {
			t.Fatalf("a tag's needs:\n%s", l)
		}
		for _, key := range deleted(was, is) {
			if !slices.Contains(gone, key) {
				t.Fatalf("%s is missing", key)
			}
		}
		mustFix(t, m.Store(), state, policy)
		if d := diff(want, dump(m)); d != "" {
			t.Fatalf("after the next fix:\n%s", d)
		}
		return tr.fired
	})
}

// TestTroubleInARunAndUndo: with any fault in a run, it can be undone.
func TestTroubleInARunAndUndo(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	was := dump(messy().Memory())
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := messy().Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
			Run(context.Background(), input(f, state, saved, policy))
		})
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the undo:\n%s", d)
		}
		return tr.fired
	})
}

// undoRest undoes all runs that can be undone.
func undoRest(t *testing.T, m *fixtures.Memory, state string) {
	t.Helper()
	undoRestOf(t, m.Store(), state)
}

func undoRestOf(t *testing.T, s backend.Store, state string) {
	t.Helper()
	for {
		out, err := Undo(context.Background(), s, state, "")
		if errors.Is(err, journal.ErrNoRun) {
			return
		}
		if err != nil || len(out.NotDone) > 0 {
			t.Fatalf("undo: %v, %+v", err, out)
		}
	}
}

// TestTroubleInAnUndo: with any fault in an undo, the next one has the result of one without
// faults, and nothing is removed meanwhile that the run had left or that was restored.
func TestTroubleInAnUndo(t *testing.T) {
	policy := messyPolicy()
	was := dump(messy().Memory())
	var rebuilt []string
	for _, s := range savedPlan(t).Steps {
		if s.Op == plan.Write {
			rebuilt = append(rebuilt, s.Key)
		}
	}
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := messy().Memory(), t.TempDir()
		mustFix(t, m.Store(), state, policy)
		fixed := dump(m)
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
			Undo(context.Background(), f, state, "")
		})
		for _, key := range deleted(fixed, dump(m)) {
			if !slices.Contains(rebuilt, key) {
				t.Fatalf("%s is missing", key)
			}
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the next undo:\n%s", d)
		}
		return tr.fired
	})
}

// TestMuchTrouble: with many faults and several workers, no tag loses anything, and the next
// fix has the result of one without faults.
func TestMuchTrouble(t *testing.T) {
	policy := messyPolicy()
	clean := messy().Memory()
	was := dump(clean)
	mustFix(t, clean.Store(), t.TempDir(), policy)
	want := dump(clean)
	gone := deleted(was, want)
	changes := []fixtures.Op{fixtures.OpPut, fixtures.OpRemove}
	for seed := range uint64(60) {
		for _, w := range []fixtures.Wrong{fixtures.Fail, fixtures.FailAfter} {
			m, state := messy().Memory(), t.TempDir()
			f := fixtures.NewFaultyStore(m.Store(), fixtures.Share(seed, 0.3, w, changes...))
			out, err := fixBy(8, f, state, policy)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if _, wrong := f.Count(); wrong > 0 && len(out.NotDone) == 0 {
				t.Errorf("seed %d: %d operations went wrong, and nothing is reported", seed, wrong)
			}
			for _, key := range deleted(was, dump(m)) {
				if !slices.Contains(gone, key) {
					t.Errorf("seed %d: %s is missing", seed, key)
				}
			}
			mustFix(t, m.Store(), state, policy)
			if d := diff(want, dump(m)); d != "" {
				t.Errorf("seed %d: after the next fix:\n%s", seed, d)
			}
		}
	}
}

// atRandom makes about percent of operations faulty. A false answer about a key is given
// once: twice it can't be detected.
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

// TestMuchTroubleInGoldenStores: with many faults in a check, a fix and its undo, on each
// golden store, no tag loses anything, nothing more is removed, and runs without faults have
// the usual result.
func TestMuchTroubleInGoldenStores(t *testing.T) {
	policy := gc.Policy{Untagged: true}
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

// troubled is a store with faults.
type troubled struct {
	*testing.T
	m      *fixtures.Memory
	state  string
	policy gc.Policy
	how    string
}

// fix fixes with faults, and then without.
func (tr troubled) fix(f *fixtures.FaultyStore, was, want map[string]string) {
	tr.Helper()
	o := options(tr.policy)
	o.Workers = 8
	check.Store(context.Background(), f, o)
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
			tr.Fatalf("%s: %s is missing", tr.how, key)
		}
	}
	mustFix(tr.T, tr.m.Store(), tr.state, tr.policy)
	if d := diff(want, dump(tr.m)); d != "" {
		tr.Fatalf("%s: after the next fix:\n%s", tr.how, d)
	}
}

// undo undoes with faults, and then without.
func (tr troubled) undo(f *fixtures.FaultyStore, was, want map[string]string) {
	tr.Helper()
	Undo(context.Background(), f, tr.state, "")
	needed := needs(was)
	maps.DeleteFunc(needed, func(key string, _ bool) bool { return was[key] != want[key] }) // written by the fix, and to be removed
	if l := lost(needed, was, dump(tr.m)); l != "" {
		tr.Fatalf("%s: after a broken undo a tag's needs:\n%s", tr.how, l)
	}
	undoRest(tr.T, tr.m, tr.state)
	if d := diff(was, dump(tr.m)); d != "" {
		tr.Fatalf("%s: after the undo:\n%s", tr.how, d)
	}
}

// removable returns a small store for a removal of all kinds of objects, with something to
// keep beside each.
func removable() (*fixtures.Builder, gc.Policy) {
	b := fixtures.New(7)
	base := b.Image("a", "base", fixtures.Image{Layers: []int{20}})
	old := b.Image("a", "zold", fixtures.Image{Shared: base.Blobs[1:], Layers: []int{30}})
	b.Tag("a", "base", old.Digest) // and back
	b.Tag("a", "base", base.Digest)
	b.Cosign(old, "sig")
	b.Cosign(base, "sig")
	b.Referrer(old, "application/x")
	arm := b.Image("a", "", fixtures.Image{Layers: []int{10}})
	b.Index("a", "many", arm, base)
	b.Image("w", "v1", fixtures.Image{Shared: base.Blobs[1:], Layers: []int{15}})
	b.Image("w/n", "v1", fixtures.Image{Layers: []int{}})
	b.Upload("w", 10)
	b.Push("w/n", fixtures.OCILayer, []byte("garbage before"))
	return b, asking("a:zold", "a:many", "w")
}

// lesser returns the files of a store without the removed tags.
func lesser(was map[string]string, p *plan.Plan) map[string]string {
	rest := map[string]string{}
	for key, content := range was {
		if !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind.IsTag() && s.Key == key }) {
			rest[key] = content
		}
	}
	return rest
}

// TestTroubleInARemoval: with any fault in a removal, no kept tag loses anything, nothing
// more is removed, an interrupted run is resumed with the usual result, and an undo restores
// all of it.
func TestTroubleInARemoval(t *testing.T) {
	b, policy := removable()
	clean := b.Memory()
	was := dump(clean)
	saved, _ := planned(t, clean, policy)
	if out := carryOut(t, clean, t.TempDir(), saved, policy); len(out.NotDone) > 0 {
		t.Fatalf("left: %+v", out.NotDone)
	}
	want := dump(clean)
	gone := deleted(was, want)
	if len(gone) < 25 {
		t.Fatalf("only %d keys are removed", len(gone))
	}
	needed := needs(lesser(was, saved))
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := b.Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
			in := input(f, state, saved, policy)
			in.Limits.AnyAmount = true
			Run(context.Background(), in)
		})
		is := dump(m)
		if l := lost(needed, was, is); l != "" {
			t.Fatalf("a tag's needs:\n%s", l)
		}
		for _, key := range deleted(was, is) {
			if !slices.Contains(gone, key) {
				t.Fatalf("%s is missing", key)
			}
		}
		allPull(t, is)
		signed(t, was, is)
		runs, err := journal.Summaries(state)
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) > 0 && runs[0].Status != journal.Done {
			out := carryOut(t, m, state, saved, policy)
			if !out.Resumed || len(out.NotDone) > 0 {
				t.Fatalf("taken up %v, left %+v", out.Resumed, out.NotDone)
			}
			if d := diff(want, dump(m)); d != "" {
				t.Fatalf("after it was taken up:\n%s", d)
			}
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the undo:\n%s", d)
		}
		return tr.fired
	})
}

// allPull checks that every tag can be pulled.
func allPull(t *testing.T, is map[string]string) {
	t.Helper()
	r, _, err := check.Store(context.Background(), storeOf(is), options(gc.Policy{}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Totals.TagsBroken > 0 {
		for f := range r.Findings {
			t.Logf("%s %s", f.Kind, f.Path)
		}
		t.Fatal("a tag can't be pulled any more")
	}
}

// signed checks that the signatures of the tags' targets exist.
func signed(t *testing.T, was, is map[string]string) {
	t.Helper()
	for key, content := range is {
		_, target, _ := strings.Cut(content, " ")
		k, err := layout.Parse(key)
		if d, ok := layout.ParseDigest(target); err == nil && ok && k.Kind == layout.TagCurrent {
			signature := layout.CurrentKey(k.Repository, fixtures.FallbackTag(d)+".sig")
			if was[signature] != "" && is[signature] == "" {
				t.Fatalf("%s is there, and its signature is missing", key)
			}
		}
	}
}

// storeOf returns a store with the files of a dump.
func storeOf(all map[string]string) *fixtures.Memory {
	m := &fixtures.Memory{}
	for key, body := range bodies(all) {
		m.Put(key, []byte(body), now.AddDate(0, -1, 0))
	}
	return m
}
