package walker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// sink records what it receives.
type sink struct {
	blobs   []walker.Blob
	links   map[string][]walker.Link
	entries []walker.Entry
	after   int // fail at this call
}

var errEnough = errors.New("enough")

func (s *sink) called() error {
	if s.after--; s.after == 0 {
		return errEnough
	}
	return nil
}

func (s *sink) Blobs(b []walker.Blob) error {
	s.blobs = append(s.blobs, b...)
	return s.called()
}

func (s *sink) Links(repository string, links []walker.Link) error {
	if s.links == nil {
		s.links = map[string][]walker.Link{}
	}
	for _, l := range links {
		l.Tag, l.Alias = strings.Clone(l.Tag), strings.Clone(l.Alias)
		name := strings.Clone(repository)
		s.links[name] = append(s.links[name], l)
	}
	return s.called()
}

func (s *sink) Entry(e walker.Entry) error {
	e.Key, e.Repository, e.Tag = strings.Clone(e.Key), strings.Clone(e.Repository), strings.Clone(e.Tag)
	s.entries = append(s.entries, e)
	return s.called()
}

var (
	digest  = regexp.MustCompile(`\A(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\z`)
	unknown = regexp.MustCompile(`\A[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}\z`)
	known   = regexp.MustCompile(`\Asha(256|384|512):`)
)

