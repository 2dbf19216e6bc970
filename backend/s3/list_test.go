package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/backend/lister"
	"regfsck/fixtures"
)

func nothing(string) backend.Hint { return backend.Hint{} }

// keysOf lists a prefix and returns its keys, sorted.
func keysOf(t *testing.T, r *Reader, prefix string) (keys []string, faults []backend.Fault, err error) {
	t.Helper()
	err = r.List(context.Background(), prefix, nothing, func(b backend.Batch) error {
		for _, item := range b.Items {
			keys = append(keys, strings.Clone(backend.JoinKey(b.Dir, item.Name)))
		}
		faults = append(faults, b.Faults...)
		return nil
	})
	slices.Sort(keys)
	return keys, faults, err
}

// mixed returns keys of many shapes.
func mixed(seed uint64) (keys []string) {
	r := rand.New(rand.NewPCG(seed, 7))
	for i := range 1 + r.IntN(12) {
		name := fmt.Sprintf("%c%d/%s", 'a'+r.IntN(26), i, fixtures.Digest(i)[:1+r.IntN(8)])
		keys = append(keys, fixtures.RepositoryKeys(name, r.IntN(80), r.IntN(12), fixtures.NumberedTag)...)
	}
	for i := range r.IntN(60) {
		hex := fixtures.Digest(i)
		keys = append(keys, "docker/registry/v2/blobs/sha256/"+hex[:2]+"/"+hex+"/data", "x/"+hex[:r.IntN(5)+1]+"!é/~"+hex)
	}
	slices.Sort(keys)
	return slices.Compact(append(keys, "zz"))
}

// TestWhole: every key is listed once, however the keys are split.
func TestWhole(t *testing.T) {
	for seed := range uint64(40) {
		keys := mixed(seed)
		s := newServer(keys, func(string) string { return "" })
		random := rand.New(rand.NewPCG(seed, 9))
		r := s.reader(t, Options{Workers: 1 + random.IntN(20)})
		r.pageSize = 1 + random.Int32N(9)
		if got, _, err := keysOf(t, r, ""); err != nil || !slices.Equal(got, keys) {
			t.Errorf("seed %d: %d of %d keys, %v", seed, len(got), len(keys), err)
		}
	}
}

// plenty is a bucket whose listing is split.
func plenty() *server {
	return newServer(fixtures.RepositoryKeys("team/app", 3000, 50, fixtures.NumberedTag), func(string) string { return "" })
}

// TestPagesDistrusted: a page that contradicts itself or the one before ends the listing with
// an error.
func TestPagesDistrusted(t *testing.T) {
	for name, spoil := range map[string]func(p *listResult){
		"no token":   func(p *listResult) { p.NextContinuationToken = "" },
		"duplicate":  func(p *listResult) { p.Contents = append(p.Contents, p.Contents[len(p.Contents)-1]) },
		"unsorted":   func(p *listResult) { slices.Reverse(p.Contents) },
		"shrunk":     func(p *listResult) { p.Contents = p.Contents[1:] },
		"before":     func(p *listResult) { p.Contents[0].Key = p.Prefix },
		"elsewhere":  func(p *listResult) { p.Contents[len(p.Contents)-1].Key = "zzz" },
		"hiding":     func(p *listResult) { p.CommonPrefixes = append(p.CommonPrefixes, struct{ Prefix string }{"docker/x/"}) },
		"same token": func(p *listResult) { p.NextContinuationToken = p.StartAfter },
	} {
		for _, at := range []int{0, 1, 5} {
			s := plenty()
			r := s.reader(t, Options{Workers: 1})
			r.pageSize = 100
			page := 0
			s.change = func(p *listResult, q *http.Request) {
				p.StartAfter = q.URL.Query().Get("continuation-token")
				if page++; page > at {
					spoil(p)
				}
			}
			_, _, err := keysOf(t, r, "docker")
			if _, ok := errors.AsType[*lister.PageError](err); !ok && (at > 0 || name != "same token" && name != "before") {
				t.Errorf("%s in page %d: %v", name, at, err)
			}
		}
	}
}

