package graph

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// Registry 2.1.0 linked manifests under _layers and nowhere else, and 2.x serves
// them from there.
func TestALayerLinkOfAManifestIsARevision(t *testing.T) {
	build := func(tag string) (*fixtures.Builder, fixtures.Manifest) {
		b := fixtures.New(1)
		m := b.Image("old", tag, fixtures.Image{})
		b.Erase(layout.RevisionKey("old", m.Digest))
		b.Mount("old", m.Digest)
		return b, m
	}
	b, _ := build("")
	expect(t, examine(t, memory(b), nil))

	b, m := build("v")
	for _, change := range []func(*Options){nil, untagged} {
		expect(t, examine(t, memory(b), change), "revision-link-missing "+m.RevisionKey()+" rebuild")
	}

	b, m = build("")
	found := []string{"repo-empty " + layout.RepositoryKey("old") + " remove", "blob-orphan " + m.Key() + " remove", "layer-link-unreferenced " + layout.LayerKey("old", m.Digest) + " remove"}
	for _, d := range m.Blobs {
		found = append(found, "blob-orphan "+d.Key()+" remove", "layer-link-unreferenced "+layout.LayerKey("old", d.Digest)+" remove")
	}
	expect(t, examine(t, memory(b), untagged), found...)

	// The recipe for empty repositories repairs nothing.
	b, _ = build("v")
	r := examine(t, memory(b), func(o *Options) {
		for id := range NumIDs {
			o.Left[id] = id != RepoEmpty && id != LayerLinkUnreferenced && id != LayerLinkDangling
		}
	})
	nothingGoes(t, r)

	// What a manifest needs as a blob is no revision, whatever it holds.
	b = fixtures.New(1)
	inner := b.Image("a", "", fixtures.Image{})
	b.Erase(inner.RevisionKey())
	config := b.Push("b", "x/y", []byte("{}"))
	b.Mount("b", inner.Digest)
	b.PushManifest("b", "v", fixtures.OCIManifest, imageOf(described("x/y", config), described("x/y", inner.Descriptor)))
	if r := examine(t, memory(b), nil); r.Counts[BlobOrphan].Count != len(inner.Blobs) {
		t.Errorf("%v", lines(r))
	}
}
