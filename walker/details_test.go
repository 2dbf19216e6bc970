package walker_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

var config = []byte(`{"created":"2024-06-01T10:00:00Z","os":"linux","architecture":"arm64"}`)

func TestConfigsSayWhatBecameOfEach(t *testing.T) {
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

// A config that was read once comes from the cache, as a manifest does, and one
// that the listing doesn't prove doesn't.
func TestConfigsAreKept(t *testing.T) {
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
