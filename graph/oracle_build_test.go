package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// oracleBuilder mangles a store at random.
type oracleBuilder struct {
	*fixtures.Builder
	rand   *rand.Rand
	repos  []string
	images []fixtures.Manifest
	blobs  []fixtures.Descriptor
}

// oracleBuild makes a store from seed and tells what it did to it.
func oracleBuild(seed uint64) (*fixtures.Builder, []string) {
	o := oracleBuilder{Builder: fixtures.New(seed), rand: rand.New(rand.NewPCG(seed, 7)), repos: []string{"a", "a/b", "c"}}
	if seed%8 == 0 {
		o.Builder = fixtures.Standard().Clone(seed)
	}
	for range 3 + o.rand.IntN(4) {
		o.images = append(o.images, o.Image(o.repo(), o.tag(), fixtures.Image{Layers: []int{20}, Shared: o.shared()}))
		o.blobs = append(o.blobs, o.Push(o.repo(), "x/y", fmt.Appendf(nil, "blob %d", len(o.blobs))))
	}
	var story []string
	for range 2 + o.rand.IntN(14) {
		if what := o.grow(); what != "" {
			story = append(story, what)
		}
	}
	for range o.rand.IntN(5) {
		story = append(story, o.damage())
	}
	return o.Builder, story
}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func (o *oracleBuilder) repo() string { return pick(o.rand, o.repos) }

func (o *oracleBuilder) tag() string { return pick(o.rand, []string{"", "", "v1", "v2", "v3"}) }

func (o *oracleBuilder) shared() []fixtures.Descriptor {
	if len(o.images) == 0 || o.rand.IntN(2) == 0 {
		return nil
	}
	return pick(o.rand, o.images).Blobs[1:]
}

// grow adds something that a registry may hold, if rarely.
func (o *oracleBuilder) grow() string {
	repo, tag, m := o.repo(), o.tag(), pick(o.rand, o.images)
	switch o.rand.IntN(18) {
	case 0:
		o.images = append(o.images, o.Index(repo, tag, m, pick(o.rand, o.images)))
		return fmt.Sprintf("index %s:%s of %s", repo, tag, m.Digest)
	case 1:
		m.Repository = repo
		o.images = append(o.images, o.Referrer(m, "application/x"))
		return fmt.Sprintf("referrer in %s of %s", repo, m.Digest)
	case 2:
		o.images = append(o.images, o.Artifact(repo, tag, &m))
		return fmt.Sprintf("artifact %s:%s of %s", repo, tag, m.Digest)
	case 3: // an index of things of no known type: blobs and manifests
		m.MediaType = "x/y"
		d := fixtures.Manifest{Descriptor: pick(o.rand, o.blobs)}
		o.images = append(o.images, o.Index(repo, tag, m, d))
		return fmt.Sprintf("untyped index %s:%s of %s and %s", repo, tag, m.Digest, d.Digest)
	case 4:
		o.BuildKitCache(repo, tag, 2)
		return fmt.Sprintf("cache %s:%s", repo, tag)
	case 5, 6:
		return o.alias(repo, tag)
	case 7:
		o.Put(layout.RevisionKey(repo, m.Digest), []byte(m.Digest.String()))
		return fmt.Sprintf("revision %s@%s", repo, m.Digest)
	case 8:
		o.Tag(repo, "v4", m.Digest)
		return fmt.Sprintf("tag %s:v4 is %s", repo, m.Digest)
	case 9:
		for i := range m.Blobs {
			o.Mount(repo, m.Blobs[i].Digest)
		}
		return fmt.Sprintf("mounted in %s what %s needs", repo, m.Digest)
	case 10:
		if o.rand.IntN(4) > 0 {
			return ""
		}
		alien := o.PushManifest(repo, tag, "x/y", fmt.Appendf(nil, `{"unknown":%d}`, o.rand.IntN(1000)))
		o.images = append(o.images, alien)
		return fmt.Sprintf("alien %s:%s", repo, tag)
	case 11: // a layer that may be absent, and isn't
		d := pick(o.rand, o.blobs)
		d.URLs = []string{"http://x/y"}
		o.images = append(o.images, o.Image(repo, tag, fixtures.Image{Layers: []int{20}, Shared: []fixtures.Descriptor{d}}))
		return fmt.Sprintf("image %s:%s with the foreign layer %s", repo, tag, d.Digest)
	case 12:
		m.Repository = repo
		o.images = append(o.images, o.Cosign(m, "sig"))
		return fmt.Sprintf("signature in %s of %s", repo, m.Digest)
	case 13:
		m.Repository = repo
		o.images = append(o.images, o.Fallback(m, pick(o.rand, o.images)))
		return fmt.Sprintf("fallback tag in %s of %s", repo, m.Digest)
	case 16: // as 2.1.0 did
		o.Mount(repo, m.Digest)
		if key := layout.RevisionKey(repo, m.Digest); o.Has(key) && o.rand.IntN(2) == 0 {
			o.Erase(key)
		}
		return fmt.Sprintf("layer link in %s of %s", repo, m.Digest)
	case 14, 15:
		return o.otherwise(repo, tag, m)
	}
	o.blobs = append(o.blobs, o.Push(repo, "x/y", fmt.Appendf(nil, "loose %d", len(o.blobs))))
	return fmt.Sprintf("loose blob in %s: %s", repo, o.blobs[len(o.blobs)-1].Digest)
}

