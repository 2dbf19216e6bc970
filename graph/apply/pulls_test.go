package apply

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// pulls are the tags ("repo:tag") that a client gets as a whole, with every
// child of an index: what is served is looked for link by link, and every blob
// is hashed.
func pulls(files map[string]string) map[string]bool {
	all := map[string]bool{}
	for key, content := range files {
		k, err := layout.Parse(strings.TrimSuffix(key, "/"))
		if err != nil || k.Kind != layout.TagCurrent {
			continue
		}
		_, link, _ := strings.Cut(content, " ")
		if (client{files, k.Repository}).manifest(link) {
			all[k.Repository+":"+k.Tag] = true
		}
	}
	return all
}

// client pulls from a repository.
type client struct {
	files      map[string]string
	repository string
}

func (c client) file(key string) string {
	_, body, _ := strings.Cut(c.files[key], " ")
	return body
}

func (c client) manifest(name string) bool {
	d, ok := layout.ParseDigest(name)
	body := c.file(layout.BlobKey(d))
	if !ok || c.file(layout.RevisionKey(c.repository, d)) != name || layout.Sum([]byte(body)) != d {
		return false
	}
	type descriptor struct {
		Digest, BlobSum string
		URLs            []string
	}
	var doc struct {
		Config                             *descriptor
		Layers, Blobs, Manifests, FSLayers []descriptor
	}
	if json.Unmarshal([]byte(body), &doc) != nil || doc.Config != nil && !c.blob(doc.Config.Digest) {
		return false
	}
	for _, l := range append(doc.Layers, doc.Blobs...) {
		if len(l.URLs) == 0 && !c.blob(l.Digest) {
			return false
		}
	}
	for _, l := range doc.FSLayers {
		if !c.blob(l.BlobSum) {
			return false
		}
	}
	for _, m := range doc.Manifests {
		if !c.manifest(m.Digest) && !c.blob(m.Digest) {
			return false
		}
	}
	return true
}

// blob reports whether a blob is served. One that is named by another algorithm
// needs the link that its sha256 has, too.
func (c client) blob(name string) bool {
	alg, hex, _ := strings.Cut(name, ":")
	link := c.file(layout.Key{Kind: layout.LayerLink, Repository: c.repository, Algorithm: alg, Hex: hex}.String())
	d, ok := layout.ParseDigest(link)
	switch {
	case !ok:
		return false
	case alg != "sha256":
		return c.blob(link)
	}
	_, stored := c.files[layout.BlobKey(d)]
	return stored && link == name && layout.Sum([]byte(c.file(layout.BlobKey(d)))) == d
}

// stillPulls fails if a tag that could be pulled can't be any more, or if
// anything is gone that a tag needs, be it whole or not.
func stillPulls(t *testing.T, was, is map[string]string) {
	t.Helper()
	if l := lost(needs(was), was, is); l != "" {
		t.Errorf("a tag's needs:\n%s", l)
	}
	can := pulls(is)
	for ref := range pulls(was) {
		if !can[ref] {
			t.Errorf("%s can't be pulled any more", ref)
		}
	}
}

// parts are the keys of all that a manifest consists of in its repository.
func parts(m fixtures.Manifest) []string {
	keys := []string{m.RevisionKey(), m.Key()}
	for i := range m.Blobs {
		keys = append(keys, m.LayerKey(i), m.Blobs[i].Key())
	}
	return keys
}

// stay fails unless all keys hold what they held.
func stay(t *testing.T, was, is map[string]string, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := was[key]; !ok {
			t.Errorf("%s was never there", key)
		} else if is[key] != was[key] {
			t.Errorf("%s isn't what it was: %.100q, was %.100q", key, is[key], was[key])
		}
	}
}

// onlyGone fails unless just these files are gone, and all others hold what
// they held.
func onlyGone(t *testing.T, was, is map[string]string, keys ...string) {
	t.Helper()
	want := map[string]string{}
	for key, content := range was {
		if !strings.HasSuffix(key, "/") {
			want[key] = content
		}
	}
	for _, key := range keys {
		delete(want, key)
	}
	got := map[string]string{}
	for key, content := range is {
		if !strings.HasSuffix(key, "/") {
			got[key] = content
		}
	}
	if d := diff(want, got); d != "" {
		t.Errorf("not just %q went:\n%s", keys, d)
	}
}

// refusedFix fixes, and wants a refusal for a reason that has the word.
func refusedFix(t *testing.T, m *fixtures.Memory, policy graph.Policy, word string) {
	t.Helper()
	was := dump(m)
	out, err := fix(m.Store(), t.TempDir(), policy)
	var r *Refused
	if !errors.As(err, &r) || out != nil || !strings.Contains(err.Error(), word) {
		t.Errorf("want a refusal for %q: %v, %+v", word, err, out)
	}
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("the store was touched:\n%s", d)
	}
}

// waste puts an old orphan into a store, by which a test sees that something
// was done. It returns its key.
func waste(b *fixtures.Builder) string {
	body := []byte("nobody needs this")
	b.Put(layout.BlobKey(layout.Sum(body)), body)
	return layout.BlobKey(layout.Sum(body))
}

// plain are the policies that give nothing up on request.
func plain() map[string]graph.Policy {
	return map[string]graph.Policy{"": {}, "untagged": {Untagged: true}}
}
