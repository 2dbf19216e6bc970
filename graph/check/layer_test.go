package check

import (
	"fmt"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// gone returns a repository with a config and a layer that isn't stored.
func gone() (b *fixtures.Builder, config, layer fixtures.Descriptor) {
	b = fixtures.New(1)
	config = b.Push("a", fixtures.OCIConfig, []byte("{}"))
	layer = b.Push("a", fixtures.OCILayer, []byte("gone"))
	b.Erase(layer.Key())
	return b, config, layer
}

// mayBeAbsent returns the descriptor of a layer with a URL.
func mayBeAbsent(d fixtures.Descriptor) string {
	d.URLs = []string{"http://x/y"}
	text, err := d.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestALayerMayBeAbsentForOneImageAlone: a layer that one image may lack is missing for
// another, in any order.
func TestALayerMayBeAbsentForOneImageAlone(t *testing.T) {
	for _, needs := range []string{"v1", "v2"} {
		b, config, layer := gone()
		for _, tag := range []string{"v1", "v2"} {
			d := mayBeAbsent(layer)
			if tag == needs {
				d = fixtures.DescriptorOf(fixtures.OCILayer, layer)
			}
			b.PushManifest("a", tag, fixtures.OCIManifest, fixtures.ImageBody(fixtures.DescriptorOf(fixtures.OCIConfig, config), d))
		}
		r := examine(t, b.Memory(), nil)
		expect(t, r, "blob-missing "+layer.Key()+" withdraw-ask")
		if refs := brokenRefs(r); len(refs) != 1 || refs[0] != "a:"+needs {
			t.Errorf("%s needs it; broken: %v", needs, refs)
		}
	}
}

// TestKeptLinksAreJudged: a link that is kept for any reason must have the right content.
func TestKeptLinksAreJudged(t *testing.T) {
	b, config, layer := gone()
	b.PushManifest("a", "v1", fixtures.OCIManifest, fixtures.ImageBody(fixtures.DescriptorOf(fixtures.OCIConfig, config), mayBeAbsent(layer)))
	key := layout.LayerKey("a", layer.Digest)
	b.Edit(key, empty)
	expect(t, examine(t, b.Memory(), nil), "link-invalid "+key+" none")

	b = fixtures.New(1)
	alien := b.PushManifest("a", "v1", "x/y", []byte(`{"unknown":"form"}`)) // pins
	spare := b.Push("a", "x", []byte("spare"))
	key = layout.LayerKey("a", spare.Digest)
	b.Edit(key, empty)
	expect(t, examine(t, b.Memory(), nil), "link-invalid "+key+" rebuild", "manifest-unparsable "+alien.Key()+" none")
}

// TestACorruptChildOfNoTypeIsReported: a child without a type is a blob if its bytes are no
// manifest, and must hash to its digest.
func TestACorruptChildOfNoTypeIsReported(t *testing.T) {
	for name, spoil := range spoils {
		b := fixtures.New(1)
		blob := b.Push("a", "x/y", []byte("a cache's layer"))
		b.PushManifest("a", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", blob)))
		b.Edit(blob.Key(), spoil)
		r := examine(t, b.Memory(), nil)
		if expect(t, r, "blob-corrupt "+blob.Key()+" move-ask"); len(brokenRefs(r)) != 1 {
			t.Errorf("%s: broken %v", name, brokenRefs(r))
		}
	}
}

func TestEachWrongDescriptorIsReported(t *testing.T) {
	b := fixtures.New(1)
	config := b.Push("a", fixtures.OCIConfig, []byte("{}"))
	layer := b.Push("a", fixtures.OCILayer, []byte("right"))
	config.Size, layer.Size = 3, 9
	m := b.PushManifest("a", "v1", fixtures.OCIManifest, fixtures.ImageBody(fixtures.DescriptorOf("x", config), fixtures.DescriptorOf("x", layer)))
	expect(t, examine(t, b.Memory(), nil), "descriptor-wrong "+m.Key()+" none", "descriptor-wrong "+m.Key()+" none")
}

// TestALayerLinkOfAnEntryThatMayBeEither: it is kept, though the entry is served as a
// manifest.
func TestALayerLinkOfAnEntryThatMayBeEither(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "", fixtures.Image{})
	body, _ := b.File(m.Key())
	b.Push("a", fixtures.OCILayer, body.Body)
	b.PushManifest("a", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", m.Descriptor)))
	r := examine(t, b.Memory(), untagged)
	if !b.Has(layout.LayerKey("a", m.Digest)) {
		t.Fatal("no layer link")
	}
	nothingGoes(t, r)
}

// TestALayerThatMayBeAbsentProvesNothing: a push doesn't need it, so a child that lacks it was
// pushed if its other blobs are linked.
func TestALayerThatMayBeAbsentProvesNothing(t *testing.T) {
	b := fixtures.New(1)
	config, layer := b.Push("a", fixtures.OCIConfig, []byte(`{"a":1}`)), b.Push("a", fixtures.OCILayer, []byte("own"))
	child := b.PushManifest("a", "", fixtures.OCIManifest, fmt.Appendf(nil,
		`{"schemaVersion":2,"config":{"digest":%q,"size":7},"layers":[{"digest":%q,"size":3},{"digest":%q,"size":4,"urls":["http://x/y"]}]}`,
		config.Digest, layer.Digest, layout.Sum([]byte("away"))))
	b.Index("a", "index", child)
	b.Erase(child.RevisionKey())
	expect(t, examine(t, b.Memory(), untagged), "revision-link-missing "+child.RevisionKey()+" rebuild")
}
