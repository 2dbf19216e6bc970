package s3

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/fixtures/storetest"
)

// idleClosing closes connections after each listing: the suite counts goroutines, and an idle
// connection has two.
type idleClosing struct{ *Reader }

func (r idleClosing) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	defer r.Close()
	return r.Reader.List(ctx, prefix, expect, each)
}

func TestConforms(t *testing.T) {
	for _, root := range []string{"", "some/where"} {
		for _, pageSize := range []int32{0, 7} {
			t.Run(fmt.Sprintf("%s/%d", root, pageSize), func(t *testing.T) {
				storetest.TestReader(t, storetest.Reader{NoDirs: true, Fill: func(t *testing.T, files map[string]string, dirs []string) backend.Reader {
					bodies := map[string]string{}
					for key, body := range files {
						if root != "" {
							key = root + "/" + key
						}
						bodies[key] = body
					}
					s := newServer(slices.Collect(maps.Keys(bodies)), func(key string) string { return bodies[key] })
					r := s.reader(t, Options{Root: root})
					r.pageSize = pageSize
					return idleClosing{r}
				}})
			})
		}
	}
}

// TestConformsReal runs the suite with real servers. Names with control characters are only
// tested with our own server: versitygw can't list them, because it doesn't support URL
// encoding.
func TestConformsReal(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) { conformsReal(t, s3test.Start(t, s3test.Options{})) })
	t.Run("minio", func(t *testing.T) { conformsReal(t, s3test.Start(t, s3test.Options{MinIO: true})) })
}

