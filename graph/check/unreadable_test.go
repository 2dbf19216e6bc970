package check

import (
	"testing"

	"regfsck/fixtures"
)

// unreadable checks a store in which nothing at key can be read, and expects only that
// finding.
func unreadable(t *testing.T, b *fixtures.Builder, key string, ops ...fixtures.Op) *Result {
	t.Helper()
	r := examine(t, fixtures.NewFaulty(b.Memory(), failing(key, ops...)), func(o *Options) { o.Verify.All = true })
	expect(t, r, "store-unreadable "+key+" none")
	if r.Complete {
		t.Error("called complete")
	}
	return r
}

// everywhere are the operations on a blob.
var everywhere = []fixtures.Op{fixtures.OpItem, fixtures.OpOpen, fixtures.OpStat}

func TestALinkOfAnUnreadableBlobIsNotDangling(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	spare := b.Push("a", "x", []byte("nobody needs it"))
	unreadable(t, b, spare.Key(), everywhere...)
}

// TestAnUnreadableChildIsNotMissing: an unreadable child without a type may be a blob or a
// manifest: neither is missing, and the links that it may need are kept.
func TestAnUnreadableChildIsNotMissing(t *testing.T) {
	for _, ops := range [][]fixtures.Op{everywhere, nil} {
		b := fixtures.New(1)
		blob := b.Push("a", "x/y", []byte("a cache's layer"))
		b.PushManifest("a", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", blob)))
		if r := unreadable(t, b, blob.Key(), ops...); r.Totals.TagsUnknown != 1 {
			t.Errorf("a blob: %d tags unknown", r.Totals.TagsUnknown)
		}
		b, _, child := lone()
		if r := unreadable(t, b, child.Key(), ops...); r.Totals.TagsUnknown != 1 {
			t.Errorf("a manifest: %d tags unknown", r.Totals.TagsUnknown)
		}
	}
}

func TestATagOfAnUnreadableLayerIsUnknown(t *testing.T) {
	b := fixtures.New(1)
	layer := b.Image("a", "v1", fixtures.Image{}).Blobs[1]
	if r := unreadable(t, b, layer.Key()); r.Totals.TagsUnknown != 1 || r.Totals.TagsBroken != 0 {
		t.Errorf("%d tags unknown, %d broken", r.Totals.TagsUnknown, r.Totals.TagsBroken)
	}
}

// TestAnUnreadableUploadIsNotStale: the age of an upload with an unreadable newest file is
// unknown.
func TestAnUnreadableUploadIsNotStale(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	data := b.Upload("a", 10) + "/data"
	b.Touch(data, fixtures.Epoch.AddDate(1, 0, 0))
	unreadable(t, b, data, fixtures.OpItem)
}
