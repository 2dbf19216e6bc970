package usage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/graph/check"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestOracleOfPaths: there is a path to a blob exactly if it is kept, and each one is a valid
// chain of references from its root.
func TestOracleOfPaths(t *testing.T) {
	held := map[Hold]int{}
	for seed := *oracle.Seed; seed < *oracle.Seed+*oracle.Stores; seed++ {
		b, story := oracle.Chance(seed, fixtures.Random)
		if seed%2 == 0 {
			b, story = fixtures.RandomSigned(seed)
		}
		untagged := seed%3 == 0
		r := examine(t, b.Memory(), func(o *check.Options) { summed(o); o.Untagged = untagged })
		store := oracle.Read(b.Into, oracle.InGraceAfter)
		garbage := map[string]bool{}
		for f := range r.Findings {
			garbage[f.Digest] = garbage[f.Digest] || f.Kind == finding.BlobOrphan
		}
		for digest := range store.Blobs {
			var paths []Path
			for p := range Of(r.Marks, r.Broken).Paths(digest, "") {
				paths = append(paths, p)
				held[p.Hold]++
				if why := wrongPath(store, p, digest); why != "" {
					t.Errorf("seed %d: %+v: %s, after\n%s", seed, p, why, strings.Join(story, "\n"))
				}
			}
			if known, _ := Of(r.Marks, r.Broken).Known(digest); garbage[digest] == (len(paths) > 0) || known.Kept != (len(paths) > 0) {
				t.Errorf("seed %d: %s: garbage %v, and kept by %+v, after\n%s", seed, digest, garbage[digest], paths, strings.Join(story, "\n"))
			}
		}
	}
	for _, hold := range []Hold{HoldTag, HoldUntagged, HoldYoung, HoldPinned, HoldMismatch} {
		if *oracle.Stores >= 500 && held[hold] == 0 {
			t.Errorf("nothing is held by %s", hold)
		}
	}
}

// wrongPath returns what is wrong with a path to a digest.
func wrongPath(s *oracle.Store, p Path, digest string) string {
	repo := s.Repository(p.Repository)
	top := p.Steps[0]
	_, revision := repo.Revisions[top.Digest]
	_, byLayer := repo.Layers[top.Digest] // a manifest's, as 2.1.0 wrote it
	switch {
	case p.Steps[len(p.Steps)-1].Digest != digest:
		return "it leads elsewhere"
	case p.Hold == HoldTag && repo.Tags[p.Tag].Current.Target != top.Digest && repo.Tags[p.Tag].Current.Target != "":
		return "the tag is another's"
	case p.Hold == HoldUntagged && !revision && !byLayer:
		return "there is no such revision"
	}
	for i, step := range p.Steps[1:] {
		if slices.ContainsFunc(s.Manifest(p.Steps[i].Digest).Needs(), func(name string) bool {
			return name == step.Digest || oracle.Foreign(name) && repo.Layers[name].Target == step.Digest
		}) {
			continue
		}
		if step.Role != RoleReferrer || s.Manifest(step.Digest).Subject != p.Steps[i].Digest {
			return "nothing leads from " + p.Steps[i].Digest
		}
	}
	return ""
}

// TestATagsHistoryKeepsABlobInGrace: a history entry in grace keeps its target, even without
// a revision.
func TestATagsHistoryKeepsABlobInGrace(t *testing.T) {
	for _, young := range []bool{true, false} {
		b := fixtures.New(1)
		was := b.Image("a", "v1", fixtures.Image{})
		b.Image("a", "v1", fixtures.Image{})
		b.Erase(layout.RevisionKey("a", was.Digest))
		key := layout.HistoryKey("a", "v1", was.Digest)
		if young {
			b.Touch(key, oracle.Now.Add(-time.Minute))
		}
		var paths []Path
		for p := range usageOf(examine(t, b.Memory(), summed)).Paths(was.Digest.String(), "") {
			paths = append(paths, p)
		}
		if young != (len(paths) == 1) || young && (paths[0].Hold != HoldHistory || paths[0].Tag != "v1") {
			t.Errorf("young %v: %+v", young, paths)
		}
	}
}

func TestMatchFindsAbbreviations(t *testing.T) {
	b, _ := fixtures.Random(8)
	u := usageOf(examine(t, b.Memory(), summed))
	for digest := range oracle.Read(b.Into, oracle.InGraceAfter).Blobs {
		_, hex, _ := strings.Cut(digest, ":")
		if got := u.Match(hex[:12], 3); !slices.Equal(got, []string{digest}) {
			t.Errorf("%s: %v", hex[:12], got)
		}
	}
	if got := u.Match("", 3); len(got) != 3 || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
	if got := u.Match("x", 3); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// TestPathsThroughManyIndexes: with forty levels of two indexes, which each refer to both
// below, there are too many paths to follow, and none leads to the referrer.
func TestPathsThroughManyIndexes(t *testing.T) {
	b := fixtures.New(1)
	subject := b.Image("a", "", fixtures.Image{})
	one, other := subject, b.Image("a", "", fixtures.Image{})
	for range 40 {
		one, other = b.Index("a", "", one, other), b.Index("a", "", other, one)
	}
	b.Tag("a", "maze", one.Digest)
	subject.Repository = "b"
	referrer := b.Referrer(subject, "application/x")
	u := usageOf(examine(t, b.Memory(), summed))
	n := 0
	for p := range u.Paths(referrer.Digest.String(), "") {
		if n++; p.Repository != "b" || p.Hold != HoldUntagged {
			t.Errorf("%+v", p)
		}
	}
	if n != 1 {
		t.Errorf("%d paths", n)
	}
	for p := range u.Paths(other.Digest.String(), "a") { // an iteration over many can be stopped
		t.Logf("%d steps", len(p.Steps))
		break
	}
	if tags, _ := u.Tags("a"); len(tags) != 1 || tags[0].Own == 0 {
		t.Errorf("%+v", tags)
	}
}
