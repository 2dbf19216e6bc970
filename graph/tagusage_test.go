package graph

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// removal says by the plainest means what goes with a tag.
type removal struct {
	*oracleStore
	r    *oracleRepo
	gone string // the tag
}

// closure is what the manifests lead to in their repository.
func (x removal) closure(from ...string) map[string]bool {
	all := map[string]bool{}
	for len(from) > 0 {
		digest := from[len(from)-1]
		from = from[:len(from)-1]
		if all[digest] {
			continue
		}
		all[digest] = true
		m := x.manifest(digest)
		for _, child := range slices.Concat(m.children, m.either) {
			from = append(from, child)
			if alias, ok := x.r.layers[child]; ok && foreign(child) {
				from = append(from, alias.target)
			}
		}
		for revision := range x.r.revisions {
			if x.manifest(revision).subject == digest {
				from = append(from, revision)
			}
		}
		for name, tag := range x.r.tags {
			if about(name) == digest && name != x.gone {
				from = append(from, tag.target)
			}
		}
	}
	return all
}

// about returns the digest that a tag sha256-<hex>… is about.
func about(tag string) string {
	if rest, ok := strings.CutPrefix(tag, "sha256-"); ok && len(rest) >= 64 {
		return "sha256:" + rest[:64]
	}
	return ""
}

// without returns the store without the tag and what goes with it.
func (x removal) without(b *fixtures.Builder, untagged bool) *fixtures.Builder {
	closure := x.closure(x.r.tags[x.gone].target)
	var roots []string
	for name, tag := range x.r.tags {
		if name != x.gone && !closure[about(name)] {
			roots = append(roots, tag.target)
		}
	}
	for digest := range x.r.revisions {
		if !untagged && !closure[digest] {
			roots = append(roots, digest)
		}
	}
	stays := x.closure(roots...)
	folder := layout.RepositoryKey(x.r.name) + "/_manifests/"
	folders := []string{folder + "tags/" + x.gone}
	for digest := range closure {
		if stays[digest] {
			continue
		}
		at := strings.Replace(digest, ":", "/", 1)
		folders = append(folders, folder+"revisions/"+at, layout.RepositoryKey(x.r.name)+"/_layers/"+at) // either is a revision
		for name := range x.r.tags {
			if about(name) == digest {
				folders = append(folders, folder+"tags/"+name)
			}
		}
	}
	return without(b, folders...)
}

// circular reports whether a tag leads to what it is itself about. Where nothing else
// leads there, nobody can say which of the two is the other's.
func circular(s *oracleStore, tags []TagUsage, name string) bool {
	return slices.ContainsFunc(tags, func(tag TagUsage) bool {
		return removal{s, s.repo(name), ""}.closure(tag.Digest)[about(tag.Name)]
	})
}

// What a tag is said to own is what nothing needs any more in the same store once
// the tag and what only it leads to are gone.
func TestOracleOfWhatTagsOwn(t *testing.T) {
	free, owned, inTheWay := 0, 0, 0
	for seed := *oracleSeed; seed < *oracleSeed+*oracleStores/2; seed++ {
		b, story := fixtures.RandomSigned(seed)
		if elsewhere(story, false) || slices.ContainsFunc(story, func(s string) bool { return strings.Contains(s, " holds ") }) {
			continue
		}
		change := func(o *Options) { o.Untagged, o.Grace = seed%3 == 0, 0 }
		store, before := oracleRead(b, oracleYoung), idle(t, b, change)
		u := examine(t, memory(b), func(o *Options) { summed(o); change(o) }).Usage
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
				gone := removal{store, store.repo(name), tag.Name}
				if freed := idle(t, gone.without(b, seed%3 == 0), change) - before; freed != tag.Own {
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
	if *oracleStores > 100 && min(free, owned, inTheWay) < 20 {
		t.Errorf("%d tags own nothing, %d something, %d are pinned: that proves little", free, owned, inTheWay)
	}
}

// What a pull of a tag brings is what its manifests say, each blob once.
func TestOracleOfWhatAPullBrings(t *testing.T) {
	for seed := *oracleSeed; seed < *oracleSeed+*oracleStores/2; seed++ {
		b, story := fixtures.RandomSigned(seed)
		store := oracleRead(b, oracleYoung)
		u := examine(t, memory(b), summed).Usage
		for _, name := range u.Names() {
			tags, _ := u.Tags(name)
			for _, tag := range tags {
				if want := brought(store, store.repo(name), tag.Digest); tag.Size != want {
					t.Errorf("seed %d: a pull of %s:%s brings %d, not %d, after\n%s", seed, name, tag.Name, want, tag.Size, strings.Join(story, "\n"))
				}
			}
		}
	}
}

func brought(s *oracleStore, r *oracleRepo, digest string) (sum int64) {
	blobs, followed := map[string]bool{}, map[string]bool{}
	means := func(digest string) string {
		if alias, ok := r.layers[digest]; ok && foreign(digest) && alias.target != "" {
			return alias.target
		}
		return digest
	}
	for todo := []string{digest}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		if followed[at] {
			continue
		}
		followed[at], blobs[at] = true, true
		m := s.manifest(at)
		for _, d := range slices.Concat(m.blobs, m.optional) {
			blobs[means(d)] = true
		}
		for _, child := range slices.Concat(m.children, m.either) {
			if _, ok := r.revisions[child]; ok {
				todo = append(todo, child)
			}
		}
		for _, d := range m.either {
			if _, ok := r.revisions[d]; !ok {
				blobs[means(d)] = true
			}
		}
	}
	for digest := range maps.Keys(blobs) {
		sum += int64(len(s.blobs[digest].Body))
	}
	return sum
}
