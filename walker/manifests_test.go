package walker_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

var config = []byte(`{"created":"2024-06-01T10:00:00Z","os":"linux","architecture":"arm64"}`)

func TestConfigs(t *testing.T) {
	m := &fixtures.Memory{}
	put := func(body, stored []byte) layout.Digest {
		m.Put(layout.BlobKey(layout.Sum(body)), stored, fixtures.Epoch)
		return layout.Sum(body)
	}
	huge := bytes.Repeat([]byte{' '}, manifest.MaxSize+1)
	all := []struct {
		digest layout.Digest
		state  walker.ManifestState
	}{
		{put(config, config), walker.ManifestGood},
		{layout.Sum([]byte("absent")), walker.ManifestMissing},
		{put([]byte("{}"), []byte("[]")), walker.ManifestCorrupt},
		{put([]byte("no config"), []byte("no config")), walker.ManifestUnparsable},
		{put(huge, huge), walker.ManifestUnparsable},
		{put([]byte(`{"os":"plan9"}`), []byte(`{"os":"plan9"}`)), walker.ManifestUnreadable},
	}
	broken := layout.BlobKey(all[5].digest)
	faulty := fixtures.NewFaulty(m, func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpOpen && key == broken {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	w := walker.Walker{Reader: faulty, Workers: 3}
	got := map[int]walker.Config{}
	err := w.Configs(context.Background(), len(all), func(i int) layout.AnyDigest { return layout.AnyDigest{Digest: all[i].digest} }, func(i int, c walker.Config) error {
		got[i] = c
		return nil
	})
	if err != nil || len(got) != len(all) {
		t.Fatalf("%v, %d configs", err, len(got))
	}
	for i, want := range all {
		bad := want.state == walker.ManifestUnparsable || want.state == walker.ManifestUnreadable
		if got[i].State != want.state || (got[i].Err != nil) != bad {
			t.Errorf("%d: %+v, want state %d", i, got[i], want.state)
		}
	}
	if c := got[0]; !c.Created.Equal(time.Date(2024, time.June, 1, 10, 0, 0, 0, time.UTC)) || c.Platform() != "linux/arm64" {
		t.Errorf("%+v", c)
	}
}

func TestConfigsEndEarly(t *testing.T) {
	stop, n := errors.New("enough"), 0
	w := walker.Walker{Reader: stored(layout.Sum(config), config)}
	err := w.Configs(context.Background(), 1000, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: layout.Sum(config)} }, func(int, walker.Config) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = w.Configs(ctx, 10, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: layout.Sum(config)} }, func(int, walker.Config) error { n++; return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v, %d calls in all", err, n)
	}
}

