package check

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestInvalidNamesAreNeverChanged: registries accept no such names, so their users are
// unknown.
func TestInvalidNamesAreNeverChanged(t *testing.T) {
	for _, ref := range [][2]string{{"Bad_Name", "v1"}, {"a", "bad:name"}} {
		b := fixtures.New(1)
		b.Image("kept", "v1", fixtures.Image{})
		first := b.Image(ref[0], ref[1], fixtures.Image{})
		b.Image(ref[0], ref[1], fixtures.Image{})
		b.Erase(first.RevisionKey()) // its history entry is stale
		b.Temp(layout.CurrentKey(ref[0], ref[1]))
		b.Edit(layout.HistoryKey(ref[0], ref[1], first.Digest), empty)
		if ref[0] == "Bad_Name" {
			b.Upload(ref[0], 10)
			b.Mkdir(layout.RepositoryKey(ref[0]) + "/_layers/sha256/" + layout.Sum(nil).Hex())
			b.Edit(first.LayerKey(0), empty)
			b.Erase(layout.CurrentKey(ref[0], ref[1]))
		}
		r := examine(t, b.Memory(), func(o *Options) { o.Thorough, o.Untagged = true, true })
		for f := range r.Findings {
			if f.Cure != finding.CureNone {
				t.Errorf("%v: %v %s has the cure %s", ref, f.Kind, f.Path, f.Cure)
			}
		}
		if r.Counts[finding.NameInvalid].Count != 1 || r.Counts[finding.TmpStale].Count != 1 || r.Counts[finding.LinkInvalid].Count == 0 {
			t.Errorf("%v: found\n%v", ref, lines(r))
		}
	}
}

// TestAForeignDirectoryInAnEmptyRepository: it is reported and kept.
func TestAForeignDirectoryInAnEmptyRepository(t *testing.T) {
	b := fixtures.New(1)
	b.Mkdir(layout.RepositoryKey("a") + "/_layers")
	directory := layout.RepositoryKey("a") + "/_manifests/_referrers"
	b.Put(directory+"/x", []byte("another's"))
	expect(t, examine(t, b.Memory(), nil), "foreign-file "+directory+" none", "repo-empty "+layout.RepositoryKey("a")+" remove")
}
