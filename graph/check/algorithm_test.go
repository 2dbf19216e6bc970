package check

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// sha384 returns the sha384 digest of body.
func sha384(body []byte) string {
	sum := sha512.Sum384(body)
	return "sha384:" + hex.EncodeToString(sum[:])
}

// TestAnImageByAnotherAlgorithm: registries serve objects stored and linked by sha384 and
// sha512 as those by sha256.
func TestAnImageByAnotherAlgorithm(t *testing.T) {
	for name, digest := range map[string]func([]byte) string{"sha384": sha384, "sha512": fixtures.SHA512} {
		build := func(tag string) (*fixtures.Builder, []string) {
			b := fixtures.New(1)
			config := b.Push("a", "x/y", []byte(`{"a config":1}`))
			layer := []byte("a layer of " + name)
			blob, link := b.PushBy("a", digest(layer), layer)
			body := fixtures.ImageBody(fixtures.DescriptorOf("x/y", config), fixtures.DescriptorNamed("x/y", digest(layer), int64(len(layer))))
			manifest, revision := b.PushManifestBy("a", tag, digest(body), body)
			index := fixtures.IndexBody(fixtures.DescriptorNamed(fixtures.OCIManifest, digest(body), int64(len(body))))
			b.PushManifest("a", tag+"list", fixtures.OCIIndex, index)
			return b, []string{
				"blob-orphan " + blob, "blob-orphan " + manifest, "blob-orphan " + config.Key(),
				"layer-link-unreferenced " + link, "manifest-untagged " + revision,
			}
		}
		for _, change := range []func(*Options){nil, untagged, func(o *Options) { o.Verify.All, o.Untagged = true, true }} {
			b, _ := build("v")
			expect(t, examine(t, b.Memory(), change))
		}
		b, goes := build("")
		b.DeleteTag("a", "list")
		found := garbage(examine(t, b.Memory(), untagged))
		for _, want := range goes {
			if !slices.Contains(found, want) {
				t.Errorf("%s: not found: %s in\n%s", name, want, strings.Join(found, "\n"))
			}
		}
		nothingGoes(t, examine(t, b.Memory(), nil))
	}
}

func TestDamageOfWhatAnotherAlgorithmNames(t *testing.T) {
	build := func(spoil func(b *fixtures.Builder, manifest, layer, link, revision string)) *Result {
		b := fixtures.New(1)
		config, bytes := b.Push("a", "x/y", []byte(`{"a config":1}`)), []byte("a layer")
		layer, link := b.PushBy("a", fixtures.SHA512(bytes), bytes)
		body := fixtures.ImageBody(fixtures.DescriptorOf("x/y", config), fixtures.DescriptorNamed("x/y", fixtures.SHA512(bytes), int64(len(bytes))))
		manifest, revision := b.PushManifestBy("a", "v", fixtures.SHA512(body), body)
		b.Push("a", "x/y", []byte("nothing needs it"))
		spoil(b, manifest, layer, link, revision)
		r := examine(t, b.Memory(), func(o *Options) { o.Verify.All = true })
		return r
	}
	for want, spoil := range map[string]func(b *fixtures.Builder, manifest, layer, link, revision string){
		"manifest-corrupt":      func(b *fixtures.Builder, manifest, _, _, _ string) { b.Edit(manifest, flip) },
		"manifest-missing":      func(b *fixtures.Builder, manifest, _, _, _ string) { b.Erase(manifest) },
		"blob-corrupt":          func(b *fixtures.Builder, _, layer, _, _ string) { b.Edit(layer, flip) },
		"blob-missing":          func(b *fixtures.Builder, _, layer, _, _ string) { b.Erase(layer) },
		"layer-link-missing":    func(b *fixtures.Builder, _, _, link, _ string) { b.Erase(link) },
		"revision-link-missing": func(b *fixtures.Builder, _, _, _, revision string) { b.Erase(revision) },
		"link-invalid":          func(b *fixtures.Builder, _, _, _, revision string) { b.Edit(revision, empty) },
	} {
		r := build(spoil)
		id, _ := finding.Parse(want)
		if r.Counts[id].Count != 1 || r.Totals.TagsBroken != 1 {
			t.Errorf("%s: found %d times, %d tags can't be pulled:\n%s", want, r.Counts[id].Count, r.Totals.TagsBroken, strings.Join(lines(r), "\n"))
		}
	}
}

// TestABlobByAnUnknownAlgorithmIsKept: what needs it is unknown, even if no link names it.
func TestABlobByAnUnknownAlgorithmIsKept(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	b.Put(layout.Blobs+"/blake3/ab/"+strings.Repeat("ab", 32)+"/data", []byte("x"))
	nothingGoes(t, examine(t, b.Memory(), untagged))
}

// TestAnUnknownAlgorithmPinsItsReferrers: what is stored by an unknown algorithm may be a
// manifest.
func TestAnUnknownAlgorithmPinsItsReferrers(t *testing.T) {
	unknown := "blake3:" + strings.Repeat("ab", 32)
	for name, link := range map[string]func(*fixtures.Builder){
		"revision": func(b *fixtures.Builder) { b.PushManifestBy("a", "", unknown, []byte("{}")) },
		"tag":      func(b *fixtures.Builder) { b.PushManifestBy("a", "v", unknown, []byte("{}")) },
		"layer":    func(b *fixtures.Builder) { b.PushBy("a", unknown, []byte("{}")) },
	} {
		b := fixtures.New(1)
		b.Image("a", "kept", fixtures.Image{})
		b.Image("a", "", fixtures.Image{})
		b.Push("a", "x/y", []byte("perhaps it needs this"))
		garbage := b.Push("b", "x/y", []byte("nothing needs it"))
		link(b)
		for _, change := range []func(*Options){nil, untagged} {
			r := examine(t, b.Memory(), change)
			for f := range r.Findings {
				if f.Cure == finding.CureRemove && f.Repository != "b" && f.Digest != garbage.Digest.String() {
					t.Errorf("%s: %s %s", name, f.Kind, f.Path)
				}
			}
			if r.Counts[finding.ForeignFile].Count != 1 {
				t.Errorf("%s: %s", name, fmt.Sprint(lines(r)))
			}
		}
	}
}
