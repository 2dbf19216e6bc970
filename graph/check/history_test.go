package check

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// emptied returns a repository whose only tag lost its target, and the revision link of its
// only possible target.
func emptied() (*fixtures.Builder, fixtures.Manifest) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	b.Edit(layout.CurrentKey("a", "v1"), empty)
	b.Erase(m.RevisionKey())
	return b, m
}

func TestPossibleTargetsAreKept(t *testing.T) {
	for _, change := range []func(*Options){nil, untagged} {
		b, m := emptied()
		current := "link-invalid " + layout.CurrentKey("a", "v1") + " rebuild"
		expect(t, examine(t, b.Memory(), change), current, "revision-link-missing "+m.RevisionKey()+" rebuild")
		second := b.Image("a", "v1", fixtures.Image{}) // now it is ambiguous
		b.Edit(layout.CurrentKey("a", "v1"), empty)
		b.Erase(second.RevisionKey())
		expect(t, examine(t, b.Memory(), change), "link-invalid "+layout.CurrentKey("a", "v1")+" none")
		b.Put(layout.RevisionKey("b", m.Digest), []byte(m.Digest.String())) // and if another repository has it
		r := examine(t, b.Memory(), change)
		if n := r.Counts[finding.BlobOrphan].Count + r.Counts[finding.LayerLinkUnreferenced].Count + r.Counts[finding.TagHistoryStale].Count; n > 0 {
			t.Errorf("called garbage: %v", garbage(r))
		}
	}
}

func TestAKeptEntryKeepsItsBlob(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"left": func(o *Options) { o.Skip[finding.TagHistoryStale] = true },
		"kept": func(o *Options) { o.Keep = map[string]bool{} },
	} {
		b := fixtures.New(1)
		first := b.Image("a", "v1", fixtures.Image{})
		b.Image("a", "v1", fixtures.Image{})
		b.Erase(first.RevisionKey())
		entry := layout.HistoryKey("a", "v1", first.Digest)
		r := examine(t, b.Memory(), nil)
		if r.Counts[finding.TagHistoryStale].Count != 1 || r.Counts[finding.BlobOrphan].Count != 4 {
			t.Errorf("a stale entry: %v", garbage(r))
		}
		r = examine(t, b.Memory(), func(o *Options) {
			if change(o); o.Keep != nil {
				o.Keep[entry] = true
			}
		})
		for f := range r.Findings {
			if f.Kind == finding.BlobOrphan && f.Path == first.Key() {
				t.Errorf("%s: the blob that the entry names is called garbage", name)
			}
		}
	}
}

// TestAnEntryIsRebuiltOnlyForAStoredBlob: an entry with another digest is rebuilt only if the
// manifest of its path is stored.
func TestAnEntryIsRebuiltOnlyForAStoredBlob(t *testing.T) {
	b := fixtures.New(1)
	first := b.Image("a", "v1", fixtures.Image{})
	second := b.Image("a", "v1", fixtures.Image{})
	entry := layout.HistoryKey("a", "v1", first.Digest)
	b.Edit(entry, func([]byte) []byte { return []byte(second.Digest.String()) })
	expect(t, examine(t, b.Memory(), nil), "link-mismatch "+entry+" rebuild")
	b.Erase(first.Key())
	r := examine(t, b.Memory(), nil)
	expect(t, r, "link-mismatch "+entry+" none", "manifest-missing "+first.RevisionKey()+" remove-ask")
}