func conformsReal(t *testing.T, server *s3test.Server) {
	n := 0
	storetest.TestReader(t, storetest.Reader{NoDirs: true, Fill: func(t *testing.T, files map[string]string, dirs []string) backend.Reader {
		if slices.ContainsFunc(slices.Collect(maps.Keys(files)), hasControls) {
			return idleClosing{newServer(slices.Collect(maps.Keys(files)), func(key string) string { return files[key] }).reader(t, Options{})}
		}
		n++
		b := server.Make(t, fmt.Sprintf("conform-%d", n))
		all := map[string][]byte{}
		for key, body := range files {
			all["root/"+key] = []byte(body)
		}
		b.Fill(t, s3test.Map(all))
		r, err := Open(t.Context(), realOptions(server, b.Name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return idleClosing{r}
	}})
}

func realOptions(s *s3test.Server, name string) Options {
	return Options{
		Bucket: name, Root: "/root", Endpoint: strings.TrimPrefix(s.Endpoint, "http://"), Insecure: true,
		Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
	}
}

func hasControls(key string) bool { return strings.ContainsFunc(key, unicode.IsControl) }

var _ interface {
	backend.Store
	backend.Stater
	backend.Multipart
} = (*Store)(nil)

// openStore opens a bucket for changes, with shorter waits than real servers need.
func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	o.Backoff = time.Millisecond
	s, err := OpenStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ahead := new(atomic.Int64)
	clocks.Store(s, ahead)
	s.Now = func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	s.Contest, s.writer.partSize = 20*time.Millisecond, 5<<20
	t.Cleanup(func() { s.Close() })
	return s
}

// clocks are the offsets of the stores' clocks: an *atomic.Int64 for each *Store.
var clocks sync.Map

// later advances the clock of a store.
func later(s *Store, by time.Duration) {
	ahead, _ := clocks.Load(s)
	ahead.(*atomic.Int64).Add(int64(by))
}

// changing is a Store for the suite, with the options to open it again.
type changing struct {
	*Store
	options Options
}

// has reports whether the real server can have a key: it lists no control characters, and
// stores keys as paths of files.
func has(key string) bool { return len("root/"+key) <= 1024 && !hasControls(key) }

func conform(t *testing.T, server *s3test.Server, k storetest.Store, versioned bool) {
	n := 0
	k.NoDirs, k.Versions, k.Accepts = true, true, has
	k.Fill = func(t *testing.T, files map[string]string, _ []string) backend.Store {
		n++
		b := server.Make(t, fmt.Sprintf("store-%v-%d", versioned, n))
		if versioned {
			b.SetVersioning(t, s3test.Enabled)
		}
		all := map[string][]byte{}
		for key, body := range files {
			all["root/"+key] = []byte(body)
		}
		b.Fill(t, s3test.Map(all))
		o := realOptions(server, b.Name)
		return changing{openStore(t, o), o}
	}
	k.Reopen = func(t *testing.T, s backend.Store) backend.Store {
		o := s.(changing).options
		return changing{openStore(t, o), o}
	}
	k.Attributes = func(t *testing.T, s backend.Store, key string) (int64, string) { return 0, "" }
	k.Steal = func(t *testing.T, s backend.Store, run backend.Run) {
		if err := openStore(t, s.(changing).options).BreakLock(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
		later(s.(changing).Store, s.(changing).Lease.Time/20) // the lease is rechecked only after some time
	}
	storetest.TestStore(t, k)
}

// largeCopy is larger than two parts; servers reject parts below 5 MiB except the last.
const largeCopy = 11 << 20

func TestStoreConforms(t *testing.T) {
	t.Run("versions", func(t *testing.T) {
		conform(t, s3test.Start(t, s3test.Options{Versioning: true}), storetest.Store{Large: largeCopy}, true)
	})
	t.Run("versions of MinIO", func(t *testing.T) {
		conform(t, s3test.Start(t, s3test.Options{MinIO: true}), storetest.Store{Large: largeCopy}, true)
	})
	t.Run("none", func(t *testing.T) {
		conform(t, s3test.Start(t, s3test.Options{}), storetest.Store{NoKeep: true, Large: largeCopy}, false)
	})
}

// realLinks writes links to a real server behind a proxy.
func realLinks(t *testing.T, l links) (*s3test.Proxy, Options) {
	t.Helper()
	server := s3test.Start(t, s3test.Options{})
	b := server.Make(t, "links")
	all := map[string][]byte{}
	for key, body := range l {
		all["root/"+key] = []byte(body)
	}
	b.Fill(t, s3test.Map(all))
	p := s3test.Front(t, server, s3test.Settings{})
	o := realOptions(server, b.Name)
	o.Endpoint, o.Attempts, o.Backoff = p.Endpoint, 10, 1
	return p, o
}

// TestRealFaults: network faults cost requests and don't change the result.
func TestRealFaults(t *testing.T) {
	l := newLinks(20, 400)
	for i := range 20 {
		l.tag(fixtures.NumberedTag(i), i)
	}
	p, o := realLinks(t, l)
	lists, gets := s3test.Of(s3test.ListObjectsV2), s3test.Of(s3test.GetObject)
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.pageSize = 10
	l.list(t, r)
	cost(t, r, 0, len(l))
	if c := r.Cost(); int(c.List) != p.Counts()[s3test.ListObjectsV2] {
		t.Errorf("counted %d lists, and the proxy %d", c.List, p.Counts()[s3test.ListObjectsV2])
	}
	for name, faults := range map[string][]s3test.Fault{
		"slow down": {{Match: lists, Times: 9, Do: s3test.SlowDown()}},
		"cut":       {{Match: lists, Skip: 1, Times: 4, Do: s3test.Cut()}},
		"reset":     {{Match: lists, Skip: 2, Times: 4, Do: s3test.Reset()}, {Match: lists, Skip: 9, Times: 2, Do: s3test.ResetAfter()}},
		"no MD5s": {{Match: lists, Do: s3test.ListETags(func(key, etag string) string { return `"` + sum(key) + `"` })},
			{Match: gets, Skip: 5, Times: 3, Do: s3test.Cut()}, {Match: gets, Times: 5, Do: s3test.SlowDown()}},
		"start ignored": {{Match: lists, Do: s3test.IgnoreStart()}},
	} {
		t.Run(name, func(t *testing.T) {
			p.Inject(faults...)
			defer p.Heal()
			if faults := l.list(t, r); len(faults) > 0 {
				t.Error(faults)
			}
		})
	}
}

// TestRealPagesDistrusted: a listing that contradicts itself fails.
func TestRealPagesDistrusted(t *testing.T) {
	l := newLinks(5, 200)
	p, o := realLinks(t, l)
	for name, spoil := range map[string]s3test.Action{
		"no token": s3test.NoToken(), "duplicate": s3test.Duplicate(), "unsorted": s3test.Unsort(), "denied": s3test.AccessDenied(), "shrunk": s3test.ShrinkPage(),
	} {
		r, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		r.pageSize = 20
		p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Skip: 3, Do: spoil})
		_, faults, err := keysOf(t, r, "docker")
		if err == nil && len(faults) == 0 {
			t.Errorf("%s: the listing succeeded", name)
		}
		p.Heal()
		r.Close()
	}
}

// TestRealNames: names are decoded as a real server encodes them.
func TestRealNames(t *testing.T) {
	l := links{}
	for _, name := range []string{"a b", " a", "a+b", "%41", "é", "日本語", "*?[a]", `"quoted'`, "&<>;", "~", "a-b/c", "a.b/c", "a/c", "a_b/c"} {
		l[name] = name
	}
	_, o := realLinks(t, l)
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, size := range []int32{0, 2} {
		r.pageSize = size
		keys, _, err := keysOf(t, r, "")
		if err != nil || len(keys) != len(l) {
			t.Errorf("pages of %d: %q, %v", size, keys, err)
		}
		for name := range l {
			if _, err := r.Stat(t.Context(), name); err != nil || !slices.Contains(keys, strings.Clone(name)) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}
