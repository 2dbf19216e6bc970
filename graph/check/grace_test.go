package check

import (
	"slices"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

func TestYoungGarbageIsKept(t *testing.T) {
	b := fixtures.New(1)
	b.Image("y", "v1", fixtures.Image{})
	old := b.Push("y", "x", []byte("old blob, old link"))
	relinked := b.Push("y", "x", []byte("old blob, new link"))
	now := fixtures.Epoch.AddDate(1, 0, 0)
	b.Touch(layout.LayerKey("y", relinked.Digest), now.Add(-time.Minute))
	future := b.Push("y", "x", []byte("a link from the future"))
	b.Touch(layout.LayerKey("y", future.Digest), now.AddDate(5, 0, 0))
	r := examine(t, b.Memory(), nil)
	want := []string{"blob-orphan " + old.Key(), "layer-link-unreferenced " + layout.LayerKey("y", old.Digest)}
	if got := garbage(r); !slices.Equal(got, want) {
		t.Errorf("garbage %v, want %v", got, want)
	}
	if n := r.Counts[finding.LayerLinkUnreferenced].InGrace; n != 2 {
		t.Errorf("%d young links, want 2", n)
	}
}

// TestAYoungLinkKeepsWhatItNames: what a link in grace names isn't garbage, however old it is.
func TestAYoungLinkKeepsWhatItNames(t *testing.T) {
	young := fixtures.Epoch.AddDate(1, 0, 0).Add(-time.Minute)
	b := fixtures.New(1)
	first := b.Image("y", "v1", fixtures.Image{})
	b.Image("y", "v1", fixtures.Image{})
	b.Erase(first.RevisionKey())
	layer := b.Push("y", "x", []byte("old blob, new alias"))
	alias := b.Alias("y", layer)
	bySHA512, link := b.PushBy("y", aliasName(alias), []byte("old blob, new alias"))
	b.Edit(link, func([]byte) []byte { return []byte(layer.Digest.String()) })
	for _, key := range []string{layout.HistoryKey("y", "v1", first.Digest), alias} {
		b.Touch(key, young)
	}
	all := garbage(examine(t, b.Memory(), untagged))
	for _, key := range []string{first.Key(), layer.Key(), bySHA512} {
		if slices.Contains(all, "blob-orphan "+key) {
			t.Errorf("%s is garbage", key)
		}
	}
}

// TestALinkThatIsListedTwiceIsYoung: the newer time counts.
func TestALinkThatIsListedTwiceIsYoung(t *testing.T) {
	d := layout.Sum([]byte("x"))
	old := walker.Link{Kind: layout.LayerLink, Path: d, Target: layout.AnyDigest{Digest: d}, Modified: 1e9}
	young := old
	young.Modified = 2000e9
	for _, links := range [][]walker.Link{{old, young}, {young, old}, {old, young, old}} {
		g := graph.Builder{Graph: graph.NewGraph(time.Unix(4600, 0), time.Hour)}
		g.Blobs([]walker.Blob{{AnyDigest: layout.AnyDigest{Digest: d}, Size: 1}})
		if err := g.SealBlobs(); err != nil {
			t.Fatal(err)
		}
		g.Links("a", links)
		g.SealLinks()
		r := describer{judge(g.Graph, terms{})}.result(nil)
		if c := r.Counts[finding.LayerLinkUnreferenced]; c.Count != 0 || c.InGrace != 1 {
			t.Errorf("%d old, %d young", c.Count, c.InGrace)
		}
	}
}
