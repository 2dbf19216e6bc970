package check

import (
	"testing"

	"regfsck/fixtures"
)

// TestUntaggedTotals: a check has the exact bytes that --untagged would free, and with it
// nothing in addition.
func TestUntaggedTotals(t *testing.T) {
	b := fixtures.New(1)
	first := b.Image("a", "v1", fixtures.Image{Layers: []int{1000, 2000}})
	b.Image("a", "v1", fixtures.Image{Layers: []int{3000}, Shared: first.Blobs[1:2]})
	body := []byte("nobody needs this")
	spare := b.Push("a", "", body)
	b.DeleteBlob("a", spare.Digest)
	plain := examine(t, b.Memory(), nil).Totals
	taken := examine(t, b.Memory(), func(o *Options) { o.Untagged = true }).Totals
	if plain.Untagged != 1 || plain.UntaggedReclaimable != 1 {
		t.Errorf("%d manifests have no tag, %d would go", plain.Untagged, plain.UntaggedReclaimable)
	}
	if more := taken.ReclaimableBytes - plain.ReclaimableBytes; more == 0 || plain.UntaggedBytes != more {
		t.Errorf("%d bytes would be freed besides, and it says %d", more, plain.UntaggedBytes)
	}
	if taken.UntaggedReclaimable != 0 || taken.UntaggedBytes != 0 {
		t.Errorf("more than all: %+v", taken)
	}
	b.Tag("a", "v0", first.Digest)
	if none := examine(t, b.Memory(), nil).Totals; none.Untagged+none.UntaggedReclaimable != 0 || none.UntaggedBytes != 0 {
		t.Errorf("every manifest has a tag: %+v", none)
	}
}
