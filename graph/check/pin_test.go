package check

import (
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// spoils are ways to make a stored manifest invalid.
var spoils = map[string]func([]byte) []byte{
	"flipped": flip,
	"cut":     func(x []byte) []byte { return x[:5] },
	"empty":   empty,
}

func TestABrokenChildPins(t *testing.T) {
	for name, spoil := range spoils {
		for _, tag := range []string{"v1", ""} { // reached from the tags, or only a revision
			for _, mediaType := range []string{fixtures.OCIManifest, "x/y"} {
				for _, asBlob := range []bool{false, true} { // it was uploaded as a blob too
					b := fixtures.New(1)
					m := b.Image("a", "", fixtures.Image{})
					b.Image("a", "kept", fixtures.Image{})
					b.PushManifest("a", tag, fixtures.OCIIndex, fixtures.IndexBody(fixtures.DescriptorOf(mediaType, m.Descriptor)))
					b.Erase(m.RevisionKey())
					if asBlob {
						b.Mount("a", m.Digest)
					}
					b.Edit(m.Key(), spoil)
					r := examine(t, b.Memory(), nil)
					nothingGoes(t, r)
					if n := r.Counts[finding.BlobCorrupt].Count + r.Counts[finding.ManifestCorrupt].Count; n != 1 {
						t.Errorf("%s, tag %q, type %q, as a blob %v: %d corrupt", name, tag, mediaType, asBlob, n)
					}
				}
			}
		}
	}
}

// brokenPins fails the test unless a spoilt manifest is reported, and nothing is garbage.
func brokenPins(t *testing.T, name string, b *fixtures.Builder, m fixtures.Manifest, spoil func([]byte) []byte) {
	t.Helper()
	b.Edit(m.Key(), spoil)
	r := examine(t, b.Memory(), untagged)
	nothingGoes(t, r)
	if n := r.Counts[finding.BlobCorrupt].Count + r.Counts[finding.ManifestCorrupt].Count; n == 0 {
		t.Errorf("%s: %d corrupt", name, n)
	}
}

// TestABrokenChildOfAChildPins: also if the repository serves neither of them.
func TestABrokenChildOfAChildPins(t *testing.T) {
	for name, spoil := range spoils {
		b := fixtures.New(1)
		m := b.Image("a", "", fixtures.Image{})
		inner := b.Index("a", "", m)
		b.Index("a", "v1", inner)
		b.Erase(m.RevisionKey())
		b.Erase(inner.RevisionKey())
		brokenPins(t, name, b, m, spoil)
	}
}

// TestABrokenChildWithAnAliasPins: an index may refer to its child by another algorithm's
// digest.
func TestABrokenChildWithAnAliasPins(t *testing.T) {
	for name, spoil := range spoils {
		b := fixtures.New(1)
		m := b.Image("a", "", fixtures.Image{})
		b.Image("a", "", fixtures.Image{})
		alias := aliasName(b.Alias("a", m.Descriptor))
		b.PushManifest("a", "v1", fixtures.OCIIndex, []byte(strings.ReplaceAll(aliasedChild, "%", alias)))
		b.Erase(m.RevisionKey())
		brokenPins(t, name, b, m, spoil)
	}
}

// misled returns a repository with a mismatched link to a manifest without another link.
func misled(key func(kept fixtures.Manifest) string, other func(b *fixtures.Builder) fixtures.Manifest) (*fixtures.Builder, fixtures.Manifest) {
	b := fixtures.New(1)
	kept := b.Image("a", "v1", fixtures.Image{})
	m := other(b)
	b.Push("a", "x", []byte("it may need this"))
	b.Erase(m.RevisionKey())
	b.Edit(key(kept), func([]byte) []byte { return []byte(m.Digest.String()) })
	return b, m
}

func TestTargetsOfMismatchedLinksAreKept(t *testing.T) {
	for kind, key := range map[string]func(fixtures.Manifest) string{
		"revision": fixtures.Manifest.RevisionKey,
		"history":  func(m fixtures.Manifest) string { return layout.HistoryKey("a", "v1", m.Digest) },
	} {
		image := func(b *fixtures.Builder) fixtures.Manifest { return b.Image("a", "", fixtures.Image{}) }
		alien := func(b *fixtures.Builder) fixtures.Manifest {
			return b.PushManifest("a", "", "x/y", []byte(`{"unknown":"form"}`))
		}
		b, m := misled(key, image)
		r := examine(t, b.Memory(), untagged)
		if r.Counts[finding.BlobOrphan].Count != 1 || r.Counts[finding.LayerLinkUnreferenced].Count != 1 || r.Counts[finding.LinkMismatch].Count != 1 {
			t.Errorf("%s: not just the loose blob is removed: %v", kind, garbage(r))
		}
		b.Edit(m.Key(), flip)
		nothingGoes(t, examine(t, b.Memory(), untagged))
		b, _ = misled(key, alien)
		nothingGoes(t, examine(t, b.Memory(), untagged))
	}
}

// TestABrokenPossibleTargetPins: the possible target of an ambiguous tag has unknown
// references.
func TestABrokenPossibleTargetPins(t *testing.T) {
	for name, spoil := range spoils {
		b := fixtures.New(1)
		m := b.Image("a", "v1", fixtures.Image{})
		b.Image("a", "kept", fixtures.Image{})
		b.Edit(layout.CurrentKey("a", "v1"), empty)
		b.Erase(m.RevisionKey())
		b.Edit(m.Key(), spoil)
		r := examine(t, b.Memory(), untagged)
		nothingGoes(t, r)
		if n := r.Counts[finding.BlobCorrupt].Count; n != 1 {
			t.Errorf("%s: %d corrupt", name, n)
		}
	}
}

// TestATagsManifestThatIsListedAndNotFoundPins: such a manifest may exist, with references: a
// tag that lost its link pins its repository.
func TestATagsManifestThatIsListedAndNotFoundPins(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	b.Image("a", "", fixtures.Image{})
	b.Erase(m.RevisionKey())
	r := examine(t, fixtures.NewFaulty(b.Memory(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if key == m.Key() && op != fixtures.OpItem {
			return fixtures.Lie
		}
		return fixtures.Right
	}), untagged)
	nothingGoes(t, r)
	if n := r.Counts[finding.StoreChanged].Count; n != 1 {
		t.Errorf("%d concurrent changes", n)
	}
}

func TestAFaultPinsOnlyWhatIsBelowIt(t *testing.T) {
	b := fixtures.New(1)
	for _, name := range []string{"team", "team-a", "team/a", "team/a/b", "team.a", "team0", "tea", "other"} {
		b.Image(name, "", fixtures.Image{})
	}
	key := b.Image("team", "v1", fixtures.Image{}).LayerKey(0)
	r := examine(t, fixtures.NewFaulty(b.Memory(), failing(key, fixtures.OpItem)), untagged)
	gone := map[string]bool{}
	for found := range r.Findings {
		if found.Kind == finding.ManifestUntagged {
			gone[found.Repository] = true
		}
	}
	want := map[string]bool{"team-a": true, "team.a": true, "team0": true, "tea": true, "other": true}
	if len(gone) != len(want) || r.Complete {
		t.Errorf("after a fault at %s revisions are removed in %v", key, gone)
	}
	for name := range want {
		if !gone[name] {
			t.Errorf("%s is pinned by a fault at %s", name, key)
		}
	}
}
