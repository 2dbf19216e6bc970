package check

import (
	"testing"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/fixtures"
	"regfsck/graph/finding"
)

// opened is a Reader as an opened store.
type opened struct{ backend.Reader }

func (opened) Close() error { return nil }

// TestSizesOfSources: a source with right bytes is used whatever size a manifest states, and
// one with the stored size is preferred.
func TestSizesOfSources(t *testing.T) {
	b := fixtures.New(5)
	image := b.Image("a", "v1", fixtures.Image{Layers: []int{40}})
	layer := image.Blobs[1]
	whole, torn := b.Clone(5), b.Clone(5)
	torn.Edit(layer.Key(), func(x []byte) []byte { return x[:7] })
	b.Edit(layer.Key(), func(x []byte) []byte { x = append([]byte{}, x...); x[0] ^= 1; return x })
	from := []source.Source{source.OfStore("torn", opened{torn.Memory()}), source.OfStore("whole", opened{whole.Memory()})}
	r := examine(t, b.Memory(), func(o *Options) { o.Verify.All, o.From = true, from })
	healed := 0
	for f := range r.Findings {
		if f.Kind == finding.BlobCorrupt && f.Blob != nil && f.Blob.From == "whole" && f.Blob.Size == 40 {
			healed++
		}
	}
	if healed != 1 {
		t.Errorf("\n%v", lines(r))
	}
}

// TestAHealInventsNoWrongDescriptor: a healed manifest doesn't make descriptors wrong.
func TestAHealInventsNoWrongDescriptor(t *testing.T) {
	b := fixtures.New(6)
	amd, arm := b.Image("a", "", fixtures.Image{}), b.Image("a", "", fixtures.Image{})
	b.Index("a", "v1", amd, arm)
	whole := b.Clone(6)
	b.Edit(amd.Key(), func(x []byte) []byte { return x[:20] })
	from := []source.Source{source.OfStore("whole", opened{whole.Memory()})}
	r := examine(t, b.Memory(), func(o *Options) { o.From = from })
	if r.Counts[finding.DescriptorWrong].Count != 0 || r.Counts[finding.ManifestCorrupt].Count != 1 {
		t.Errorf("\n%v", lines(r))
	}
}
