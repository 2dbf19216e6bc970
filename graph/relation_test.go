package graph

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// The relations lie in each other: what goes along is served, and what is served is
// needed.
func TestWhatGoesAlongIsServedAndWhatIsServedIsNeeded(t *testing.T) {
	children, aliased := 0, 0
	for seed := range *oracleStores {
		b, _ := chance(seed, fixtures.Random)
		g := examine(t, memory(b), nil).Scan.g
		for i := range g.repos {
			for n := range g.nodes {
				m := g.in(&g.repos[i], g.nodes[n].id)
				needed, served := map[uint32]bool{}, map[uint32]bool{}
				for _, id := range m.needs {
					needed[id] = true
				}
				for s := range m.serves {
					if served[s.to] = true; !needed[s.to] {
						t.Errorf("seed %d: %s serves %s of %s, and doesn't need it", seed, m.r.name, g.nameOf(s.to), g.nameOf(m.id))
					}
					if s.to != s.id() {
						aliased++
					}
				}
				for id := range m.takes {
					if children++; !served[id] || !m.r.hasRevision(id) {
						t.Errorf("seed %d: in %s %s goes with %s, which doesn't serve it", seed, m.r.name, g.nameOf(id), g.nameOf(m.id))
					}
				}
			}
		}
	}
	if *oracleStores >= 500 && min(children, aliased) == 0 {
		t.Errorf("%d children, %d aliases", children, aliased)
	}
}

// An index names its child by the digest of another algorithm. ls, check and rm say
// the same of it: a pull brings the child, and it goes with the index.
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
	r := examine(t, memory(b), summed)
	if r.Totals.TagsBroken > 0 {
		t.Error("the tag can't be pulled")
	}
	tags, pinned := r.Usage.Tags("al")
	if len(tags) != 1 || tags[0].Size != all || tags[0].Own != all || pinned != "" {
		t.Errorf("%+v %s, and all is %d", tags, pinned, all)
	}
	tree, _ := r.Usage.Tree("al", "v1")
	if len(tree.Children) != 1 || tree.Children[0].Digest != child.Digest.String() || tree.Children[0].Broken != "" || len(tree.Children[0].Children) != len(child.Blobs) {
		t.Errorf("%+v", tree)
	}
	removed := examine(t, memory(b), func(o *Options) {
		o.Removal = &Removal{Tags: map[string]map[string]string{"al": {"v1": "asked"}}}
	})
	if removed.Totals.ReclaimableBytes != all {
		t.Errorf("rm frees %d of %d", removed.Totals.ReclaimableBytes, all)
	}
	for _, blob := range child.Blobs {
		b.Erase(layout.BlobKey(blob.Digest))
	}
	if r := examine(t, memory(b), nil); r.Totals.TagsBroken != 1 {
		t.Errorf("%d tags are broken by the child's blobs", r.Totals.TagsBroken)
	}
}
