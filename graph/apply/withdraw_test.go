package apply

import (
	"context"
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// withdrawing returns the policy that withdraws images with a missing blob.
func withdrawing(more ...finding.Kind) (p gc.Policy) {
	for _, id := range append(more, finding.BlobMissing) {
		p.Also[id] = true
	}
	return p
}

// tagParts returns the keys of a tag whose only target is m.
func tagParts(tag string, m fixtures.Manifest) []string {
	return []string{layout.CurrentKey(m.Repository, tag), layout.HistoryKey(m.Repository, tag, m.Digest)}
}

// wantWithdrawn expects that a fix removes just these files, that the store is healthy
// without untagged images, and that an undo restores it.
func wantWithdrawn(t *testing.T, b *fixtures.Builder, policy gc.Policy, keys ...string) {
	t.Helper()
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	out := mustFix(t, m.Store(), state, policy)
	onlyGone(t, was, dump(m), keys...)
	r, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
	if err != nil || r.Totals.TagsBroken > 0 || r.Counts[finding.BlobMissing].Count+r.Counts[finding.BlobCorrupt].Count > 0 {
		t.Errorf("what can't be pulled is left: %v, %+v", err, r.Totals)
	}
	undoAll(t, m, state, []string{out.Run})
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestWithdraw: an image with a missing blob is withdrawn on request: its tags and its
// revision link, and nothing else. Images that share blobs with it are kept.
func TestWithdraw(t *testing.T) {
	b := fixtures.New(1)
	base := b.Image("base", "v1", fixtures.Image{Layers: []int{20, 30, 40}})
	lost := b.Image("app", "v1", fixtures.Image{Layers: []int{50}, Shared: base.Blobs[1:]})
	b.Tag("app", "latest", lost.Digest)
	b.Image("app", "v2", fixtures.Image{Layers: []int{60}, Shared: base.Blobs[1:]})
	b.Image("other", "v1", fixtures.Image{})
	own := slices.IndexFunc(lost.Blobs, func(d fixtures.Descriptor) bool { return d.Size == 50 })
	b.Erase(lost.Blobs[own].Key())
	wantWithdrawn(t, b, withdrawing(), slices.Concat(tagParts("v1", lost), tagParts("latest", lost), []string{lost.RevisionKey()})...)
}

// TestAnIndexIsWithdrawnWithItsImage: an index is removed with the child that is withdrawn,
// since clients don't look below an existing one. Its other children are kept, untagged or
// tagged.
func TestAnIndexIsWithdrawnWithItsImage(t *testing.T) {
	b := fixtures.New(2)
	good := b.Image("app", "", fixtures.Image{})
	lost := b.Image("app", "", fixtures.Image{Layers: []int{20, 30}})
	index := b.Index("app", "v1", good, lost)
	above := b.Index("app", "all", index)
	b.Index("app", "good", good)
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	b.Erase(lost.Blobs[1].Key())
	wantWithdrawn(t, b, withdrawing(), slices.Concat(tagParts("v1", index), tagParts("all", above),
		[]string{lost.RevisionKey(), index.RevisionKey(), above.RevisionKey()})...)
}

// TestWithdrawForACorruptBlob: if both are requested, a corrupt blob is moved away and its
// images are withdrawn.
func TestWithdrawForACorruptBlob(t *testing.T) {
	b := fixtures.New(3)
	lost := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	b.Edit(lost.Blobs[1].Key(), func([]byte) []byte { return nil })
	wantWithdrawn(t, b, withdrawing(finding.BlobCorrupt), append(tagParts("v1", lost), lost.RevisionKey(), lost.Blobs[1].Key())...)

	m := b.Memory()
	was := dump(m)
	var alone gc.Policy
	alone.Also[finding.BlobCorrupt] = true
	mustFix(t, m.Store(), t.TempDir(), alone)
	onlyGone(t, was, dump(m), lost.Blobs[1].Key())
}

// TestWithdrawnImagesAreNotRebuilt: links that only a withdrawn image needs aren't rebuilt.
func TestWithdrawnImagesAreNotRebuilt(t *testing.T) {
	b := fixtures.New(4)
	lost := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	b.Erase(lost.Blobs[1].Key())
	b.Erase(lost.RevisionKey())
	wantWithdrawn(t, b, withdrawing(), tagParts("v1", lost)...)
}

// TestNotWithdrawn: the possible targets of an ambiguous tag aren't withdrawn, nor what a
// pull-through cache fetches itself.
func TestNotWithdrawn(t *testing.T) {
	b := fixtures.New(5)
	lost := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v1", fixtures.Image{Layers: []int{20}})
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	b.Erase(lost.Blobs[1].Key())
	uncertain := b.Clone(1)
	uncertain.Edit(layout.CurrentKey("app", "v1"), func([]byte) []byte { return nil })
	for name, o := range map[string]check.Options{"cache": options(withdrawing()), "uncertain": options(withdrawing())} {
		m := b.Memory()
		if o.Cache = name == "cache"; !o.Cache {
			m = uncertain.Memory()
		}
		r, _, err := check.Store(context.Background(), m, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.New(r, o.Policy).Steps {
			if s.Finding == finding.TagWithdrawn || s.Finding == finding.ManifestWithdrawn {
				t.Errorf("%s: %s goes", name, s.Key)
			}
		}
	}
}

// TestATagThatCannotBeRemoved: a tag that the store can't remove keeps its manifest.
func TestATagThatCannotBeRemoved(t *testing.T) {
	b := fixtures.New(6)
	lost := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	b.Erase(lost.Blobs[1].Key())
	m := b.Memory()
	was := dump(m)
	out, err := fix(fixtures.NewFaultyStore(m.Store(), unremovable("/index/")), t.TempDir(), withdrawing())
	if err != nil || out.Steps.Failed == 0 {
		t.Fatalf("nothing failed: %v, %+v", err, out)
	}
	onlyGone(t, was, dump(m))
}
