package check

import (
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// TestKeptPartsOfARemovalAreRoots: a tag or link that is to be removed and that the policy
// keeps is a root.
func TestKeptPartsOfARemovalAreRoots(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("r", "v1", fixtures.Image{})
	sig := b.Cosign(m, "sig")
	other := b.Image("r", "v2", fixtures.Image{})
	signs := layout.CurrentKey("r", fixtures.FallbackTag(m.Digest)+".sig")
	removals := []*gc.Removal{
		{Repositories: map[string]string{"r": ""}},
		{Tags: map[string]map[string]string{"r": {"v1": "", "v2": ""}}},
	}
	for key, stay := range map[string][]string{
		layout.CurrentKey("r", "v1"):           {m.RevisionKey(), m.LayerKey(1), m.Key(), m.Blobs[1].Key()},
		layout.HistoryKey("r", "v1", m.Digest): {m.RevisionKey(), m.LayerKey(1), m.Key(), signs, sig.RevisionKey(), sig.Blobs[0].Key()},
		m.RevisionKey():                        {m.LayerKey(1), m.Key(), m.Blobs[0].Key()},
		m.LayerKey(1):                          {m.Blobs[1].Key()},
		signs:                                  {sig.RevisionKey(), sig.LayerKey(0), sig.Key()},
	} {
		for _, removal := range removals {
			for _, planned := range []bool{false, true} {
				if !planned && key == layout.HistoryKey("r", "v1", m.Digest) { // only a run keeps a part of a tag
					continue
				}
				p := gc.Policy{Removal: removal}
				if planned {
					p.Removal = &gc.Removal{Repositories: removal.Repositories, Planned: keysThatGo(examine(t, b.Memory(), func(o *Options) { o.Policy = p }))}
				}
				p.Keep = map[string]bool{key: true}
				goes := keysThatGo(examine(t, b.Memory(), func(o *Options) { o.Policy = p }))
				for _, needed := range stay {
					if whole := removal.Repositories != nil; whole && slices.Contains([]string{signs, sig.RevisionKey(), sig.Blobs[0].Key()}, needed) && key != signs {
						continue // all of it is requested
					}
					if goes[needed] != 0 {
						t.Errorf("%s is kept (planned %v, %+v), and %s goes", key, planned, removal, needed)
					}
				}
				if goes[other.Key()] == 0 {
					t.Errorf("%s is kept, and %s stays too", key, other.Key())
				}
			}
		}
	}
}
