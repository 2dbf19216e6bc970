package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// rig is a store in a real bucket behind a proxy. Its root is root/; other keys of the bucket
// are foreign.
type rig struct {
	b *s3test.Bucket
	p *s3test.Proxy
	s *Store
}

// others are keys that no change may touch.
var others = []string{"rooted", "root-other/a", "elsewhere/b"}

// rigServers are shared by all rigs, with versions and without: starting one takes longer than
// most tests.
var rigServers struct {
	sync.Mutex
	all     map[bool]*s3test.Server
	buckets int
}

func TestMain(m *testing.M) {
	code := fixtures.Run(m)
	for _, server := range rigServers.all {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// newBucket creates a bucket on the shared server.
func newBucket(t *testing.T, versioned bool) *s3test.Bucket {
	t.Helper()
	rigServers.Lock()
	defer rigServers.Unlock()
	server, ok := rigServers.all[versioned]
	if !ok {
		var err error
		if server, err = s3test.Open(s3test.Options{Versioning: versioned}); err != nil {
			t.Fatal(err)
		}
		if rigServers.all == nil {
			rigServers.all = map[bool]*s3test.Server{}
		}
		rigServers.all[versioned] = server
	}
	rigServers.buckets++
	return server.Make(t, fmt.Sprintf("bucket-%d", rigServers.buckets))
}

func newRig(t *testing.T, versioned bool, files ...string) *rig {
	t.Helper()
	b := newBucket(t, versioned)
	r := &rig{b: b, p: s3test.Front(t, b.Server, s3test.Settings{})}
	if versioned {
		r.b.SetVersioning(t, s3test.Enabled)
	}
	all := map[string][]byte{}
	for _, key := range files {
		all["root/"+key] = []byte("body of " + key)
	}
	for _, key := range others {
		all[key] = []byte("other")
	}
	r.b.Fill(t, s3test.Map(all))
	r.s = r.open(t)
	t.Cleanup(func() {
		for _, key := range others {
			if body, ok := r.b.Get(t, key); !ok || string(body) != "other" {
				t.Errorf("%q isn't what it was", key)
			}
		}
	})
	return r
}

// open opens the store as another process does.
func (r *rig) open(t *testing.T) *Store {
	t.Helper()
	o := realOptions(r.b.Server, r.b.Name)
	o.Endpoint = strings.TrimPrefix(r.p.Endpoint, "http://")
	return openStore(t, o)
}

// has checks that exactly these files exist below the root, unchanged.
func (r *rig) has(t *testing.T, files ...string) {
	t.Helper()
	var keys []string
	for _, key := range r.b.Keys(t, "root/") {
		keys = append(keys, strings.TrimPrefix(key, "root/"))
	}
	if slices.Sort(files); !slices.Equal(keys, files) {
		t.Errorf("%q exist, want %q", keys, files)
	}
	for _, key := range files {
		if body, _ := r.b.Get(t, "root/"+key); string(body) != "body of "+key {
			t.Errorf("%q holds %q", key, body)
		}
	}
}

// versions returns how many versions and markers there are below the root.
func (r *rig) versions(t *testing.T) (n int) {
	t.Helper()
	return len(r.b.Versions(t, "root/"))
}

var (
	keeping1 = backend.Run{ID: "run-1", Keep: true}
	freeing  = backend.Run{ID: "run-2"}
)

// remove removes keys, and checks that all succeed.
func (r *rig) remove(t *testing.T, run backend.Run, keys ...string) []backend.Receipt {
	t.Helper()
	receipts := r.s.Remove(t.Context(), run, keys)
	for i, receipt := range receipts {
		if receipt.Err != nil || receipt.Key != keys[i] {
			t.Errorf("remove %q: %+v", keys[i], receipt)
		}
	}
	return receipts
}

// restore restores receipts and checks the errors.
func (r *rig) restore(t *testing.T, run backend.Run, receipts []backend.Receipt, want error) {
	t.Helper()
	for i, err := range r.s.Restore(t.Context(), run, receipts) {
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("restore %+v: %v, want %v", receipts[i], err, want)
		}
	}
}

// bare returns receipts as they are known after a crash.
func bare(receipts []backend.Receipt) []backend.Receipt {
	keys := make([]backend.Receipt, len(receipts))
	for i := range receipts {
		keys[i].Key = receipts[i].Key
	}
	return keys
}

// must fails the test unless err is want and contains all words.
func must(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
		return
	}
	for _, word := range words {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("%v: says nothing of %q", err, word)
		}
	}
}

