package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// wrongs are the ways in which one operation goes wrong, by name.
var wrongs = map[string]fixtures.Wrong{
	"fail": fixtures.Fail, "fail after": fixtures.FailAfter, "lie": fixtures.Lie, "cut": fixtures.Cut,
	"tear": fixtures.Tear, "crash": fixtures.Crash, "crash after": fixtures.CrashAfter,
}

// tells says whether an operation can go wrong in that way, other than by a
// plain failure or crash.
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

// messy is a small store in which all kinds of steps are to be taken.
func messy() *fixtures.Builder {
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
}

func messyPolicy() graph.Policy {
	p := graph.Policy{Untagged: true}
	p.Also[graph.TagDangling] = true
	return p
}

// trouble is one run of a store with one operation that goes wrong.
type trouble struct {
	m     *fixtures.Memory
	state string
	fired bool
}

// makeTrouble does something to a store of which the n-th operation that can goes
// wrong.
// A crash leaves the state directory as it was at that moment, whatever the run
// tried to write afterwards.
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

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// eachTrouble runs check with every kind of trouble at every operation, until
// none is left that goes wrong.
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

// Whatever goes wrong in a fix: no tag loses anything, nothing goes that an
// undisturbed fix keeps, and the next fix ends in what the undisturbed one made.
func TestTroubleInAFix(t *testing.T) {
	policy := messyPolicy()
	clean := messy().Memory()
	was := dump(clean)
	mustFix(t, clean.Store(), t.TempDir(), policy)
	want := dump(clean)
	gone := deleted(was, want)
	if len(gone) < 10 {
		t.Fatalf("only %d keys go", len(gone))
	}
	needed := needs(was)
	delete(needed, layout.CurrentKey("a", "dangling")) // the tag that is given up on request
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := messy().Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) { fix(f, state, policy) })
		is := dump(m)
		if l := lost(needed, was, is); l != "" {
			t.Fatalf("a tag's needs:\n%s", l)
		}
		for _, key := range deleted(was, is) {
			if !slices.Contains(gone, key) {
				t.Fatalf("%s is gone", key)
			}
		}
		mustFix(t, m.Store(), state, policy)
		if d := diff(want, dump(m)); d != "" {
			t.Fatalf("after the next fix:\n%s", d)
		}
		return tr.fired
	})
}

// Whatever goes wrong while a plan is carried out, it can be undone.
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

// undoRest undoes all runs that can be.
func undoRest(t *testing.T, m *fixtures.Memory, state string) {
	t.Helper()
	undoRestOf(t, m.Store(), state)
}

func undoRestOf(t *testing.T, s backend.Store, state string) {
	t.Helper()
	for {
		out, err := Undo(context.Background(), s, state, "")
		if errors.Is(err, ErrNoRun) {
			return
		}
		if err != nil || len(out.NotDone) > 0 {
			t.Fatalf("undo: %v, %+v", err, out)
		}
	}
}

// Whatever goes wrong in an undo, the next one ends in what an undisturbed one
// makes, and nothing goes meanwhile that the run had left or brought back.
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
				t.Fatalf("%s is gone", key)
			}
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the next undo:\n%s", d)
		}
		return tr.fired
	})
}

// Many operations that go wrong, with several workers: still no tag loses
// anything, and the next fix that nothing disturbs comes to the same end.
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
				t.Errorf("seed %d: %d operations went wrong, and nothing is told", seed, wrong)
			}
			for _, key := range deleted(was, dump(m)) {
				if !slices.Contains(gone, key) {
					t.Errorf("seed %d: %s is gone", seed, key)
				}
			}
			mustFix(t, m.Store(), state, policy)
			if d := diff(want, dump(m)); d != "" {
				t.Errorf("seed %d: after the next fix:\n%s", seed, d)
			}
		}
	}
}