// otherwise stores something by sha512.
func (o *oracleBuilder) otherwise(repo, tag string, m fixtures.Manifest) string {
	var body []byte
	layer := fmt.Appendf(nil, "by sha512: %d", o.rand.IntN(8))
	name := fixtures.SHA512(layer)
	switch o.rand.IntN(6) {
	case 0: // the same bytes as an image by sha256
		body = m.Body
	case 1:
		o.PushBy(repo, name, layer)
		body = imageOf(described("x/y", pick(o.rand, o.blobs)), named("x/y", name, int64(len(layer))))
	case 2: // a layer that no link leads to
		o.PushBy("x", name, layer)
		body = imageOf(described("x/y", pick(o.rand, o.blobs)), named("x/y", name, int64(len(layer))))
	case 3:
		o.PushBy(repo, name, layer)
		return "loose blob in " + repo + ": " + name
	default: // an index of a child by sha512
		child := fixtures.SHA512(m.Body)
		o.PushManifestBy(pick(o.rand, []string{repo, "x"}), "", child, m.Body)
		mediaType := pick(o.rand, []string{fixtures.OCIManifest, "x/y"})
		o.images = append(o.images, o.PushManifest(repo, tag, fixtures.OCIIndex, indexOf(named(mediaType, child, m.Size))))
		return fmt.Sprintf("index %s:%s of %s as %s", repo, tag, child, mediaType)
	}
	o.PushManifestBy(repo, tag, fixtures.SHA512(body), body)
	return fmt.Sprintf("%s:%s is %s, from %s", repo, tag, fixtures.SHA512(body), m.Digest)
}

// alias pushes a blob by another name, and perhaps something that uses that.
func (o *oracleBuilder) alias(repo, tag string) string {
	d := o.Push(repo, "x/y", fmt.Appendf(nil, "aliased %d", o.rand.IntN(8)))
	key, _ := layout.Parse(o.Alias(repo, d))
	name := key.Algorithm + ":" + key.Hex
	form := pick(o.rand, []string{
		`{"schemaVersion":2,"config":{"digest":%q}}`,
		`{"schemaVersion":2,"layers":[{"digest":%q,"urls":["http://x/y"]}]}`,
		`{"schemaVersion":2,"manifests":[{"digest":%q,"mediaType":"x/y"}]}`,
		`{"schemaVersion":2,"manifests":[{"digest":%q,"mediaType":"` + fixtures.OCIManifest + `"}]}`,
	})
	switch o.rand.IntN(4) {
	case 0:
		o.Tarsum(repo, d)
	case 1:
		o.Erase(layout.LayerKey(repo, d.Digest))
	case 2:
		return "unused alias " + name
	}
	o.images = append(o.images, o.PushManifest(repo, tag, fixtures.OCIManifest, fmt.Appendf(nil, form, name)))
	return fmt.Sprintf("%s:%s is %s", repo, tag, fmt.Sprintf(form, name))
}

// damage breaks one file, or makes it young.
func (o *oracleBuilder) damage() string {
	keys := o.Keys()
	if o.rand.IntN(2) == 0 { // what links of manifests say weighs more than their number
		keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.Contains(key, "/_manifests/") })
	}
	key := pick(o.rand, keys)
	isLink := strings.HasSuffix(key, "/link")
	switch kind := o.rand.IntN(9); {
	case kind == 0:
		o.Edit(key, func(body []byte) []byte { return body[:o.rand.IntN(len(body)+1)] })
		return "cut " + key
	case kind == 1 && isLink:
		o.Edit(key, func(body []byte) []byte { return append(body, '\n') })
		return "newline " + key
	case kind == 2 && isLink:
		to := pick(o.rand, o.images).Digest
		if o.rand.IntN(3) == 0 {
			to = pick(o.rand, o.blobs).Digest
		}
		o.Edit(key, func([]byte) []byte { return []byte(to.String()) })
		return fmt.Sprintf("%s holds %s", key, to)
	case kind == 3 || kind == 4:
		o.Touch(key, oracleNow.Add(-time.Minute))
		return "young " + key
	case kind == 5 && strings.Contains(key, "/tags/") && o.rand.IntN(4) == 0:
		f, _ := o.File(key)
		key = strings.Replace(key, "/tags/", "/tags/bad:", 1)
		o.Put(key, f.Body)
		return "put " + key
	}
	o.Erase(key)
	return "erased " + key
}
