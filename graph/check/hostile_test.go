package check

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// numbered returns the digest of the i-th object of that kind.
func numbered(kind byte, i int) layout.Digest {
	return layout.Sum(binary.BigEndian.AppendUint32([]byte{kind}, uint32(i)))
}

// hostile returns a graph of one repository with n manifests, tagged or not, with these
// references.
func hostile(t *testing.T, n int, links func(i int) []walker.Link, refs func(i int) []manifest.Ref) *graph.Graph {
	t.Helper()
	g := graph.Builder{Graph: graph.NewGraph(fixtures.Epoch, time.Hour)}
	for i := range n {
		g.Blobs([]walker.Blob{{AnyDigest: layout.AnyDigest{Digest: numbered('m', i)}, Size: 1}})
	}
	if err := g.SealBlobs(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		g.Links("r", links(i))
	}
	g.SealLinks()
	for i := range n {
		g.AddManifest(g.IDOf(numbered('m', i)), walker.Manifest{
			State: walker.ManifestGood, Manifest: manifest.Manifest{Kind: manifest.Index, Refs: refs(i)},
		})
	}
	return g.Graph
}

// TestManyTagsWithManyLackingLayers: each finding lists only some of the tags.
func TestManyTagsWithManyLackingLayers(t *testing.T) {
	const tags, layers = 40, 30_000
	var refs []manifest.Ref
	for i := range layers {
		refs = append(refs, manifest.Ref{Role: manifest.Layer, Read: true, Digest: numbered('l', i), Size: -1})
	}
	g := hostile(t, tags, func(i int) []walker.Link {
		d := numbered('m', i)
		return []walker.Link{
			{Kind: layout.Revision, Path: d, Target: layout.AnyDigest{Digest: d}},
			{Kind: layout.TagCurrent, Tag: fmt.Sprintf("t%02d", i), Target: layout.AnyDigest{Digest: d}},
		}
	}, func(int) []manifest.Ref { return refs })
	for f := range (describer{judge(g, terms{options: options{allAffects: true}})}).result(nil).Findings {
		if f.AffectsCount != tags || len(f.Affects) != tags || !slices.IsSorted(f.Affects) || f.Affects[tags-1] != fmt.Sprintf("%s:t%02d", f.Affects[0][:len(f.Affects[0])-4], tags-1) {
			t.Fatalf("%s affects %d tags: %q", f.Path, f.AffectsCount, f.Affects)
		}
	}
	r := describer{judge(g, terms{})}.result(nil)
	if r.Totals.TagsBroken != tags || r.Counts[finding.BlobMissing].Count != layers {
		t.Errorf("%d tags broken, %d blobs missing", r.Totals.TagsBroken, r.Counts[finding.BlobMissing].Count)
	}
	for b := range r.Broken {
		if len(b.Because) != finding.MaxAffects {
			t.Errorf("%s has %d reasons", b.Ref(), len(b.Because))
		}
	}
	for f := range r.Findings {
		if f.AffectsCount != tags || len(f.Affects) != finding.MaxAffects {
			t.Fatalf("%s affects %d tags, %d of them named", f.Path, f.AffectsCount, len(f.Affects))
		}
	}
}

// TestAProofEnds: each index has the next one twice as a child: there are 2^n paths to the
// last one.
func TestAProofEnds(t *testing.T) {
	const n = 200
	g := hostile(t, n, func(i int) []walker.Link {
		if i > 0 {
			return nil
		}
		d, l := numbered('m', 0), numbered('l', 0)
		return []walker.Link{{Kind: layout.Revision, Path: d, Target: layout.AnyDigest{Digest: d}}, {Kind: layout.LayerLink, Path: l, Target: layout.AnyDigest{Digest: l}}}
	}, func(i int) []manifest.Ref {
		next := numbered('m', i+1)
		if i == n-1 {
			return []manifest.Ref{{Role: manifest.Layer, Read: true, Digest: numbered('l', 0), Size: -1}}
		}
		return []manifest.Ref{
			{Role: manifest.Child, Read: true, Digest: next, Size: -1}, {Role: manifest.Either, Read: true, Digest: next, Size: -1},
		}
	})
	j := judge(g, terms{})
	for i := range n {
		if !j.Referenced.Has(g.IDOf(numbered('m', i))) {
			t.Fatalf("index %d isn't kept", i)
		}
	}
	if r := (describer{j}).result(nil); r.Counts[finding.LayerLinkDangling].Count != 0 {
		t.Error("the layer link that the last one needs is called garbage")
	}
}
