package check

import (
	"fmt"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// stolen pushes an image to private, and to evil a manifest in which %[1]s is private's
// layer, %[2]s evil's config and %[3]s evil's layer.
func stolen(form string) (b *fixtures.Builder, private fixtures.Manifest, evil fixtures.Manifest) {
	b = fixtures.New(1)
	private = b.Image("private", "v1", fixtures.Image{Layers: []int{30}})
	own := b.Image("evil", "own", fixtures.Image{Layers: []int{20}})
	body := fmt.Sprintf(form, private.Blobs[1].Digest, own.Blobs[0].Digest, own.Blobs[1].Digest)
	return b, private, b.PushManifest("evil", "v1", fixtures.OCIManifest, []byte(body))
}

const (
	ownConfig = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%[2]s"}`
	ownLayers = `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%[3]s"}]`
	theirs    = `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%[1]s"}`
	ofImage   = `"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`
	ofDocker  = `"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",`
	ofIndex   = `"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",`
)

// TestNothingIsLinkedWithoutAPush: a reference that no registry reads or checked gives no
// link to another repository's blob. Its target is kept.
func TestNothingIsLinkedWithoutAPush(t *testing.T) {
	for name, form := range map[string]string{
		"blobs":                      `{` + ofImage + ownConfig + `,` + ownLayers + `,"blobs":[` + theirs + `]}`,
		"fsLayers":                   `{` + ofImage + ownConfig + `,` + ownLayers + `,"fsLayers":[{"blobSum":"%[1]s"}]}`,
		"manifests of an image":      `{` + ofDocker + ownConfig + `,` + ownLayers + `,"manifests":[` + theirs + `]}`,
		"layers that aren't last":    `{` + ofImage + ownConfig + `,"layers":[` + theirs + `],` + ownLayers + `}`,
		"layers in capitals":         `{` + ofImage + ownConfig + `,"LAYERS":[` + theirs + `],` + ownLayers + `}`,
		"a digest that isn't last":   `{` + ofImage + ownConfig + `,"layers":[{"digest":"%[1]s","digest":"%[3]s"}]}`,
		"a config that isn't last":   `{` + ofImage + `"config":` + theirs + `,` + ownConfig + `,` + ownLayers + `}`,
		"a layer's entry":            `{` + ofIndex + `"manifests":[` + theirs + `]}`,
		"an entry of unknown type":   `{` + ofIndex + `"manifests":[{"mediaType":"x/y","digest":"%[1]s"}]}`,
		"a config with urls":         `{` + ofImage + `"config":{"digest":"%[1]s","urls":["http://x/y"]},` + ownLayers + `}`,
		"a null config behind it":    `{"schemaVersion":2,"config":` + theirs + `,"config":null,"layers":null}`,
		"an index without that type": `{"schemaVersion":2,"manifests":[],` + ownConfig + `,"layers":[` + theirs + `]}`,
		"signed by schema 1":         `{` + ofImage + ownConfig + `,"layers":[` + theirs + `],"name":"evil","fsLayers":[]}`,
		"an artifact's blobs":        `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[` + theirs + `]}`,
		"of no known type":           `{"schemaVersion":2,"mediaType":"x/y",` + ownConfig + `,"layers":[` + theirs + `]}`,
		"of no schema version":       `{` + ownConfig + `,"layers":[` + theirs + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			b, private, _ := stolen(form)
			link := layout.LayerKey("evil", private.Blobs[1].Digest)
			r := examine(t, b.Memory(), func(*Options) {})
			for f := range r.Findings {
				if f.Path == link && f.Cure == finding.CureRebuild {
					t.Errorf("%v would be put right: evil gets private's layer", f.Kind)
				}
			}
			b.Erase(private.RevisionKey())
			b.Erase(layout.CurrentKey("private", "v1"))
			b.Erase(layout.HistoryKey("private", "v1", private.Digest))
			b.Erase(private.LayerKey(1))
			for f := range examine(t, b.Memory(), func(*Options) {}).Findings {
				if f.Digest == private.Blobs[1].Digest.String() && f.Kind.Severity() == finding.Garbage {
					t.Errorf("what evil's manifest may mean is called %v", f.Kind)
				}
			}
		})
	}
}

