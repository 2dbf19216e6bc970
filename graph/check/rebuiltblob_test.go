package check

import (
	"encoding/base64"
	"fmt"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// carrying returns an image with its layer as data.
func carrying(config fixtures.Descriptor, d layout.AnyDigest, body string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"x/y","digest":%q,"size":%d},"layers":[{"mediaType":"x/y","digest":"%s","size":%d,"data":%q}]}`,
		fixtures.OCIManifest, config.Digest, config.Size, d, len(body), base64.StdEncoding.EncodeToString([]byte(body)))
}

// blobFindings returns the findings of missing or corrupt blobs, by digest.
func blobFindings(r *Result) map[string]finding.Finding {
	all := map[string]finding.Finding{}
	for f := range r.Findings {
		if f.Kind == finding.BlobMissing || f.Kind == finding.BlobCorrupt {
			all[f.Digest] = f
		}
	}
	return all
}

// TestABlobWhoseDigestProvesItIsRebuilt: well-known bytes are written for a digest of any
// algorithm that registries serve.
func TestABlobWhoseDigestProvesItIsRebuilt(t *testing.T) {
	for _, body := range []string{"", "{}", graph.WellKnown[layout.AnyDigest{Digest: gzipped}], "carried"} {
		for _, d := range layout.Sums([]byte(body)) {
			for _, spoilt := range []bool{false, true} {
				b := fixtures.New(1)
				config := b.Push("a", "x/y", []byte("config"))
				b.PushBy("a", d.String(), []byte(body))
				b.PushManifest("a", "v1", fixtures.OCIManifest, carrying(config, d, body))
				id := finding.BlobMissing
				if spoilt {
					b.Edit(d.BlobKey(), func([]byte) []byte { return []byte("other") })
					id = finding.BlobCorrupt
				} else {
					b.Erase(d.BlobKey())
				}
				r := examine(t, b.Memory(), func(o *Options) { o.Verify.All = true })
				f, found := blobFindings(r)[d.String()]
				switch {
				case !found || f.Kind != id || f.Cure != finding.CureRebuild:
					t.Errorf("%s, spoilt %v: %+v", d, spoilt, f)
				case f.Blob.Body != body || f.Blob.Present != spoilt || f.AffectsCount != 1 || f.Path != d.BlobKey():
					t.Errorf("%s, spoilt %v: %+v, %+v", d, spoilt, f, f.Blob)
				}
				cache := examine(t, b.Memory(), func(o *Options) { o.Verify.All, o.Cache = true, true })
				if f := blobFindings(cache)[d.String()]; f.Cure == finding.CureRebuild {
					t.Errorf("%s, spoilt %v: rebuilt in a pull-through cache", d, spoilt)
				}
			}
		}
	}
}

// gzipped is the digest of Docker's empty layer.
var gzipped, _ = layout.ParseHex("a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4")

// TestBytesInAManifest: bytes in a manifest count only if it is kept and sound, and they have
// its size and hash to the digest.
func TestBytesInAManifest(t *testing.T) {
	const body = "carried"
	for name, c := range map[string]struct {
		spoil func(b *fixtures.Builder, config fixtures.Descriptor, d layout.AnyDigest) []byte
		want  finding.Cure
	}{
		"sound": {func(_ *fixtures.Builder, config fixtures.Descriptor, d layout.AnyDigest) []byte {
			return carrying(config, d, body)
		}, finding.CureRebuild},
		"other bytes": {func(_ *fixtures.Builder, config fixtures.Descriptor, d layout.AnyDigest) []byte {
			return carrying(config, d, "carries")
		}, finding.CureWithdrawAsk},
		"in an orphan": {func(b *fixtures.Builder, config fixtures.Descriptor, d layout.AnyDigest) []byte {
			orphan := carrying(config, d, body)
			b.Put(layout.BlobKey(layout.Sum(orphan)), orphan)
			return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"digest":%q,"size":%d},"layers":[{"digest":"%s","size":%d}]}`,
				fixtures.OCIManifest, config.Digest, config.Size, d, len(body))
		}, finding.CureWithdrawAsk},
	} {
		b := fixtures.New(1)
		config := b.Push("a", "x/y", []byte("config"))
		layer := b.Push("a", "x/y", []byte(body))
		b.PushManifest("a", "v1", fixtures.OCIManifest, c.spoil(b, config, layout.AnyDigest{Digest: layer.Digest}))
		b.Erase(layer.Key())
		lost := func(o *Options) { o.Lost = 100 } // then orphans are read
		if f := blobFindings(examine(t, b.Memory(), lost))[layer.Digest.String()]; f.Cure != c.want {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
