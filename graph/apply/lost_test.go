package apply

import (
	"context"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// withLost is a store with a lost image, of which only the history of a:v2 is left,
// and with garbage besides.
func withLost() (b *fixtures.Builder, lost fixtures.Manifest) {
	b = fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
	one := b.Image("a", "", fixtures.Image{Layers: []int{30}})
	lost = b.Index("a", "v2", one)
	b.Image("a", "v2", fixtures.Image{Layers: []int{40}})
	b.Erase(lost.RevisionKey())
	b.Erase(one.RevisionKey())
	b.Push("a", "x/y", []byte("garbage"))
	lost.Blobs = append(one.Blobs, one.Descriptor, lost.Descriptor)
	return b, lost
}

// reviving asks for lost images.
func reviving() graph.Policy {
	p := graph.Policy{Untagged: true}
	p.Also[graph.ManifestLost] = true
	return p
}

// A lost image can be pulled by its new tag, nothing that it needs goes with the
// garbage, and the next fix has nothing to do.
func TestALostImageIsBroughtBack(t *testing.T) {
	b, lost := withLost()
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	runs := fixAll(t, m, state, reviving())
	ref := "a:lost-found-" + lost.Digest.Hex()[:12]
	if is := dump(m); len(runs) != 1 || !pulls(is)[ref] || len(deleted(was, is)) != 2 {
		t.Errorf("%d runs, %s pulls: %v, gone are %q", len(runs), ref, pulls(is)[ref], deleted(was, is))
	}
	undoAll(t, m, state, runs)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// Whatever goes wrong: the tag isn't there before all that it needs is, nothing of
// the lost image goes, and it can be undone.
func TestTroubleWithALostImage(t *testing.T) {
	b, lost := withLost()
	saved, _ := planned(t, b.Memory(), reviving())
	was, ref := dump(b.Memory()), "a:lost-found-"+lost.Digest.Hex()[:12]
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		b, _ := withLost()
		m, state := b.Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
			Run(context.Background(), input(f, state, saved, reviving()))
		})
		is := dump(m)
		current := layout.CurrentKey("a", strings.TrimPrefix(ref, "a:"))
		if _, tagged := is[current]; tagged && len(string(body(m, current))) == len(lost.Digest.String()) && !pulls(is)[ref] {
			t.Fatalf("%s is there and can't be pulled", ref)
		}
		for _, d := range lost.Blobs {
			if is[d.Key()] != was[d.Key()] {
				t.Fatalf("%s of the lost image is gone", d.Digest)
			}
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the undo:\n%s", d)
		}
		return tr.fired
	})
}

// A plan that brings back less than the whole of an image is refused.
func TestAPlanForHalfALostImageIsRefused(t *testing.T) {
	b, _ := withLost()
	m := b.Memory()
	was := dump(m)
	whole, _ := planned(t, m, reviving())
	for i, s := range whole.Steps {
		if s.Finding != graph.ManifestLost.String() {
			continue
		}
		half := &plan.Plan{Steps: slices.Delete(slices.Clone(whole.Steps), i, i+1)}
		if _, err := Run(context.Background(), input(m.Store(), t.TempDir(), half, reviving())); !isRefused(err) {
			t.Errorf("without %s: %v", s.Key, err)
		}
	}
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("it changed\n%s", d)
	}
}
