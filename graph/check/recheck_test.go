package check

import (
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// lone returns an index of an untyped child without a revision link.
func lone() (b *fixtures.Builder, index, child fixtures.Manifest) {
	b = fixtures.New(1)
	child = b.Image("a", "", fixtures.Image{})
	index = b.PushManifest("a", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", child.Descriptor)))
	b.Erase(child.RevisionKey())
	return b, index, child
}

// TestAManifestThatIsReadAgainBringsItsChildren: after one failure a manifest is read again,
// with its children.
func TestAManifestThatIsReadAgainBringsItsChildren(t *testing.T) {
	b, index, child := lone()
	for name, wrong := range map[string]fixtures.Rule{
		"the index is cut":       once(index.Key(), fixtures.OpRead, fixtures.Cut),
		"the index is not found": once(index.Key(), fixtures.OpOpen, fixtures.Lie),
		"the child is not found": once(child.Key(), fixtures.OpOpen, fixtures.Lie),
	} {
		r := examine(t, fixtures.NewFaulty(b.Memory(), wrong), nil)
		nothingGoes(t, r)
		if r.Counts[finding.RevisionLinkMissing].Count != 1 || r.Counts[finding.StoreChanged].Count != 1 || r.Counts[finding.DirectoryEmpty].Count != 0 {
			t.Errorf("%s:\n%v", name, lines(r))
		}
	}
}

// TestAManifestThatIsReadAgainHasItsBlobsHashed: sizes are compared also for a manifest that
// was read again.
func TestAManifestThatIsReadAgainHasItsBlobsHashed(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	b.Edit(m.Blobs[1].Key(), func(x []byte) []byte { return x[:9] })
	r := examine(t, fixtures.NewFaulty(b.Memory(), once(m.Key(), fixtures.OpRead, fixtures.Cut)), nil)
	expect(t, r, "blob-corrupt "+m.Blobs[1].Key()+" move-ask", "store-changed "+m.Key()+" none")
}

func TestTheMarkOfADatabaseIsLookedForTwice(t *testing.T) {
	b := fixtures.New(1)
	b.Put(layout.BlobKey(layout.Sum([]byte("x"))), []byte("x"))
	b.Lock("database-in-use")
	mark := layout.Key{Kind: layout.Lock, Rest: "database-in-use"}.String()
	r := examine(t, fixtures.NewFaulty(b.Memory(), once(mark, fixtures.OpStat, fixtures.Lie)), nil)
	nothingGoes(t, r)
	if r.Doubts.Database == "" {
		t.Error("the mark wasn't seen")
	}
}

// TestARecheckDropsNothing: either read of a link may be wrong, so both targets are kept.
func TestARecheckDropsNothing(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	spare := b.Push("a", "x", []byte("spare"))
	other := b.Push("z", "x", []byte("the other"))
	b.Erase(layout.LayerKey("z", other.Digest))
	key := layout.LayerKey("a", spare.Digest)
	b.Edit(key, func([]byte) []byte { return []byte(other.Digest.String()) })
	r := examine(t, fixtures.NewFaulty(b.Memory(), once(key, fixtures.OpRead, fixtures.Lie)), nil)
	if r.Counts[finding.BlobOrphan].Count > 0 || r.Counts[finding.StoreChanged].Count != 1 {
		t.Errorf("garbage %v, %d changes", garbage(r), r.Counts[finding.StoreChanged].Count)
	}
}

func TestABlobThatIsRemovedBeforeItIsHashed(t *testing.T) {
	b := fixtures.New(1)
	layer := b.Image("a", "v1", fixtures.Image{}).Blobs[1]
	m := b.Memory()
	var store backend.Reader = moving{Reader: m, after: map[string]func(){layout.Blobs: func() { m.Delete(layer.Key()) }}}
	r := examine(t, store, func(o *Options) { o.Verify.All = true })
	expect(t, r, "store-changed "+layer.Key()+" none")
	if r.Totals.TagsUnknown != 1 || r.Totals.TagsBroken != 0 {
		t.Errorf("%d tags unknown, %d broken", r.Totals.TagsUnknown, r.Totals.TagsBroken)
	}
}
