package check

import (
	"fmt"
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// TestALinkInAnArchive: registries can't read it: tags that need it are blocked with that
// reason, it is neither rebuilt nor unreadable, and its possible targets are kept. A restored
// link is normal.
func TestALinkInAnArchive(t *testing.T) {
	b := fixtures.New(1)
	was := b.Image("app", "v1", fixtures.Image{})
	m := b.Image("app", "v1", fixtures.Image{})
	other := b.Image("app", "v2", fixtures.Image{})
	b.Image("apart", "v1", fixtures.Image{})
	b.Erase(was.RevisionKey()) // v1's history entry of it is stale
	b.Push("app", "x", []byte("a layer that no manifest needs"))
	both := []string{"app:v1", "app:v2"}
	for _, c := range []struct {
		key    string
		broken []string
	}{
		{layout.CurrentKey("app", "v1"), both[:1]},
		{m.RevisionKey(), both[:1]},
		{m.LayerKey(1), both[:1]},
		{layout.HistoryKey("app", "v1", m.Digest), nil},
		{layout.HistoryKey("app", "v1", was.Digest), nil},
		{other.LayerKey(0), both[1:]},
	} {
		s := &archiving{Reader: b.Memory(), archived: keySet(c.key)}
		r := examine(t, s, func(o *Options) { o.Untagged = true })
		if got := brokenRefs(r); !slices.Equal(got, c.broken) || !r.Complete || r.Totals.TagsUnknown > 0 {
			t.Errorf("%s: broken are %q, want %q; complete %t, %d unknown", c.key, got, c.broken, r.Complete, r.Totals.TagsUnknown)
		}
		for tag := range r.Broken {
			if !slices.Equal(tag.Because, []string{"blob-archived " + c.key}) {
				t.Errorf("%s: %s:%s is broken because of %q", c.key, tag.Repository, tag.Tag, tag.Because)
			}
		}
		found := 0
		for f := range r.Findings {
			switch {
			case f.Kind == finding.BlobArchived && f.Path == c.key && f.Cure == finding.CureNone:
				found++
			case f.Cure != finding.CureNone && (f.Kind == finding.BlobOrphan || f.Path == c.key || f.Kind == finding.LayerLinkUnreferenced || f.Kind == finding.ManifestUntagged || f.Cure == finding.CureRebuild):
				t.Errorf("%s: %v %s has the cure %s", c.key, f.Kind, f.Path, f.Cure)
			}
		}
		if found != 1 {
			t.Errorf("%s is reported %d times:\n%v", c.key, found, lines(r))
		}
		s.restored = s.archived
		if got, want := fmt.Sprint(lines(examine(t, s, nil))), fmt.Sprint(lines(examine(t, b.Memory(), nil))); got != want {
			t.Errorf("%s restored:\n%s\nwant\n%s", c.key, got, want)
		}
	}
}

// TestTargetsOfALinkInAnArchive: a tag or repository with an archived link isn't removed.
func TestTargetsOfALinkInAnArchive(t *testing.T) {
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{})
	s := &archiving{Reader: b.Memory(), archived: keySet(layout.CurrentKey("app", "v1"))}
	for _, removal := range []gc.Removal{
		{Repositories: map[string]string{"app": "asked"}},
		{Tags: map[string]map[string]string{"app": {"v1": "asked"}}},
	} {
		r := examine(t, s, func(o *Options) { o.Removal = &removal })
		for f := range r.Findings {
			if f.Cure != finding.CureNone {
				t.Errorf("%v %s has the cure %s", f.Kind, f.Path, f.Cure)
			}
		}
		if len(r.Rejected) != 1 {
			t.Errorf("denied: %+v", r.Rejected)
		}
	}
}

// TestAnArchivedBlobMayBeAManifest: registry 2.1.0 linked manifests below _layers. A small
// archived blob there may be one: what it may need is kept, in its repository and as blobs.
func TestAnArchivedBlobMayBeAManifest(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("old", "", fixtures.Image{})
	b.Erase(m.RevisionKey())
	b.Put(layout.LayerKey("old", m.Digest), []byte(m.Digest.String()))
	lost := b.Image("apart", "", fixtures.Image{}) // an orphan that it may need too
	b.Erase(lost.RevisionKey())
	for i := range lost.Blobs {
		b.Erase(lost.LayerKey(i))
	}
	s := &archiving{Reader: b.Memory(), archived: keySet(m.Key())}
	r := examine(t, s, func(o *Options) { o.Untagged = true })
	for f := range r.Findings {
		if f.Cure != finding.CureNone && f.Repository != "apart" {
			t.Errorf("%v %s has the cure %s", f.Kind, f.Path, f.Cure)
		}
	}
	if r.Counts[finding.BlobArchived].Count != 1 || r.Totals.TagsBroken > 0 || !r.Complete {
		t.Errorf("complete %t, %d tags broken\n%v", r.Complete, r.Totals.TagsBroken, lines(r))
	}
}