// TestUnreadReferencesAreNeverMissing: the image is served completely.
func TestUnreadReferencesAreNeverMissing(t *testing.T) {
	madeUp := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, `{"digest":"`+layout.Sum(fmt.Appendf(nil, "made up %d", i)).String()+`"}`)
		}
		return strings.Join(all, ",")
	}
	for name, more := range map[string]string{
		"400 digests in blobs":       `"blobs":[` + madeUp(400) + `]`,
		"40,000 digests in blobs":    `"blobs":[` + madeUp(40_000) + `]`,
		"layers that aren't last":    `"layers":[` + madeUp(3) + `],` + ownLayers,
		"nested 200 deep":            `"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"blobs that are a number":    `"blobs":7`,
		"blobs that are no digests":  `"blobs":[{"digest":"x"},{},"y"]`,
		"a subject that is a string": `"subject":"x"`,
		"a digest of another kind":   `"blobs":[{"digest":"sha512:` + strings.Repeat("ab", 64) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			form := `{` + ofImage + ownConfig + `,` + ownLayers + `,` + more + `}`
			b, _, _ := stolen(form)
			b.Push("evil", "x/y", []byte("nothing needs it"))
			r := examine(t, b.Memory(), func(*Options) {})
			if r.Totals.TagsBroken+r.Totals.TagsUnknown > 0 || r.Damaged() {
				t.Errorf("it can be pulled, and %d tags are broken, %d unknown", r.Totals.TagsBroken, r.Totals.TagsUnknown)
			}
			if r.Counts[finding.LayerLinkUnreferenced].Count != 1 {
				t.Error("it pins its repository")
			}
		})
	}
}

// TestAnUnreadReferenceByAnAliasKeepsAManifest: the target by its sha512 digest is kept with
// all that it needs.
func TestAnUnreadReferenceByAnAliasKeepsAManifest(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	m := b.Image("a", "", fixtures.Image{})
	own := b.Image("a", "own", fixtures.Image{Layers: []int{20}})
	alias := aliasName(b.Alias("a", m.Descriptor))
	form := `{` + ofDocker + `"config":{"digest":"` + own.Blobs[0].Digest.String() + `"},"layers":[{"digest":"` + own.Blobs[1].Digest.String() + `"}],"manifests":[{"digest":"%","mediaType":"` + fixtures.OCIManifest + `"}]}`
	b.PushManifest("a", "v1", fixtures.DockerManifest, []byte(strings.ReplaceAll(form, "%", alias)))
	nothingGoes(t, examine(t, b.Memory(), untagged))
}

// TestARemovalKeepsUnreadReferences: nor is it removed with the manifest: anyone who may push
// could have written any digest there.
func TestARemovalKeepsUnreadReferences(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	m := b.Image("a", "", fixtures.Image{})
	own := b.Image("a", "own", fixtures.Image{Layers: []int{20}})
	form := `{` + ofDocker + `"config":{"digest":"` + own.Blobs[0].Digest.String() + `"},"layers":[{"digest":"` + own.Blobs[1].Digest.String() + `"}],"manifests":[{"digest":"` + m.Digest.String() + `","mediaType":"` + fixtures.OCIManifest + `"}]}`
	b.PushManifest("a", "v1", fixtures.DockerManifest, []byte(form))
	r := examine(t, b.Memory(), func(o *Options) {
		o.Policy.Removal = &gc.Removal{Tags: map[string]map[string]string{"a": {"v1": ""}}}
	})
	removed := keysThatGo(r)
	if removed[layout.CurrentKey("a", "v1")] == 0 || removed[m.RevisionKey()] != 0 || removed[m.Blobs[1].Key()] != 0 {
		t.Errorf("removed: %v", removed)
	}
}
