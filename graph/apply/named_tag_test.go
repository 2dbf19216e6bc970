package apply

import (
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// unremovable is a rule by which nothing whose key has the word can be removed.
func unremovable(word string) fixtures.Rule {
	return func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && strings.Contains(key, word) {
			return fixtures.Fail
		}
		return fixtures.Right
	}
}

// given are stores with a tag that goes on request, and the images that it is
// all that keeps.
var given = map[graph.ID]func(b *fixtures.Builder) []fixtures.Manifest{
	graph.SignatureOrphaned: func(b *fixtures.Builder) []fixtures.Manifest {
		subject := b.Image("a", "v1", fixtures.Image{})
		signature := b.Cosign(subject, "sig")
		b.DeleteManifest(subject)
		return []fixtures.Manifest{signature}
	},
	graph.TagWithoutCurrent: func(b *fixtures.Builder) []fixtures.Manifest {
		first := b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
		second := b.Image("a", "v1", fixtures.Image{Layers: []int{30}})
		b.Erase(layout.CurrentKey("a", "v1"))
		return []fixtures.Manifest{first, second}
	},
}

// A tag that the store can't remove keeps what it reaches, although that could
// be removed, in whatever runs come after; what it doesn't reach goes.
func TestTagsThatCanNotBeRemovedWhileBlobsCan(t *testing.T) {
	for id, build := range given {
		policy := graph.Policy{Untagged: true}
		policy.Also[id] = true
		for _, word := range []string{"/_manifests/tags/", "/index/", "/current/"} {
			if word == "/current/" && id == graph.TagWithoutCurrent {
				continue
			}
			t.Run(id.String()+", "+word, func(t *testing.T) {
				b := fixtures.New(1)
				kept := build(b)
				b.Image("a", "v2", fixtures.Image{})
				spare := waste(b)
				m, state := b.Memory(), t.TempDir()
				was := dump(m)
				for range 2 {
					f := fixtures.NewFaultyStore(m.Store(), unremovable(word))
					out, err := fix(f, state, policy)
					if err != nil || out.Total().Failed == 0 {
						t.Fatalf("nothing failed: %v, %+v", err, out)
					}
					is := dump(m)
					if _, ok := is[spare]; ok {
						t.Error("what the tag doesn't reach is left")
					}
					for _, i := range kept {
						stay(t, was, is, parts(i)...)
					}
					if word != "/current/" { // else its history could go
						stillPulls(t, was, is)
					}
				}
				fixAll(t, m, state, policy)
				goneNow(t, dump(m), kept)
			})
		}
	}
}

// goneNow fails if anything of the images is left.
func goneNow(t *testing.T, is map[string]string, images []fixtures.Manifest) {
	t.Helper()
	for _, m := range images {
		for _, key := range parts(m) {
			if _, ok := is[key]; ok {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// only is the policy of --only.
func only(ids ...graph.ID) (p graph.Policy) {
	for id := range graph.NumIDs {
		p.Left[id] = true
	}
	for _, id := range ids {
		p.Left[id] = false
	}
	return p
}

// What is left out keeps what it would not have kept had it gone.
func TestOnlyBlobOrphanWithUntaggedManifestsLeftIn(t *testing.T) {
	for asked, base := range plain() {
		t.Run(asked, func(t *testing.T) {
			b, untagged, upload := leftovers()
			loose := b.Push("b", fixtures.OCILayer, []byte("linked, and of no manifest"))
			spare := waste(b)
			m := b.Memory()
			was := dump(m)
			policy := only(graph.BlobOrphan)
			policy.Untagged = base.Untagged
			mustFix(t, m.Store(), t.TempDir(), policy)
			is := dump(m)
			onlyGone(t, was, is, spare)
			stay(t, was, is, parts(untagged)...)
			stay(t, was, is, upload+"/data", loose.Key(), layout.LayerKey("b", loose.Digest))
			stillPulls(t, was, is)
		})
	}
}