// TestManifestsAreHeld: each manifest is passed on once, with its own references, also if others
// are read while the caller is busy.
func TestManifestsAreHeld(t *testing.T) {
	const n = 300
	m, digests := &fixtures.Memory{}, make([]layout.AnyDigest, n)
	referred := func(i int) layout.Digest { return layout.Sum(fmt.Append(nil, i)) }
	for i := range n {
		body := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":"%s","size":1},"layers":[]}`, referred(i))
		digests[i].Digest = layout.Sum(body)
		m.Put(layout.BlobKey(digests[i].Digest), body, fixtures.Epoch)
	}
	var seen [n]int
	w := walker.Walker{Reader: m, Workers: 8}
	err := w.Manifests(t.Context(), n, func(i int) layout.AnyDigest { return digests[i] }, func(i int, m walker.Manifest) error {
		time.Sleep(50 * time.Microsecond)
		if refs := m.Manifest.Refs; len(refs) != 1 || refs[0].Digest != referred(i) {
			t.Errorf("%d: %+v", i, m)
		}
		seen[i]++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for i, times := range seen {
		if times != 1 {
			t.Errorf("%d was passed on %d times", i, times)
		}
	}
}

// TestAskEndsEarly: when it ends, each is called no more, although answers are held, and soon
// nothing is asked.
func TestAskEndsEarly(t *testing.T) {
	stop := errors.New("enough")
	for _, want := range []error{stop, context.Canceled} {
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Int64
		calls := 0
		w := walker.Walker{Workers: 8}
		err := w.Ask(ctx, 1_000_000, func(context.Context, int) (bool, error) { asked.Add(1); return true, nil }, func(int, bool, error) error {
			if calls++; calls < 3 {
				time.Sleep(time.Millisecond)
				return nil
			}
			if want == stop {
				return stop
			}
			cancel()
			return nil
		})
		cancel()
		if !errors.Is(err, want) || calls != 3 || asked.Load() > 1000 {
			t.Errorf("%v after %d calls and %d questions, want %v", err, calls, asked.Load(), want)
		}
	}
}

// TestConfigsAreCached: a config is read once and then taken from the cache if the listing
// proves it, like a manifest.
func TestConfigsAreCached(t *testing.T) {
	d, dir := layout.Sum(config), t.TempDir()
	for run, opened := range []int{1, 0, 1} {
		c, err := cache.Open(dir, 1<<20, fixtures.Epoch)
		if err != nil {
			t.Fatal(err)
		}
		s := stored(d, config)
		if run == 2 {
			s.etag = func([]byte) string { return "none" }
		}
		w := walker.Walker{Reader: s, Cache: c}
		if err := w.ListBlobs(context.Background(), &sink{}); err != nil {
			t.Fatal(err)
		}
		err = w.Configs(context.Background(), 1, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: d} }, func(_ int, c walker.Config) error {
			if c.State != walker.ManifestGood || c.Architecture != "arm64" {
				t.Errorf("%+v", c)
			}
			return nil
		})
		if err != nil || len(s.opened) != opened {
			t.Errorf("run %d: %v, opened %q", run, err, s.opened)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDescribeReadsAManifestAgain(t *testing.T) {
	b := fixtures.New(1)
	index := b.Platforms("a", "v1", "linux/arm64")
	chart := b.Helm("a", "chart")
	absent := layout.Sum(nil)
	all := []layout.Digest{index.Digest, chart.Digest, absent, chart.Blobs[1].Digest}
	w := walker.Walker{Reader: b.Memory()}
	got := make([]walker.Details, len(all))
	err := w.Describe(context.Background(), len(all), func(i int) layout.AnyDigest { return layout.AnyDigest{Digest: all[i]} }, func(i int, d walker.Details) error {
		got[i] = d
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := got[0]; d.Form != manifest.FormIndex || len(d.Entries) != 2 || d.Entries[0].Platform != "linux/arm64" || !d.Entries[1].Attestation {
		t.Errorf("%+v", d)
	}
	if got[1].Form != manifest.FormChart || got[2].State != walker.ManifestMissing || got[3].State != walker.ManifestUnparsable {
		t.Errorf("%+v", got[1:])
	}
}

// tagged is a store whose listing has ETags. It records what is opened.
type tagged struct {
	*fixtures.Memory
	etag func(body []byte) string
	size int64  // added to the listed sizes
	then string // the ETag of a second item for each key; "" for none

	mu     sync.Mutex
	opened []string
}

func (s *tagged) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	return s.Memory.List(ctx, prefix, expect, func(b backend.Batch) error {
		for i := range b.Items {
			it := &b.Items[i]
			if f, err := s.Memory.Open(ctx, b.Dir+"/"+it.Name); err == nil {
				body, err := io.ReadAll(f)
				if err != nil {
					return err
				}
				it.ETag, it.Size = s.etag(body), it.Size+s.size
			}
		}
		if err := each(b); err != nil || s.then == "" {
			return err
		}
		for i := range b.Items {
			b.Items[i].ETag = s.then
		}
		return each(b)
	})
}

func (s *tagged) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, key)
	return s.Memory.Open(ctx, key)
}

func plain(body []byte) string { sum := md5.Sum(body); return hex.EncodeToString(sum[:]) }

var small = []byte(`{"schemaVersion":2,"manifests":[]}`)

// stored returns a store with one manifest under d, with these bytes.
func stored(d layout.Digest, body []byte) *tagged {
	m := &fixtures.Memory{}
	m.Put(layout.BlobKey(d), body, fixtures.Epoch)
	return &tagged{Memory: m, etag: plain}
}

// reading lists a store if list is set, and reads its manifest d.
func reading(t *testing.T, s backend.Reader, c *cache.Cache, list bool, d layout.Digest) (got walker.Manifest) {
	t.Helper()
	w := walker.Walker{Reader: s, Cache: c}
	if list {
		if err := w.ListBlobs(context.Background(), &sink{}); err != nil {
			t.Fatal(err)
		}
	}
	err := w.Manifests(context.Background(), 1, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: d} }, func(_ int, m walker.Manifest) error {
		got = m
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// filled returns a cache in which an earlier run kept the manifest small.
func filled(t *testing.T) *cache.Cache {
	t.Helper()
	dir := t.TempDir()
	first, err := cache.Open(dir, 1<<20, fixtures.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	reading(t, stored(layout.Sum(small), small), first, true, layout.Sum(small))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(dir, 1<<20, fixtures.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCacheNeedsProof(t *testing.T) {
	d := layout.Sum(small)
	corrupt := bytes.Replace(small, []byte("2"), []byte("3"), 1)
	other := strings.Repeat("0", 32)
	for name, test := range map[string]struct {
		body   []byte
		etag   func([]byte) string
		more   int64
		state  walker.ManifestState
		opened bool
	}{
		"the same":             {small, plain, 0, walker.ManifestGood, false},
		"the same, upper case": {small, func(b []byte) string { return strings.ToUpper(plain(b)) }, 0, walker.ManifestGood, false},
		"another size":         {small, plain, 1, walker.ManifestGood, true},
		"another ETag":         {small, func([]byte) string { return other }, 0, walker.ManifestGood, true},
		"no ETag":              {small, func([]byte) string { return "" }, 0, walker.ManifestGood, true},
		"several parts":        {small, func(b []byte) string { return plain(b) + "-1" }, 0, walker.ManifestGood, true},
		"parts in its place":   {small, func(b []byte) string { return plain(b)[:30] + "-1" }, 0, walker.ManifestGood, true},
		"corrupt":              {corrupt, plain, 0, walker.ManifestCorrupt, true},
		"corrupt, cut":         {small[1:], plain, 0, walker.ManifestCorrupt, true},
		"corrupt, no ETag":     {corrupt, func([]byte) string { return "" }, 0, walker.ManifestCorrupt, true},
	} {
		s, c := stored(d, test.body), filled(t)
		s.etag, s.size = test.etag, test.more
		m := reading(t, s, c, true, d)
		if m.State != test.state || m.Size != int64(len(test.body)) || (len(s.opened) > 0) != test.opened || (c.Taken() == 0) != test.opened {
			t.Errorf("%s: %+v, opened %q, %d taken", name, m, s.opened, c.Taken())
		}
	}
}

func TestCacheNeedsAListing(t *testing.T) {
	c := filled(t)
	if m := reading(t, &fixtures.Memory{}, c, true, layout.Sum(small)); m.State != walker.ManifestMissing || c.Taken() > 0 {
		t.Errorf("%+v", m)
	}
	s := stored(layout.Sum(small), small)
	s.then = "another"
	if reading(t, s, c, true, layout.Sum(small)); c.Taken() > 0 {
		t.Error("taken by the first of two words of one listing")
	}
	s = stored(layout.Sum(small), small)
	w := walker.Walker{Reader: s, Cache: c}
	for _, etag := range []func([]byte) string{plain, func([]byte) string { return "" }} {
		s.etag = etag
		if err := w.ListBlobs(context.Background(), &sink{}); err != nil {
			t.Fatal(err)
		}
	}
	err := w.Manifests(context.Background(), 1, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: layout.Sum(small)} }, func(int, walker.Manifest) error { return nil })
	if err != nil || c.Taken() > 0 || len(s.opened) != 1 {
		t.Errorf("%v, %d taken by what an earlier listing proved", err, c.Taken())
	}
}

// TestHashIgnoresTheCache: Hash reads the store's own bytes.
func TestHashIgnoresTheCache(t *testing.T) {
	d, c := layout.Sum(small), filled(t)
	s := stored(d, bytes.ToUpper(small))
	s.etag = func([]byte) string { return plain(small) }
	w := walker.Walker{Reader: s, Cache: c}
	if err := w.ListBlobs(context.Background(), &sink{}); err != nil {
		t.Fatal(err)
	}
	err := w.Hash(context.Background(), 1, func(int) layout.AnyDigest { return layout.AnyDigest{Digest: d} }, nil, func(_ int, h walker.Hashed) error {
		if h.State != walker.HashWrong {
			t.Errorf("%+v", h)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
