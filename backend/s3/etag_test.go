package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// links is a repository whose links are valid, except those set otherwise.
type links map[string]string

const links1 = layout.Repositories + "/team/app/"

func newLinks(revisions, layers int) links {
	l := links{}
	for i := range revisions {
		l[links1+"_manifests/revisions/sha256/"+fixtures.Digest(i)+"/link"] = "sha256:" + fixtures.Digest(i)
	}
	for i := range layers {
		l[links1+"_layers/sha256/"+fixtures.Digest(1000+i)+"/link"] = "sha256:" + fixtures.Digest(1000+i)
	}
	return l
}

// tag adds a tag whose index consists of these manifests; the last one is current.
func (l links) tag(name string, history ...int) {
	for _, i := range history {
		l[links1+"_manifests/tags/"+name+"/index/sha256/"+fixtures.Digest(i)+"/link"] = "sha256:" + fixtures.Digest(i)
		l[links1+"_manifests/tags/"+name+"/current/link"] = "sha256:" + fixtures.Digest(i)
	}
}

func (l links) server() *server {
	var keys []string
	for key := range l {
		keys = append(keys, key)
	}
	return newServer(keys, func(key string) string { return l[key] })
}

// expectLinks is the walker's hint.
func expectLinks(dir string) backend.Hint {
	leaf := backend.Hint{Name: "link", Read: 256}
	switch name := dir[strings.LastIndexByte(dir, '/')+1:]; {
	case name == "sha256":
		leaf.Content, leaf.Repeated = "sha256:", strings.Contains(dir, "/_manifests/")
		return leaf
	case strings.HasSuffix(dir, "/tags/"+name), name == "sha512":
		return leaf
	}
	return backend.Hint{}
}

