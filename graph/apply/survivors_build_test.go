package apply

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// random builds a store at random and breaks it.
type random struct {
	*fixtures.Builder
	*rand.Rand
	images []fixtures.Manifest
	blobs  []fixtures.Descriptor
}

// randomStore makes a store from seed and tells how.
func randomStore(seed uint64) (*fixtures.Builder, []string) {
	r := random{Builder: fixtures.New(seed), Rand: rand.New(rand.NewPCG(seed, 11))}
	if seed%10 == 0 {
		r.Builder = fixtures.Standard().Clone(seed)
	}
	var story []string
	for range 3 {
		story = append(story, r.image(), r.loose())
	}
	for range 2 + r.IntN(8) {
		story = append(story, r.grow())
	}
	for range r.IntN(6) {
		story = append(story, r.spoil())
	}
	return r.Builder, story
}

func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func (r *random) repo() string { return one(r.Rand, "a", "a/b", "c") }

func (r *random) tag() string { return one(r.Rand, "", "", "v1", "v2", "v3") }

func (r *random) image() string {
	repo, tag, want := r.repo(), r.tag(), fixtures.Image{Layers: []int{20}}
	if len(r.images) > 0 && r.IntN(2) == 0 {
		want.Shared = one(r.Rand, r.images...).Blobs
		want.Shared = want.Shared[min(1, len(want.Shared)):]
	}
	r.images = append(r.images, r.Image(repo, tag, want))
	return fmt.Sprintf("image %s:%s %s", repo, tag, r.images[len(r.images)-1].Digest)
}

func (r *random) loose() string {
	repo := r.repo()
	d := r.Push(repo, fixtures.OCILayer, fmt.Appendf(nil, "blob %d", len(r.blobs)))
	r.blobs = append(r.blobs, d)
	return fmt.Sprintf("blob in %s %s", repo, d.Digest)
}

// grow adds something that a registry may hold.
func (r *random) grow() string {
	repo, tag, m := r.repo(), r.tag(), one(r.Rand, r.images...)
	at := fmt.Sprintf(" %s:%s of %s", repo, tag, m.Digest)
	switch r.IntN(15) {
	case 0:
		r.images = append(r.images, r.Index(repo, tag, m, one(r.Rand, r.images...)))
		return "index" + at
	case 1:
		m.Repository = repo
		r.images = append(r.images, r.Referrer(m, "application/x"))
		return "referrer" + at
	case 2:
		r.Cosign(m, "sig")
		return "signature" + at
	case 3:
		r.BuildKitCache(repo, "cache", 2)
		return "cache" + at
	case 4:
		return "alias " + r.Alias(repo, r.Push(repo, "x/y", fmt.Appendf(nil, "aliased %d", r.IntN(5))))
	case 5:
		r.Tag(repo, "v4", m.Digest)
		return "tag v4" + at
	case 6, 7:
		return r.delete(m)
	case 8:
		return "upload " + r.Upload(repo, 30)
	case 9:
		return "temp " + r.Temp(one(r.Rand, r.Keys()...))
	case 10:
		_, key := r.Signature(m)
		return "legacy " + key
	case 11:
		return r.loose()
	case 12:
		return r.foreign(one(r.Rand, r.Keys()...))
	case 13:
		return r.foreign(r.Upload(repo, 10) + "/data")
	}
	return r.image()
}

// foreign puts something that isn't a registry's beside a file, or above it.
func (r *random) foreign(key string) string {
	dir := path.Dir(key)
	for r.IntN(3) == 0 && dir != layout.Root {
		dir = path.Dir(dir)
	}
	r.Put(dir+"/notes", []byte("somebody's"))
	return "foreign in " + dir
}

// delete does what a registry does when a client deletes a manifest, and
// perhaps its blobs.
func (r *random) delete(m fixtures.Manifest) string {
	if !r.Has(m.RevisionKey()) {
		return "nothing to delete"
	}
	r.DeleteManifest(m)
	if r.IntN(2) == 0 {
		return fmt.Sprintf("deleted %s@%s", m.Repository, m.Digest)
	}
	for i := range m.Blobs {
		if r.Has(m.LayerKey(i)) { // an image may have a layer twice
			r.Erase(m.LayerKey(i))
		}
	}
	return fmt.Sprintf("deleted %s@%s and its layer links", m.Repository, m.Digest)
}

// spoil breaks one thing, or makes it young.
func (r *random) spoil() string {
	keys := slices.DeleteFunc(r.Keys(), func(key string) bool { return !strings.HasPrefix(key, layout.Root) })
	if r.IntN(2) == 0 { // links of manifests weigh more than their number
		keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.Contains(key, "/_manifests/") })
	}
	if len(keys) == 0 {
		return "nothing to spoil"
	}
	key := one(r.Rand, keys...)
	link := strings.HasSuffix(key, "/link")
	switch kind := r.IntN(10); {
	case kind == 0:
		r.Edit(key, func(body []byte) []byte { return body[:r.IntN(len(body)+1)] })
		return "cut " + key
	case kind == 1 && link:
		r.Edit(key, func(body []byte) []byte { return append(body, '\n') })
		return "newline " + key
	case kind == 2 && link:
		to := one(r.Rand, one(r.Rand, r.images...).Digest, one(r.Rand, r.blobs...).Digest)
		r.Edit(key, func([]byte) []byte { return []byte(to.String()) })
		return fmt.Sprintf("%s holds %s", key, to)
	case kind == 3:
		r.Touch(key, now.Add(-time.Minute))
		return "young " + key
	case kind == 4:
		r.Unlink(key)
		return "unlinked " + key
	case kind == 5 && !link:
		r.Edit(key, func(body []byte) []byte { return append(body, 'x') })
		return "longer " + key
	case kind == 6:
		return r.foreign(key)
	}
	r.Erase(key)
	return "erased " + key
}
