package apply

import (
	"context"
	"maps"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// unmount are the ways in which a disk that isn't mounted shows.
var unmount = map[string]func(*fixtures.Memory){
	"an empty folder": func(m *fixtures.Memory) { m.Delete(layout.Blobs); m.Mkdir(layout.Blobs) },
	"no folder":       func(m *fixtures.Memory) { m.Delete(layout.Blobs) },
}

// Whether the plan is made before the disk is gone or after: nothing is touched,
// and with the disk back all tags are what they were.
func TestBlobsThatAreNotMounted(t *testing.T) {
	for how, gone := range unmount {
		for asked, policy := range policies() {
			t.Run(how+", "+asked, func(t *testing.T) {
				b := fixtures.Standard()
				b.Upload("app", 20)
				m := b.Memory()
				whole := dump(m)
				gone(m)
				refusedFix(t, m, policy, "are missing")

				g := guard(t, b, policy)
				gone(g.m)
				g.refused("are missing")
				after := dump(g.m)
				for key, content := range whole {
					if strings.HasPrefix(key, layout.Blobs) {
						after[key] = content
					}
				}
				delete(after, layout.Blobs+"/")
				if len(pulls(whole)) < 15 || !maps.Equal(pulls(whole), pulls(after)) {
					t.Errorf("pulled before: %v, after: %v", pulls(whole), pulls(after))
				}
				stillPulls(t, whole, after)
			})
		}
	}
}

// Of an image whose manifest is gone nobody knows the layers: all that its
// repository links stays, and garbage elsewhere goes.
func TestAManifestBlobThatIsGone(t *testing.T) {
	for asked, policy := range plain() {
		for _, tag := range []string{"v2", ""} {
			t.Run(asked+", tag "+tag, func(t *testing.T) {
				b := fixtures.New(1)
				b.Image("a", "v1", fixtures.Image{})
				m := b.Image("a", tag, fixtures.Image{Layers: []int{40, 50}})
				loose := b.Push("a", fixtures.OCILayer, []byte("it may need this"))
				b.Erase(m.Key())
				spare := waste(b)
				store := b.Memory()
				was := dump(store)
				mustFix(t, store.Store(), t.TempDir(), policy)
				is := dump(store)
				onlyGone(t, was, is, spare)
				stay(t, was, is, loose.Key(), layout.LayerKey("a", loose.Digest))
				stay(t, was, is, append(parts(m)[2:], m.RevisionKey())...)
				stillPulls(t, was, is)
			})
		}
	}
}

// A tag that lost what it means may mean either of what it meant before.
func TestAZeroByteCurrentLinkWithTwoHistoryEntries(t *testing.T) {
	for _, unlinked := range []bool{false, true} {
		b := fixtures.New(1)
		first := b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
		second := b.Image("a", "v1", fixtures.Image{Layers: []int{30}})
		b.Image("a", "v2", fixtures.Image{})
		current := layout.CurrentKey("a", "v1")
		b.Edit(current, func([]byte) []byte { return nil })
		if unlinked {
			b.Erase(first.RevisionKey())
			b.Erase(second.RevisionKey())
		}
		spare := waste(b)
		store := b.Memory()
		was := dump(store)
		mustFix(t, store.Store(), t.TempDir(), graph.Policy{Untagged: true})
		is := dump(store)
		onlyGone(t, was, is, spare)
		stillPulls(t, was, is)
		for _, m := range []fixtures.Manifest{first, second} {
			is[m.RevisionKey()] = "0 " + m.Digest.String()
			is[current] = is[m.RevisionKey()]
			if !pulls(is)["a:v1"] {
				t.Errorf("unlinked %v: if the tag meant %s, it is lost", unlinked, m.Digest)
			}
		}
	}
}

// A size that one manifest has wrong is no reason to doubt the layer, whatever
// is asked for.
func TestAManifestThatLiesAboutASharedLayersSize(t *testing.T) {
	for asked, policy := range policies() {
		for _, by := range []int64{-7, 7} {
			b := fixtures.New(1)
			honest := b.Image("a", "v1", fixtures.Image{})
			layer := honest.Blobs[1]
			layer.Size += by
			liar := b.Image("b", "v1", fixtures.Image{Shared: []fixtures.Descriptor{layer}, Layers: []int{}})
			store := b.Memory()
			r, _, err := graph.Check(context.Background(), store, options(policy))
			if err != nil || r.Counts[graph.DescriptorWrong].Count != 1 {
				t.Fatalf("%s: %v, and %d wrong sizes", asked, err, r.Counts[graph.DescriptorWrong].Count)
			}
			was := dump(store)
			mustFix(t, store.Store(), t.TempDir(), policy)
			is := dump(store)
			onlyGone(t, was, is)
			stay(t, was, is, append(parts(honest), parts(liar)...)...)
			stillPulls(t, was, is)
		}
	}
}