// list lists all links, checks their bodies and returns the faults.
func (l links) list(t *testing.T, r *Reader) (faults []backend.Fault) {
	t.Helper()
	seen := map[string]bool{}
	err := r.List(context.Background(), layout.Repositories, expectLinks, func(b backend.Batch) error {
		for _, item := range b.Items {
			key := strings.Clone(backend.JoinKey(b.Dir, item.Name))
			if body, ok := l[key]; !ok || seen[key] || string(item.Body) != body[:min(256, len(body))] || item.Size != int64(len(body)) {
				t.Errorf("%s: %d bytes, %q; seen before: %v", key, item.Size, item.Body, seen[key])
			}
			seen[key] = true
		}
		for _, f := range b.Faults {
			faults = append(faults, f)
			seen[f.Key] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key := range l {
		if !seen[key] {
			t.Errorf("%s is not listed", key)
		}
	}
	return faults
}

// cost checks how many links were read and proven.
func cost(t *testing.T, r *Reader, get, proven int) {
	t.Helper()
	if c := r.Cost(); c.Get != int64(get) || c.LinksProven != int64(proven) {
		t.Errorf("%d links fetched and %d proven, want %d and %d", c.Get, c.LinksProven, get, proven)
	}
}

func TestLinksProven(t *testing.T) {
	l := newLinks(40, 300)
	for i := range 40 {
		l.tag(fmt.Sprint("t", i), i, (i+7)%40)
	}
	s := l.server()
	r := s.reader(t, Options{})
	l.list(t, r)
	cost(t, r, 0, len(l))
	s.etag = func(key string) string { return strings.ToUpper(sum(l[key])) }
	r = s.reader(t, Options{Root: "/"})
	l.list(t, r)
	cost(t, r, 0, len(l))
}

// TestLinksCut: wherever pages end and ranges are split, a tag's current link is proven by its
// index or its repository's revisions.
func TestLinksCut(t *testing.T) {
	l := newLinks(60, 90)
	for i := range 60 {
		l.tag(fmt.Sprint("t", i), i, (i*11)%60, (i*17)%60)
	}
	for size := int32(1); size < 12; size++ {
		r := l.server().reader(t, Options{})
		r.pageSize = size
		l.list(t, r)
		cost(t, r, 0, len(l))
	}
}

func TestTagWithoutHistory(t *testing.T) {
	l := newLinks(10, 0)
	l[links1+"_manifests/tags/revision/current/link"] = "sha256:" + fixtures.Digest(3)
	l[links1+"_manifests/tags/unknown/current/link"] = "sha256:" + fixtures.Digest(77)
	l[links1+"_manifests/tags/other/current/link"] = "sha256:" + fixtures.Digest(4)
	l[links1+"_manifests/tags/other/index/sha256/"+fixtures.Digest(5)+"/link"] = "sha256:" + fixtures.Digest(5)
	r := l.server().reader(t, Options{})
	l.list(t, r)
	cost(t, r, 1, len(l)-1)
}

// TestLinksFetched: a link is read only if its ETag doesn't prove it.
func TestLinksFetched(t *testing.T) {
	l := newLinks(5, 5)
	layer, revision := links1+"_layers/sha256/"+fixtures.Digest(1001)+"/link", links1+"_manifests/revisions/sha256/"+fixtures.Digest(2)+"/link"
	l.tag("latest", 1)
	l[layer] = "sha256:" + fixtures.Digest(1002)
	l[revision] = "sha256:" + fixtures.Digest(2) + "\n"
	l[links1+"_layers/sha256/"+fixtures.Digest(1003)+"/link"] = ""
	l[links1+"_layers/sha512/"+fixtures.Digest(7)+fixtures.Digest(8)+"/link"] = "sha256:" + fixtures.Digest(9)
	l[links1+"_manifests/tags/long/current/link"] = strings.Repeat("long", 1000)
	s := l.server()
	s.etag = func(key string) string {
		switch {
		case strings.Contains(key, fixtures.Digest(1000)):
			return sum(l[key]) + "-1"
		case strings.Contains(key, fixtures.Digest(1004)):
			return sum("of something else")
		case strings.HasSuffix(key, "latest/current/link"):
			return ""
		}
		return sum(l[key])
	}
	r := s.reader(t, Options{})
	if faults := l.list(t, r); len(faults) > 0 {
		t.Error(faults)
	}
	cost(t, r, 8, len(l)-8)
}

// TestLyingETag: an ETag that is the MD5 of the expected content proves it; another ETag is no
// finding by itself.
func TestLyingETag(t *testing.T) {
	l := newLinks(3, 200)
	l.tag("latest", 1, 2)
	s := l.server()
	s.etag = func(key string) string { return sum("encrypted " + key) }
	r := s.reader(t, Options{})
	r.pageSize = 20
	l.list(t, r)
	cost(t, r, len(l), 0)
}

// TestVanishing: a link that can't be found is left out if the listing doesn't contain it any
// more, else it is a fault.
func TestVanishing(t *testing.T) {
	l := newLinks(0, 5)
	vanished, stuck := links1+"_layers/sha256/"+fixtures.Digest(1000)+"/link", links1+"_layers/sha256/"+fixtures.Digest(1001)+"/link"
	late := links1 + "_layers/sha256/" + fixtures.Digest(1002) + "/link"
	s := l.server()
	s.etag = func(string) string { return "" }
	misses := map[string]int{vanished: 99, stuck: 99, late: 1}
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		key := strings.TrimPrefix(r.URL.Path, "/bucket/")
		if r.URL.Query().Get("prefix") == vanished {
			fmt.Fprint(w, `<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`)
			return true
		}
		if misses[key] == 0 {
			return false
		}
		misses[key]--
		fail(w, http.StatusNotFound, "NoSuchKey")
		return true
	}
	r := s.reader(t, Options{})
	delete(l, vanished)
	faults := l.list(t, r)
	if len(faults) != 1 || faults[0].Key != stuck || faults[0].Err != backend.ErrListed {
		t.Errorf("faults %v, want one of %s", faults, stuck)
	}
}