// TestNamesDistrusted: a common prefix outside the listed directory is a PageError.
func TestNamesDistrusted(t *testing.T) {
	s := plenty()
	r := s.reader(t, Options{})
	s.change = func(p *listResult, _ *http.Request) {
		p.CommonPrefixes = append(p.CommonPrefixes, struct{ Prefix string }{"docker/x/"})
	}
	items, err := r.Names(t.Context(), "docker/registry")
	if _, ok := errors.AsType[*lister.PageError](err); !ok {
		t.Errorf("%v, %v", items, err)
	}
}

// TestEmptyPages: some empty pages are accepted.
func TestEmptyPages(t *testing.T) {
	for most, want := range map[int]bool{3: true, 1 << 30: false} {
		s := plenty()
		r := s.reader(t, Options{})
		n := 0
		s.change = func(p *listResult, q *http.Request) {
			if n++; n <= most {
				p.Contents, p.KeyCount, p.IsTruncated = nil, 0, true
				p.NextContinuationToken = fmt.Sprintf("after %c", 'a'+n%2)
			}
		}
		keys, _, err := keysOf(t, r, "docker")
		if (err == nil) != want || want && len(keys) != len(s.keys) {
			t.Errorf("%d empty pages: %d keys, %v", most, len(keys), err)
		}
	}
}

// TestStartIgnored: a server that ignores start-after is listed in one range.
func TestStartIgnored(t *testing.T) {
	s := plenty()
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		q.Del("start-after")
		r.URL.RawQuery = q.Encode()
		return false
	}
	r := s.reader(t, Options{})
	r.pageSize = 20
	keys, _, err := keysOf(t, r, "docker")
	if most := len(s.keys)/20 + 10; err != nil || len(keys) != len(s.keys) || s.lists > most {
		t.Errorf("%d of %d keys, %v, %d requests, want at most %d", len(keys), len(s.keys), err, s.lists, most)
	}
}

// TestDelimiterDenied: policies may allow a prefix and not its directories.
func TestDelimiterDenied(t *testing.T) {
	s := newServer(mixed(5), func(string) string { return "" })
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("delimiter") == "" {
			return false
		}
		fail(w, http.StatusForbidden, "AccessDenied")
		return true
	}
	r := s.reader(t, Options{})
	r.pageSize = 5
	if keys, _, err := keysOf(t, r, ""); err != nil || !slices.Equal(keys, s.keys) {
		t.Errorf("%d of %d keys, %v", len(keys), len(s.keys), err)
	}
}

// TestListDenied: a prefix that may not be listed is unknown, not missing.
func TestListDenied(t *testing.T) {
	for _, from := range []int{1, 4} {
		s := plenty()
		r := s.reader(t, Options{})
		r.pageSize = 100
		pages := 0
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if pages++; pages < from {
				return false
			}
			fail(w, http.StatusForbidden, "AccessDenied")
			return true
		}
		_, faults, err := keysOf(t, r, "docker")
		if err != nil || len(faults) != 1 || faults[0].Key != "docker" || !errors.Is(faults[0].Err, fs.ErrPermission) || !strings.Contains(faults[0].Error(), "s3:ListBucket") {
			t.Errorf("from page %d: %v, %v", from, faults, err)
		}
	}
}

// TestMarkers: empty keys with a slash at the end are markers; other keys that no directory
// can have are items or faults.
func TestMarkers(t *testing.T) {
	bodies := map[string]string{
		"a/": "", "a/b/": "", "a/b/file": "x", "a/full/": "x", "a//c": "x", "a/b/../d": "x", "/top": "x", "a/.": "x", "e/": "",
	}
	var keys []string
	for key := range bodies {
		keys = append(keys, key)
	}
	s := newServer(keys, func(key string) string { return bodies[key] })
	r := s.reader(t, Options{})
	got, faults, err := keysOf(t, r, "")
	if want := []string{"/top", "a/", "a/.", "a//c", "a/b/", "a/b/../d", "a/b/file", "e/"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if len(faults) != 1 || faults[0].Key != "a/full/" || faults[0].Err != backend.ErrIrregular {
		t.Errorf("faults %v", faults)
	}
	if got, _, err := keysOf(t, r, "e"); err != nil || !slices.Equal(got, []string{"e/"}) {
		t.Errorf("a directory with nothing but its marker: %q, %v", got, err)
	}
	err = r.List(t.Context(), "", nothing, func(b backend.Batch) error {
		for _, item := range b.Items {
			if item.Marker != (strings.HasSuffix(item.Name, "/") && item.Size == 0) {
				t.Errorf("%s: %+v", b.Dir, item)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
