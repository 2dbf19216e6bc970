package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/usage"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// TestRelationsAreSubsets: what is taken is served, and what is served is needed.
func TestRelationsAreSubsets(t *testing.T) {
	children, aliased := 0, 0
	for seed := range *oracle.Stores {
		b, _ := oracle.Chance(seed, fixtures.Random)
		g := examine(t, b.Memory(), nil).Scan.Graph
		for i := range g.Repos {
			for n := range g.Nodes {
				m := g.In(&g.Repos[i], g.Nodes[n].ID)
				needed, served := map[uint32]bool{}, map[uint32]bool{}
				for _, id := range m.Needs {
					needed[id] = true
				}
				for s := range m.Serves {
					if served[s.To] = true; !needed[s.To] {
						t.Errorf("seed %d: %s serves %s of %s, and doesn't need it", seed, m.R.Name, g.NameOf(s.To), g.NameOf(m.ID))
					}
					if s.To != s.ID() {
						aliased++
					}
				}
				for id := range m.Takes {
					if children++; !served[id] || !m.R.HasRevision(id) {
						t.Errorf("seed %d: in %s %s is removed with %s, which doesn't serve it", seed, m.R.Name, g.NameOf(id), g.NameOf(m.ID))
					}
				}
			}
		}
	}
	if *oracle.Stores >= 500 && min(children, aliased) == 0 {
		t.Errorf("%d children, %d aliases", children, aliased)
	}
}

// TestAnAliasedChildIsPartOfItsIndex: a child by another algorithm's digest is pulled and
// removed with its index, in all reports.
func TestAnAliasedChildIsPartOfItsIndex(t *testing.T) {
	b := fixtures.New(1)
	child := b.Image("al", "", fixtures.Image{})
	b.Push("al", fixtures.OCIManifest, child.Body)
	name := aliasName(b.Alias("al", child.Descriptor))
	index := b.PushManifest("al", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorNamed(fixtures.OCIManifest, name, child.Size)))
	all := index.Size + child.Size
	for _, blob := range child.Blobs {
		all += blob.Size
	}
	r := examine(t, b.Memory(), func(o *Options) { o.Usage = true })
	if r.Totals.TagsBroken > 0 {
		t.Error("the tag can't be pulled")
	}
	tags, pinned := usage.Of(r.Marks, r.Broken).Tags("al")
	if len(tags) != 1 || tags[0].Size != all || tags[0].Own != all || pinned != "" {
		t.Errorf("%+v %s, and all is %d", tags, pinned, all)
	}
	tree, _ := usage.Of(r.Marks, r.Broken).Tree("al", "v1")
	if len(tree.Children) != 1 || tree.Children[0].Digest != child.Digest.String() || tree.Children[0].Broken != "" || len(tree.Children[0].Children) != len(child.Blobs) {
		t.Errorf("%+v", tree)
	}
	removed := examine(t, b.Memory(), func(o *Options) {
		o.Removal = &gc.Removal{Tags: map[string]map[string]string{"al": {"v1": "asked"}}}
	})
	if removed.Totals.ReclaimableBytes != all {
		t.Errorf("rm frees %d of %d", removed.Totals.ReclaimableBytes, all)
	}
	for _, blob := range child.Blobs {
		b.Erase(layout.BlobKey(blob.Digest))
	}
	if r := examine(t, b.Memory(), nil); r.Totals.TagsBroken != 1 {
		t.Errorf("%d tags are broken by the child's blobs", r.Totals.TagsBroken)
	}
}

// TestAReferrerByALayerLink: a referrer with only a layer link is removed with its subject,
// even in grace; concurrent pushes are kept.
func TestAReferrerByALayerLink(t *testing.T) {
	for _, young := range []string{"", "its link", "a link to its config"} {
		t.Run(young, func(t *testing.T) {
			b := fixtures.New(1)
			m := b.Image("r", "v1", fixtures.Image{})
			s := b.Referrer(m, "application/x")
			b.Erase(s.RevisionKey())
			b.Mount("r", s.Digest)
			config := layout.LayerKey("r", s.Blobs[0].Digest)
			switch young {
			case "its link":
				b.Touch(layout.LayerKey("r", s.Digest), oracle.Now.Add(-time.Minute))
			case "a link to its config":
				b.Touch(config, oracle.Now.Add(-time.Minute))
			}
			o := Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: time.Hour, Now: oracle.Now}}
			o.Removal = &gc.Removal{Tags: map[string]map[string]string{"r": {"v1": "asked"}}}
			r, _, err := Store(t.Context(), b.Memory(), o)
			if err != nil {
				t.Fatal(err)
			}
			goes := keysThatGo(r)
			if goes[s.Key()] == 0 || (goes[config] == 0) != (young == "a link to its config") {
				t.Errorf("%v", goes)
			}
			if wrong := againComplaints(t, b.Memory(), o, goes); len(wrong) > 0 {
				t.Errorf("%v", wrong)
			}
			for key := range goes {
				if b.Has(key) {
					b.Erase(key)
				}
			}
			if r := examine(t, b.Memory(), nil); r.Totals.TagsBroken > 0 || r.Counts[finding.LayerLinkMissing].Count+r.Counts[finding.BlobMissing].Count > 0 {
				t.Errorf("it leaves %v", lines(r))
			}
		})
	}
}

