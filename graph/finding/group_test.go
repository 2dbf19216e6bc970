package finding

import (
	"slices"
	"testing"
)

// TestGroups: no group has the name of a kind, each has kinds, and garbage is never a repair.
func TestGroups(t *testing.T) {
	for i := range Groups {
		g := &Groups[i]
		if _, is := Parse(g.Name); is || len(g.Kinds()) == 0 || g.Brief == "" {
			t.Errorf("%+v", g)
		}
		if found, ok := ParseGroup(g.Name); !ok || found != g {
			t.Errorf("%s: %v", g.Name, found)
		}
	}
	if _, ok := ParseGroup("blob-orphan"); ok {
		t.Error("a finding is a group")
	}
	repairs, _ := ParseGroup("repairs")
	garbage, _ := ParseGroup("garbage")
	for _, k := range []Kind{LayerLinkMissing, RevisionLinkMissing, LinkInvalid, BlobMissing, BlobCorrupt, ManifestMissing, ManifestCorrupt} {
		if !slices.Contains(repairs.Kinds(), k) {
			t.Errorf("%s is no repair", k)
		}
	}
	for _, k := range garbage.Kinds() {
		if slices.Contains(repairs.Kinds(), k) {
			t.Errorf("%s is a repair and garbage", k)
		}
	}
}
