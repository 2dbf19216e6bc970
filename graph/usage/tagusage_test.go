package usage

import (
	"slices"
	"strings"
	"testing"

	"regfsck/graph/check"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/walker/layout"
)

// withoutTag returns the store without a tag and what is removed with it.
func withoutTag(b *fixtures.Builder, store *oracle.Store, repository, gone string, untagged bool) *fixtures.Builder {
	r := store.Repositories[repository]
	closure := store.RemovedWith(repository, gone, r.Tags[gone].Current.Target)
	var roots []string
	for name, tag := range r.Tags {
		if name != gone && !closure[oracle.Subject(name)] {
			roots = append(roots, tag.Current.Target)
		}
	}
	for digest := range r.Revisions {
		if !untagged && !closure[digest] {
			roots = append(roots, digest)
		}
	}
	stays := store.RemovedWith(repository, gone, roots...)
	directory := layout.RepositoryKey(repository) + "/_manifests/"
	directories := []string{directory + "tags/" + gone}
	for digest := range closure {
		if stays[digest] {
			continue
		}
		at := strings.Replace(digest, ":", "/", 1)
		directories = append(directories, directory+"revisions/"+at, layout.RepositoryKey(repository)+"/_layers/"+at) // either is a revision
		for name := range r.Tags {
			if oracle.Subject(name) == digest {
				directories = append(directories, directory+"tags/"+name)
			}
		}
	}
	return without(b, directories...)
}

// circular reports whether a tag leads to its own subject. If nothing else leads there, it is
// undefined which one owns the other.
func circular(s *oracle.Store, tags []TagUsage, name string) bool {
	return slices.ContainsFunc(tags, func(tag TagUsage) bool {
		return s.RemovedWith(name, "", tag.Digest)[oracle.Subject(tag.Name)]
	})
}

// TestOracleOfWhatTagsOwn: the own bytes of a tag are what nothing needs in the same store
// without the tag and what only it leads to.
func TestOracleOfWhatTagsOwn(t *testing.T) {
	free, owned, inTheWay := 0, 0, 0
	for seed := *oracle.Seed; seed < *oracle.Seed+*oracle.Stores/2; seed++ {
		b, story := oracle.Chance(seed, fixtures.RandomSigned)
		if elsewhere(story, false) || slices.ContainsFunc(story, func(s string) bool { return strings.Contains(s, " holds ") }) {
			continue
		}
		change := func(o *check.Options) { o.Untagged, o.Grace = seed%3 == 0, 0 }
		store, before := oracle.Read(b.Into, oracle.InGraceAfter), idle(t, b, change)
		u := usageOf(examine(t, b.Memory(), func(o *check.Options) { summed(o); change(o) }))
		for _, name := range u.Names() {
			tags, pinned := u.Tags(name)
			if circular(store, tags, name) {
				continue
			}
			for _, tag := range tags {
				if pinned != "" {
					if inTheWay++; tag.Own != 0 {
						t.Errorf("seed %d: %s:%s owns something, though %s", seed, name, tag.Name, pinned)
					}
					continue
				}
				gone := withoutTag(b, store, name, tag.Name, seed%3 == 0)
				if freed := idle(t, gone, change) - before; freed != tag.Own {
					t.Errorf("seed %d: %s:%s owns %d, and without it %d more are idle, after\n%s", seed, name, tag.Name, tag.Own, freed, strings.Join(story, "\n"))
				}
				if tag.Own == 0 {
					free++
				} else {
					owned++
				}
			}
		}
	}
	if *oracle.Stores > 100 && min(free, owned, inTheWay) < 20 {
		t.Errorf("%d tags own nothing, %d something, %d are pinned: that proves little", free, owned, inTheWay)
	}
}

// TestOracleOfPullSizes: the size of a pull is that of all its manifests and blobs, each
// once.
func TestOracleOfPullSizes(t *testing.T) {
	for seed := *oracle.Seed; seed < *oracle.Seed+*oracle.Stores/2; seed++ {
		b, story := oracle.Chance(seed, fixtures.RandomSigned)
		store := oracle.Read(b.Into, oracle.InGraceAfter)
		u := usageOf(examine(t, b.Memory(), summed))
		for _, name := range u.Names() {
			tags, _ := u.Tags(name)
			for _, tag := range tags {
				if want := brought(store, name, tag.Digest); tag.Size != want {
					t.Errorf("seed %d: a pull of %s:%s brings %d, not %d, after\n%s", seed, name, tag.Name, want, tag.Size, strings.Join(story, "\n"))
				}
			}
		}
	}
}

func brought(s *oracle.Store, repository, digest string) (sum int64) {
	for digest := range s.PulledWith(repository, digest) {
		sum += int64(len(s.Blobs[digest].Body))
	}
	return sum
}
