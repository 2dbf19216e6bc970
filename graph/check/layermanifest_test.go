package check

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestALayerLinkOfAManifestIsARevision: registry 2.1.0 linked manifests only below _layers,
// and 2.x serves them from there.
func TestALayerLinkOfAManifestIsARevision(t *testing.T) {
	build := func(tag string) (*fixtures.Builder, fixtures.Manifest) {
		b := fixtures.New(1)
		m := b.Image("old", tag, fixtures.Image{})
		b.Erase(layout.RevisionKey("old", m.Digest))
		b.Mount("old", m.Digest)
		return b, m
	}
	b, _ := build("")
	expect(t, examine(t, b.Memory(), nil))

	b, m := build("v")
	for _, change := range []func(*Options){nil, untagged} {
		expect(t, examine(t, b.Memory(), change), "revision-link-missing "+m.RevisionKey()+" rebuild")
	}

	b, m = build("")
	found := []string{"repo-empty " + layout.RepositoryKey("old") + " remove", "blob-orphan " + m.Key() + " remove", "layer-link-unreferenced " + layout.LayerKey("old", m.Digest) + " remove"}
	for _, d := range m.Blobs {
		found = append(found, "blob-orphan "+d.Key()+" remove", "layer-link-unreferenced "+layout.LayerKey("old", d.Digest)+" remove")
	}
	expect(t, examine(t, b.Memory(), untagged), found...)

	// On an empty repository nothing is repaired.
	b, _ = build("v")
	r := examine(t, b.Memory(), func(o *Options) {
		for id := range finding.Kinds {
			o.Skip[id] = id != finding.RepoEmpty && id != finding.LayerLinkUnreferenced && id != finding.LayerLinkDangling
		}
	})
	nothingGoes(t, r)

	// A blob that a manifest needs is no revision, whatever it contains.
	b = fixtures.New(1)
	inner := b.Image("a", "", fixtures.Image{})
	b.Erase(inner.RevisionKey())
	config := b.Push("b", "x/y", []byte("{}"))
	b.Mount("b", inner.Digest)
	b.PushManifest("b", "v", fixtures.OCIManifest, fixtures.ImageBody(fixtures.DescriptorOf("x/y", config), fixtures.DescriptorOf("x/y", inner.Descriptor)))
	if r := examine(t, b.Memory(), nil); r.Counts[finding.BlobOrphan].Count != len(inner.Blobs) {
		t.Errorf("%v", lines(r))
	}
}

// TestUploadedManifests: a manifest can be uploaded as a blob without a check of its
// references: these are kept, and never linked.
func TestUploadedManifests(t *testing.T) {
	build := func() (b *fixtures.Builder, secret []string, uploaded fixtures.Descriptor) {
		b = fixtures.New(1)
		private := b.Image("private", "v", fixtures.Image{})
		for _, d := range private.Blobs {
			secret = append(secret, layout.LayerKey("evil", d.Digest))
		}
		uploaded = b.Push("evil", "x/y", fixtures.ImageBody(fixtures.DescriptorOf("x/y", private.Blobs[0]), fixtures.DescriptorOf("x/y", private.Blobs[1])))
		return b, secret, uploaded
	}
	linked := func(r *Result, key string) bool {
		for f := range r.Findings {
			if f.Path == key && (f.Cure == finding.CureRebuild || f.Cure == finding.CureWriteAsk) {
				return true
			}
			for _, l := range f.Found {
				if l.Path == key {
					return true
				}
			}
		}
		return false
	}
	whole := func(b *fixtures.Builder, secret []string, change func(*Options)) {
		t.Helper()
		for _, key := range secret {
			if linked(examine(t, b.Memory(), change), key) {
				t.Errorf("%s would be written: evil gets what is private's", key)
			}
		}
	}

	b, secret, _ := build()
	whole(b, secret, nil)

	// 2.x accepts an index of it, by its layer link.
	b, secret, uploaded := build()
	index := b.PushManifest("evil", "v", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf(fixtures.OCIManifest, uploaded)))
	whole(b, secret, nil)

	// The deleted index is a lost image with evidence in evil.
	b.DeleteManifest(index)
	whole(b, secret, seekLost)

	// An index uploaded as a blob refers to what was never pushed here.
	b = fixtures.New(1)
	private := b.Image("private", "v", fixtures.Image{})
	b.Push("evil", "x/y", fixtures.IndexBody(fixtures.DescriptorOf(fixtures.OCIManifest, private.Descriptor), fixtures.DescriptorOf("x/y", private.Blobs[0])))
	whole(b, []string{layout.RevisionKey("evil", private.Digest), layout.LayerKey("evil", private.Digest), layout.LayerKey("evil", private.Blobs[0].Digest)}, nil)

	// What another manifest proves is linked.
	b, _, _ = build()
	own := b.Image("evil", "own", fixtures.Image{})
	b.Push("evil", "x/y", fixtures.ImageBody(fixtures.DescriptorOf("x/y", own.Blobs[0]), fixtures.DescriptorOf("x/y", own.Blobs[1])))
	b.Erase(own.LayerKey(1))
	if r := examine(t, b.Memory(), nil); !linked(r, own.LayerKey(1)) {
		t.Errorf("the link of an image's layer isn't rebuilt: %v", lines(r))
	}
}

// TestAManifestUnderLayersIsReadTwice: one wrong answer doesn't make a manifest of a blob.
func TestAManifestUnderLayersIsReadTwice(t *testing.T) {
	for name, c := range map[string]struct {
		op fixtures.Op
		w  fixtures.Wrong
	}{
		"not found": {fixtures.OpOpen, fixtures.Lie}, "empty": {fixtures.OpRead, fixtures.Lie}, "cut": {fixtures.OpRead, fixtures.Cut},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			m := b.Image("old", "", fixtures.Image{})
			b.Erase(layout.RevisionKey("old", m.Digest))
			b.Mount("old", m.Digest)
			nothingGoes(t, examine(t, fixtures.NewFaulty(b.Memory(), once(m.Key(), c.op, c.w)), nil))
		})
	}
}
