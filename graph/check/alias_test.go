package check

import (
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// aliased returns a repository whose tag needs a blob by its sha512 digest, the blob, and the
// key of its alias. form has "%" for the digest.
func aliased(form string) (b *fixtures.Builder, blob fixtures.Descriptor, key string) {
	b = fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	blob = b.Push("a", fixtures.OCILayer, []byte("known by its sha512"))
	key = b.Alias("a", blob)
	b.PushManifest("a", "v1", "x/y", []byte(strings.ReplaceAll(form, "%", aliasName(key))))
	return b, blob, key
}

const (
	aliasedConfig = `{"schemaVersion":2,"config":{"digest":"%"}}`
	aliasedMay    = `{"schemaVersion":2,"layers":[{"digest":"%","urls":["http://x/y"]}]}`
	aliasedEither = `{"schemaVersion":2,"manifests":[{"digest":"%","mediaType":"x/y"}]}`
	aliasedClaim  = `{"schemaVersion":2,"manifests":[{"digest":"%","mediaType":"` + fixtures.OCILayer + `"}]}`
	aliasedChild  = `{"schemaVersion":2,"manifests":[{"digest":"%","mediaType":"` + fixtures.OCIManifest + `"}]}`
)

func TestAnAliasKeepsItsTarget(t *testing.T) {
	for _, form := range []string{aliasedConfig, aliasedMay, aliasedEither, aliasedClaim, aliasedChild} {
		b, _, _ := aliased(form)
		spare := b.Push("a", "x", []byte("spare")) // removed, since nothing pins
		expect(t, examine(t, b.Memory(), untagged),
			"blob-orphan "+spare.Key()+" remove", "layer-link-unreferenced "+layout.LayerKey("a", spare.Digest)+" remove")
	}
}

// TestADigestWithoutAliasPins: a digest without an alias may be any blob that the repository
// links.
func TestADigestWithoutAliasPins(t *testing.T) {
	for _, form := range []string{aliasedConfig, aliasedEither, aliasedClaim, aliasedChild} {
		b, blob, key := aliased(form)
		b.Unlink(key)
		spare := b.Image("a", "", fixtures.Image{})
		nothingGoes(t, examine(t, b.Memory(), untagged))
		b.DeleteTag("a", "v1")
		if r := examine(t, b.Memory(), untagged); r.Counts[finding.ManifestUntagged].Count != 2 || r.Counts[finding.BlobOrphan].Count < 2 {
			t.Errorf("without the tag: %v (%s, %s)", garbage(r), blob.Digest, spare.Digest)
		}
	}
}

// TestAnUnexplainedDigestOfASparseChildPins: likewise for a sparse index's child.
func TestAnUnexplainedDigestOfASparseChildPins(t *testing.T) {
	for _, form := range []string{aliasedConfig, aliasedEither, aliasedChild} {
		b, _, key := aliased(form)
		child := b.Tagged("a", "v1")
		child.MediaType = fixtures.OCIManifest
		b.DeleteTag("a", "v1")
		b.Unlink(key)
		b.Unlink(child.RevisionKey())
		b.Index("a", "index", child)
		nothingGoes(t, examine(t, b.Memory(), untagged))
	}
}

// TestATagByAnotherDigestPins: a tag's target by another algorithm's digest may be any manifest
// of the repository, whether or not an alias names one.
func TestATagByAnotherDigestPins(t *testing.T) {
	for name, do := range map[string]func(b *fixtures.Builder, m fixtures.Manifest, alias, digest string){
		"as the target": func(*fixtures.Builder, fixtures.Manifest, string, string) {},
		"as a possible target": func(b *fixtures.Builder, _ fixtures.Manifest, _, _ string) {
			b.Edit(layout.CurrentKey("a", "v1"), empty)
		},
		"in a link of another digest": func(b *fixtures.Builder, _ fixtures.Manifest, _, digest string) {
			b.DeleteTag("a", "v1")
			b.Edit(b.Tagged("a", "kept").RevisionKey(), func([]byte) []byte { return []byte(digest) })
		},
		"without a revision link": func(b *fixtures.Builder, m fixtures.Manifest, _, _ string) { b.Erase(m.RevisionKey()) },
		"without an alias":        func(b *fixtures.Builder, _ fixtures.Manifest, alias, _ string) { b.Unlink(alias) },
	} {
		b := fixtures.New(1)
		b.Image("a", "kept", fixtures.Image{})
		m := b.Image("a", "", fixtures.Image{})
		b.Push("a", "x", []byte("spare"))
		alias := b.Alias("a", m.Descriptor)
		digest := aliasName(alias)
		for _, key := range []string{"index/" + strings.ReplaceAll(digest, ":", "/"), "current"} {
			b.Put(layout.TagKey("a", "v1")+"/"+key+"/link", []byte(digest))
		}
		do(b, m, alias, digest)
		t.Run(name, func(t *testing.T) { nothingGoes(t, examine(t, b.Memory(), untagged)) })
	}
}

// TestAnAliasProvesAChild: an alias proves a push as a layer link does.
func TestAnAliasProvesAChild(t *testing.T) {
	for _, form := range []string{aliasedConfig, aliasedEither} {
		b, _, _ := aliased(form)
		child := b.Tagged("a", "v1")
		child.MediaType = fixtures.OCIManifest
		b.DeleteTag("a", "v1")
		b.Erase(child.RevisionKey())
		b.Index("a", "index", child)
		expect(t, examine(t, b.Memory(), untagged), "revision-link-missing "+child.RevisionKey()+" rebuild")
	}
}

func TestAnAliasThatCannotBeReadIsNotAbsent(t *testing.T) {
	b, _, key := aliased(aliasedConfig)
	r := examine(t, fixtures.NewFaulty(b.Memory(), failing(key, fixtures.OpItem, fixtures.OpOpen, fixtures.OpStat)), nil)
	expect(t, r, "store-unreadable "+key+" none")
	if r.Totals.TagsUnknown != 1 || r.Totals.TagsBroken != 0 {
		t.Errorf("%d tags unknown, %d broken", r.Totals.TagsUnknown, r.Totals.TagsBroken)
	}
}

func TestAnAliasOfACorruptBlobBreaksTheTag(t *testing.T) {
	b, blob, _ := aliased(aliasedConfig)
	b.Edit(blob.Key(), flip)
	r := examine(t, b.Memory(), func(o *Options) { o.Verify.All = true })
	expect(t, r, "blob-corrupt "+blob.Key()+" move-ask")
	if refs := brokenRefs(r); len(refs) != 1 || refs[0] != "a:v1" {
		t.Errorf("broken: %v", refs)
	}
}

func TestATarsumLinkIsRechecked(t *testing.T) {
	b := fixtures.New(1)
	key := b.Tarsum("a", b.Image("a", "v1", fixtures.Image{}).Blobs[1])
	b.Edit(key, empty)
	expect(t, examine(t, b.Memory(), nil), "link-invalid "+key+" none")
}

func TestAnAlgorithmWithAPlusIsNoTarsum(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	spare := b.Push("a", "x", []byte("spare"))
	key := layout.RepositoryKey("a") + "/_layers/blake2b+256/" + strings.Repeat("ab", 32) + "/link"
	b.Put(key, []byte(spare.Digest.String()))
	expect(t, examine(t, b.Memory(), nil), "blob-orphan "+spare.Key()+" remove",
		"layer-link-unreferenced "+key+" remove", "layer-link-unreferenced "+layout.LayerKey("a", spare.Digest)+" remove")
}
