package check

import (
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestWhatABrokenManifestBlocks: a blob that isn't a manifest, or has no revision link,
// blocks only those who need it as a manifest: a tag whose link was overwritten with a
// layer's digest is broken, but images with that layer aren't.
func TestWhatABrokenManifestBlocks(t *testing.T) {
	layers := map[string]func(b *fixtures.Builder) layout.Digest{
		"a layer": func(b *fixtures.Builder) layout.Digest { return b.Tagged("base", "stable").Blobs[1].Digest },
		"a config": func(b *fixtures.Builder) layout.Digest {
			return b.Tagged("base", "stable").Blobs[0].Digest
		},
	}
	for name, of := range layers {
		for _, revision := range []bool{false, true} {
			b := fixtures.Standard()
			d := of(b)
			b.Tag("base", "overwritten", d)
			if revision {
				b.Put(layout.RevisionKey("base", d), []byte(d.String()))
			}
			var refs []string
			r := examine(t, b.Memory(), nil)
			for tag := range r.Broken {
				refs = append(refs, tag.Ref())
			}
			for tag := range r.Unknown {
				refs = append(refs, tag.Ref())
			}
			if !slices.Equal(refs, []string{"base:overwritten"}) {
				t.Errorf("%s, with a revision link %t: %q can't be pulled", name, revision, refs)
			}
		}
	}
}