// FuzzLink compares the walker's result for a link with any content with the simplest parsing.
func FuzzLink(f *testing.F) {
	d := layout.Sum([]byte("x"))
	for _, body := range []string{"", d.String(), d.String() + "\n", d.String()[:40], layout.Empty.String(), "sha512:" + d.Hex(), fixtures.SHA512(nil), fixtures.SHA512(nil) + "\n", "md5:" + d.Hex(), strings.ToUpper(d.String())} {
		for kind := range uint8(4) {
			f.Add(kind, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		keys := []string{layout.RevisionKey("a/b", d), layout.LayerKey("a/b", d), layout.CurrentKey("a/b", "t"), layout.HistoryKey("a/b", "t", d)}
		key := keys[int(kind)%len(keys)]
		m := &fixtures.Memory{}
		m.Put(key, body, fixtures.Epoch)
		w := walker.Walker{Reader: m, Workers: 1}
		var s sink
		if err := w.ListLinks(context.Background(), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.links["a/b"]) != 1 || len(s.entries) != 0 {
			t.Fatalf("%q: links %v, entries %v", key, s.links, s.entries)
		}
		got := s.links["a/b"][0]
		want := walker.LinkInvalid
		if digest.Match(body) || unknown.Match(body) && !known.Match(body) && len(body) <= walker.MaxLink {
			want = walker.LinkGood
			if key != keys[2] && string(body) != d.String() {
				want = walker.LinkMismatch
			}
		}
		if got.State != want || (got.Why != "") != (want == walker.LinkInvalid) {
			t.Errorf("%q in %s: state %v (%q), want %v", body, key, got.State, got.Why, want)
		}
		if want != walker.LinkInvalid && got.Target.String() != string(body) {
			t.Errorf("%q: target %v", body, got.Target)
		}
		err := w.Recheck(context.Background(), 1, func(int) string { return key }, func(_ int, l walker.Recheck) error {
			if l.Absent || l.Err != nil || l.Link.State != got.State || l.Link.Target != got.Target || l.Link.Path != got.Path {
				t.Errorf("%q: a second look says %+v, the listing %+v", body, l.Link, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestEveryFileIsDeliveredOnce(t *testing.T) {
	b := fixtures.Standard()
	b.Upload("app", 100)
	b.Temp(layout.CurrentKey("app", "1.0"))
	b.Put(layout.Repositories+"/app/_odd/x", []byte("y"))
	b.Put(layout.Blobs+"/sha256/a/b/c", []byte("y"))
	m := &fixtures.Memory{}
	b.Into(m.Put, m.Mkdir)
	w := walker.Walker{Reader: m, Thorough: true}
	var s sink
	for _, list := range []func(context.Context, walker.Sink) error{w.ListBlobs, w.ListLinks} {
		if err := list(context.Background(), &s); err != nil {
			t.Fatal(err)
		}
	}
	n := len(s.blobs)
	for _, links := range s.links {
		n += len(links)
	}
	for _, e := range s.entries {
		if e.Kind != walker.EntryEmpty {
			n++
		}
	}
	if n != len(b.Keys()) {
		t.Errorf("%d things were handed over, the store has %d files", n, len(b.Keys()))
	}
}

// A foreign link beside a tag's history, or a directory beside a revision's link, hides
// nothing, in any store.
func TestForeignFilesHideNoLinks(t *testing.T) {
	d, old := layout.Sum([]byte("new")), layout.Sum([]byte("old"))
	files := map[string]string{
		layout.CurrentKey("a", "t"): d.String(), layout.HistoryKey("a", "t", d): d.String(), layout.HistoryKey("a", "t", old): old.String(),
		"docker/registry/v2/repositories/a/_manifests/tags/t/index/link":                                    d.String(),
		layout.RevisionKey("a", d):                                                                          d.String(),
		strings.TrimSuffix(layout.RevisionKey("a", d), "link") + "signatures/sha256/" + old.Hex() + "/link": old.String(),
	}
	m, root := &fixtures.Memory{}, t.TempDir()
	for key, body := range files {
		m.Put(key, []byte(body), fixtures.Epoch)
		path := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	disk, err := file.Open(root, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, r := range map[string]backend.Reader{"memory": m, "disk": disk} {
		var s sink
		w := walker.Walker{Reader: r}
		if err := w.ListLinks(context.Background(), &s); err != nil {
			t.Fatal(err)
		}
		signature := func(e walker.Entry) bool { return e.Kind == walker.EntrySignature }
		if n := len(s.links["a"]); n != 4 || !slices.ContainsFunc(s.entries, signature) {
			t.Errorf("%s: %d links, want 4, and a signature among %v", name, n, s.entries)
		}
	}
}

func TestAStreamCanBeLeftEarly(t *testing.T) {
	m := &fixtures.Memory{}
	fixtures.Standard().Into(m.Put, m.Mkdir)
	w := walker.Walker{Reader: m}
	for after := 1; after < 20; after++ {
		s := sink{after: after}
		if err := w.ListLinks(context.Background(), &s); !errors.Is(err, errEnough) || s.after != 0 {
			t.Fatalf("after %d: %v, and %d calls more or less", after, err, s.after)
		}
	}
	n := 0
	err := w.Manifests(context.Background(), 1000, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: layout.Empty} }, func(int, walker.Manifest) error {
		n++
		return errEnough
	})
	if !errors.Is(err, errEnough) || n != 1 {
		t.Errorf("manifests: %v after %d calls", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Hash(ctx, 10, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: layout.Empty} }, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("hash: %v", err)
	}
}

// TestMaxSize: a manifest of the maximal size is parsed, and a larger one isn't; both are
// hashed.
func TestMaxSize(t *testing.T) {
	const bound = 4 << 20
	head := `{"schemaVersion":2,"manifests":[],"x":"`
	for _, size := range []int{bound - 1, bound, bound + 1, 3 * bound} {
		body := []byte(head + strings.Repeat("y", size-len(head)-2) + `"}`)
		d := layout.Sum(body)
		m := &fixtures.Memory{}
		m.Put(layout.BlobKey(d), body, time.Now())
		wrong := layout.Sum([]byte("other"))
		m.Put(layout.BlobKey(wrong), body, time.Now())
		w := walker.Walker{Reader: m}
		want := []walker.ManifestState{walker.ManifestGood, walker.ManifestCorrupt}
		if size > bound {
			want[0] = walker.ManifestUnparsable
		}
		digests := []layout.Digest{d, wrong}
		err := w.Manifests(context.Background(), 2, func(i int) layout.AnyDigest { return layout.AnyDigest{Digest: digests[i]} }, func(i int, got walker.Manifest) error {
			if got.State != want[i] {
				t.Errorf("%d bytes, digest %d: state %v, want %v (%v)", size, i, got.State, want[i], got.Err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hints is a Reader whose listing only keeps the function that returns hints.
type hints struct {
	backend.Reader
	of backend.HintFunc
}

func (h *hints) List(_ context.Context, _ string, expect backend.HintFunc, _ func(backend.Batch) error) error {
	h.of = expect
	return nil
}

// TestUsualTags: the entry of a tag's history isn't listed but read, unless links aren't read,
// and a thorough listing leaves nothing out.
func TestUsualTags(t *testing.T) {
	for want, w := range map[backend.Usual]walker.Walker{
		{File: "current/link", Directory: "index/sha256", Entry: "link"}: {},
		{File: "current/link", Directory: "index/sha256"}:                {Unread: true},
		{}: {Thorough: true},
	} {
		h := &hints{}
		w.Reader = h
		if err := w.ListLinks(t.Context(), &sink{}); err != nil {
			t.Fatal(err)
		}
		if got := h.of(layout.Repositories + "/a/_manifests/tags").Usual; got != want {
			t.Errorf("%+v: %+v, want %+v", w, got, want)
		}
	}
}