// TestEachSubjectKeepsItsReferrer: JSON parsers differ in which of two subjects they use, so
// each keeps the referrer.
func TestEachSubjectKeepsItsReferrer(t *testing.T) {
	for _, one := range []int{0, 1} {
		b := fixtures.New(1)
		subjects := []fixtures.Manifest{b.Image("r", "", fixtures.Image{}), b.Image("r", "", fixtures.Image{})}
		b.Tag("r", "v1", subjects[one].Digest)
		config := b.Push("r", "x/y", []byte("of a referrer of two"))
		body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[],"subject":%s,"subject":%s}`, fixtures.OCIManifest,
			fixtures.DescriptorOf("x/y", config), fixtures.DescriptorOf(fixtures.OCIManifest, subjects[0].Descriptor),
			fixtures.DescriptorOf(fixtures.OCIManifest, subjects[1].Descriptor))
		referrer := b.PushManifest("r", "", fixtures.OCIManifest, []byte(body))
		for _, line := range garbage(examine(t, b.Memory(), untagged)) {
			if strings.Contains(line, referrer.Digest.Hex()) || strings.Contains(line, config.Digest.Hex()) {
				t.Errorf("subject %d of two is tagged, and %s", one, line)
			}
		}
	}
}

// TestAnEntryTooLargeForAManifestIsABlob: an entry of unknown type that is too large for a
// manifest is a blob.
func TestAnEntryTooLargeForAManifestIsABlob(t *testing.T) {
	b := fixtures.New(1)
	large := b.Push("other", fixtures.OCILayer, make([]byte, 5<<20))
	b.PushManifest("other", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", large)))
	b.PushManifest("a", "v1", fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf("x/y", large)))
	expect(t, examine(t, b.Memory(), untagged), "index-child-missing "+layout.LayerKey("a", large.Digest)+" write-ask")
}

// TestTheSearchForProofEnds: the search for a proof ends also with a claimed cycle, and with
// indexes that each have the next one twice. A chain of indexes is proven to its end.
func TestTheSearchForProofEnds(t *testing.T) {
	const n = 60
	child := func(at layout.Digest) manifest.Ref {
		return manifest.Ref{Role: manifest.Child, Read: true, Digest: at, Size: 1}
	}
	for name, c := range map[string]struct {
		times  int  // the entries for the next index in each
		cycle  bool // the last has the first as a child, and no image
		proven bool
	}{
		"a chain": {1, false, true}, "a cycle": {1, true, false}, "each twice": {2, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := graph.Builder{Graph: graph.NewGraph(fixtures.Epoch, time.Hour)}
			layer := layout.Sum([]byte("layer"))
			ids := make([]layout.Digest, n)
			for i := range ids {
				ids[i] = layout.Sum([]byte{byte(i)})
			}
			for _, id := range append(slices.Clone(ids), layer) {
				g.Blobs([]walker.Blob{{AnyDigest: layout.AnyDigest{Digest: id}, Size: 1}})
			}
			if err := g.SealBlobs(); err != nil {
				t.Fatal(err)
			}
			g.Links("c", []walker.Link{{Kind: layout.LayerLink, Path: layer, Target: layout.AnyDigest{Digest: layer}}})
			g.SealLinks()
			for i, id := range ids {
				m := manifest.Manifest{Kind: manifest.Index}
				switch {
				case i < n-1:
					m.Refs = slices.Repeat([]manifest.Ref{child(ids[i+1])}, c.times)
				case c.cycle:
					m.Refs = []manifest.Ref{child(ids[0])}
				default:
					m = manifest.Manifest{Kind: manifest.Image, Refs: []manifest.Ref{{Role: manifest.Layer, Read: true, Digest: layer, Size: 1}}}
				}
				g.AddManifest(g.IDOf(id), walker.Manifest{State: walker.ManifestGood, Manifest: m})
			}
			if got := g.In(&g.Repos[0], g.IDOf(ids[0])).Proven(); got != c.proven {
				t.Errorf("proven: %v", got)
			}
		})
	}
}