// text reads a file of the store.
func text(t *testing.T, s *Store, key string) string {
	t.Helper()
	f, err := s.Open(context.Background(), key)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// server is a bucket that lists as S3 does and counts requests. Tests can make it fail.
type server struct {
	mu    sync.Mutex
	keys  []string // sorted
	body  func(key string) string
	etag  func(key string) string // nil for the MD5 of the body
	made  time.Time
	lists int
	gets  int
	heads int

	hooks sync.Mutex // held while one of these is called
	// before handles a request instead of the bucket if it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
	// change changes a page before it is sent.
	change func(p *listResult, r *http.Request)
}

type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	StartAfter            string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listObject
	CommonPrefixes        []struct{ Prefix string }
}

type listObject struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

func newServer(keys []string, body func(string) string) *server {
	keys = slices.Clone(keys)
	sort.Strings(keys)
	return &server{keys: keys, body: body, made: time.Now()}
}

// start serves the bucket until the test ends, and returns its URL.
func (s *server) start(t *testing.T) string {
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, isKey := strings.CutPrefix(r.URL.Path, "/bucket/")
	isKey = isKey && key != ""
	s.mu.Lock()
	switch {
	case !isKey:
		s.lists++
	case r.Method == http.MethodHead:
		s.heads++
	default:
		s.gets++
	}
	s.mu.Unlock()
	if s.before != nil && s.answered(w, r) {
		return
	}
	if isKey {
		s.object(w, r, key)
		return
	}
	s.list(w, r)
}

func (s *server) answered(w http.ResponseWriter, r *http.Request) bool {
	s.hooks.Lock()
	defer s.hooks.Unlock()
	return s.before(w, r)
}

func (s *server) tag(key string) string {
	if s.etag != nil {
		return s.etag(key)
	}
	return sum(s.body(key))
}

func sum(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func (s *server) object(w http.ResponseWriter, r *http.Request, key string) {
	if _, found := slices.BinarySearch(s.keys, key); !found {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", `"`+s.tag(key)+`"`)
	http.ServeContent(w, r, "", s.made, strings.NewReader(s.body(key)))
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>because</Message></Error>", code)
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p := listResult{Name: "bucket", Prefix: q.Get("prefix"), StartAfter: q.Get("start-after"), MaxKeys: 1000, EncodingType: q.Get("encoding-type")}
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil {
		p.MaxKeys = n
	}
	after := p.StartAfter
	if token := q.Get("continuation-token"); token != "" {
		after = strings.TrimPrefix(token, "after ")
	}
	s.fill(&p, after, q.Get("delimiter"))
	if s.change != nil {
		s.hooks.Lock()
		s.change(&p, r)
		s.hooks.Unlock()
	}
	if p.EncodingType == "url" {
		for i := range p.Contents {
			p.Contents[i].Key = strings.ReplaceAll(url.QueryEscape(p.Contents[i].Key), "%2F", "/")
		}
		for i := range p.CommonPrefixes {
			p.CommonPrefixes[i].Prefix = strings.ReplaceAll(url.QueryEscape(p.CommonPrefixes[i].Prefix), "%2F", "/")
		}
		p.Prefix, p.StartAfter = url.QueryEscape(p.Prefix), url.QueryEscape(p.StartAfter)
	}
	w.Header().Set("Content-Type", "application/xml")
	text, err := xml.Marshal(p)
	if err != nil {
		panic(err)
	}
	w.Write(append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), text...))
}

// fill fills p with the page of keys above after.
func (s *server) fill(p *listResult, after, delimiter string) {
	at := sort.SearchStrings(s.keys, max(p.Prefix, after))
	for ; at < len(s.keys) && strings.HasPrefix(s.keys[at], p.Prefix); at++ {
		key := s.keys[at]
		name := key
		if i := strings.Index(key[len(p.Prefix):], delimiter); delimiter != "" && i >= 0 {
			name = key[:len(p.Prefix)+i+1]
		}
		if key <= after || name != key && strings.HasPrefix(after, name) {
			continue
		}
		if p.KeyCount == p.MaxKeys {
			p.IsTruncated = true
			return
		}
		p.KeyCount++
		p.NextContinuationToken = "after " + key
		if name == key {
			p.Contents = append(p.Contents, listObject{key, s.made.UTC().Format("2006-01-02T15:04:05.000Z"), `"` + s.tag(key) + `"`, len(s.body(key)), "STANDARD"})
			continue
		}
		p.CommonPrefixes = append(p.CommonPrefixes, struct{ Prefix string }{name})
		at += sort.SearchStrings(s.keys[at:], name[:len(name)-1]+"0") - 1
		p.NextContinuationToken = "after " + s.keys[at]
	}
	p.NextContinuationToken = ""
}

// reader opens the bucket.
func (s *server) reader(t *testing.T, o Options) *Reader {
	t.Helper()
	o.Bucket, o.Endpoint = "bucket", s.start(t)
	o.AccessKey, o.SecretKey = "access", "hushhush"
	o.Backoff = time.Millisecond
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

var _ backend.Reader = (*Reader)(nil)
