package apply

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// withLost returns a store with a lost image, of which only the history of a:v2 is left, and
// with garbage.
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

// reviving returns a policy that restores lost images.
func reviving() gc.Policy {
	p := gc.Policy{Untagged: true}
	p.Also[finding.ManifestLost] = true
	return p
}

// TestALostImageIsRestored: it can be pulled by its new tag, nothing that it needs is
// removed, and the next fix has no steps.
func TestALostImageIsRestored(t *testing.T) {
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

// TestTroubleWithALostImage: with any fault, the tag isn't there before all that it needs is,
// nothing of the image is removed, and it can be undone.
func TestTroubleWithALostImage(t *testing.T) {
	b, lost := withLost()
	saved, _ := planned(t, b.Memory(), reviving())
	was, ref := dump(b.Memory()), "a:lost-found-"+lost.Digest.Hex()[:12]
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
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

// TestAPlanForHalfALostImageIsRefused: a plan that restores only a part of an image is
// refused.
func TestAPlanForHalfALostImageIsRefused(t *testing.T) {
	b, _ := withLost()
	m := b.Memory()
	was := dump(m)
	whole, _ := planned(t, m, reviving())
	for i, s := range whole.Steps {
		if s.Finding != finding.ManifestLost {
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

// hollow returns a store whose only image lost its empty layer; with spoilt it has other
// bytes.
func hollow(spoilt bool) (b *fixtures.Builder, image fixtures.Manifest) {
	b = fixtures.New(1)
	image = b.Image("a", "v1", fixtures.Image{Layers: []int{0, 30}})
	if spoilt {
		b.Edit(image.Blobs[1].Key(), func([]byte) []byte { return []byte("spoilt") })
	} else {
		b.Erase(image.Blobs[1].Key())
	}
	return b, image
}

// TestAProvenBlobHealsItsTags: a tag that lacks only a blob that its digest proves can be
// pulled after a fix, and an undo restores what was there.
func TestAProvenBlobHealsItsTags(t *testing.T) {
	for _, spoilt := range []bool{false, true} {
		b, image := hollow(spoilt)
		m, state := b.Memory(), t.TempDir()
		was := dump(m)
		out := mustFix(t, m.Store(), state, gc.Policy{})
		if !out.Repaired() || len(out.NotDone) > 0 || !hashesTo(image.Blobs[1].Key(), string(body(m, image.Blobs[1].Key()))) {
			t.Errorf("spoilt %v: %+v", spoilt, out)
		}
		if r, _, err := check.Store(context.Background(), m, options(gc.Policy{})); err != nil || r.Damaged() {
			t.Errorf("spoilt %v: there is damage after the fix: %v", spoilt, err)
		}
		undoAll(t, m, state, []string{out.Run})
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("spoilt %v: after the undo:\n%s", spoilt, d)
		}
	}
}

// TestAPlanCanWriteNoOtherBytesThanTheDigestProves: whatever a plan says, only bytes that
// hash to its digest are written as a blob.
func TestAPlanCanWriteNoOtherBytesThanTheDigestProves(t *testing.T) {
	for _, spoilt := range []bool{false, true} {
		b, _ := hollow(spoilt)
		m := b.Memory()
		was := dump(m)
		edited := func() *plan.Plan {
			p, _ := planned(t, m, gc.Policy{})
			for i := range p.Steps {
				if p.Steps[i].Kind == plan.RebuiltBlob {
					p.Steps[i].Body = "anything else"
					return p
				}
			}
			t.Fatal("no blob is rebuilt")
			return nil
		}
		in := input(m.Store(), t.TempDir(), edited(), gc.Policy{})
		if _, err := Run(context.Background(), in); !isRefused(err) {
			t.Errorf("spoilt %v: the edited plan: %v", spoilt, err)
		}
		for _, s := range edited().Steps { // if it came so far
			w := &stepResult{step: &s}
			if checkStep(context.Background(), in.Store, w); len(w.intents) > 0 || !w.failed || !strings.Contains(w.reason, "hash") {
				t.Errorf("spoilt %v: %+v", spoilt, w)
			}
		}
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("spoilt %v: the edited plan changed\n%s", spoilt, d)
		}
	}
}

// TestAnUndoKeepsABlobThatAPushNeeds: an image that was pushed since, to any repository,
// keeps the blob that its client found.
func TestAnUndoKeepsABlobThatAPushNeeds(t *testing.T) {
	b, image := hollow(false)
	m, state := b.Memory(), t.TempDir()
	mustFix(t, m.Store(), state, gc.Policy{})
	later := fixtures.New(2)
	later.SetClock(now.Add(time.Hour))
	pushed := later.Image("b", "v1", fixtures.Image{Layers: []int{0}})
	for _, key := range later.Keys() {
		if f, _ := later.File(key); key != image.Blobs[1].Key() {
			m.Put(key, f.Body, f.Modified)
		}
	}
	out, err := Undo(context.Background(), m.Store(), state, "")
	if err != nil || len(out.NotDone) != 1 || out.NotDone[0].Reason != errNeeded.Error() {
		t.Fatalf("%v, %+v", err, out)
	}
	if _, err := m.Stat(context.Background(), layout.BlobKey(pushed.Blobs[1].Digest)); err != nil {
		t.Error(err)
	}
}
