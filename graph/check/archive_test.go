package check

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/cache"
	"regfsck/walker/layout"
)

// archiving is a store with archived keys, some of which were restored.
type archiving struct {
	backend.Reader
	archived, restored map[string]bool
	looks              int
}

func (a *archiving) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	return a.Reader.List(ctx, prefix, expect, func(b backend.Batch) error {
		for i := range b.Items {
			key := b.Dir + "/" + b.Items[i].Name
			b.Items[i].Archived = a.archived[key]
			if a.archived[key] && path.Base(key) == "link" {
				b.Items[i].Archived = !a.restored[key]
			}
			if b.Items[i].Archived {
				b.Items[i].Body = nil
			}
			if path.Base(key) != "data" {
				continue
			}
			f, err := a.Reader.Open(ctx, key)
			if err != nil {
				return err
			}
			body, _ := io.ReadAll(f)
			f.Close()
			b.Items[i].ETag = fmt.Sprintf("%x", md5.Sum(body))
		}
		return each(b)
	})
}

func (a *archiving) Stat(ctx context.Context, key string) (backend.Item, error) {
	item, err := a.Reader.Stat(ctx, key)
	if a.archived[key] {
		a.looks++
		item.Archived = !a.restored[key]
	}
	return item, err
}

func (a *archiving) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if a.archived[key] && !a.restored[key] {
		return nil, &fs.PathError{Op: "open", Path: key, Err: backend.ErrArchived}
	}
	return a.Reader.Open(ctx, key)
}

func keySet(keys ...string) map[string]bool {
	set := map[string]bool{}
	for _, key := range keys {
		set[key] = true
	}
	return set
}

// TestALayerInAnArchive: an archived layer blocks each image that needs it, and is neither
// missing nor unreadable; a restored one blocks none.
func TestALayerInAnArchive(t *testing.T) {
	b := fixtures.Standard()
	layer := b.Tagged("base", "stable").Blobs[1]
	s := &archiving{Reader: b.Memory(), archived: keySet(layer.Key())}
	r := examine(t, s, func(o *Options) { o.Verify.All = true })
	expect(t, r, "blob-archived "+layer.Key()+" none")
	want := []string{"app:1.0", "app:1.1", "app:latest", "base:stable", "lists:all", "lists:arm"}
	if got := brokenRefs(r); !slices.Equal(got, want) || !r.Complete || r.Totals.TagsUnknown > 0 || s.looks == 0 {
		t.Errorf("broken are %q, want %q; complete %t, %d unknown, %d looks", got, want, r.Complete, r.Totals.TagsUnknown, s.looks)
	}
	s.restored = s.archived
	expect(t, examine(t, s, nil))
}

// TestAManifestInAnArchive: its image can't be pulled, and what it may need is kept.
func TestAManifestInAnArchive(t *testing.T) {
	b := fixtures.Standard()
	m := b.Tagged("windows", "ltsc")
	unneeded := b.Push("windows", "x", []byte("a layer that some manifest of the repository may need"))
	s := &archiving{Reader: b.Memory(), archived: keySet(m.Key())}
	r := examine(t, s, func(o *Options) { o.Untagged = true })
	expect(t, r, "blob-archived "+m.Key()+" none")
	nothingGoes(t, r)
	if got := brokenRefs(r); !slices.Equal(got, []string{"windows:ltsc"}) || !r.Complete {
		t.Errorf("broken are %q, complete %t", got, r.Complete)
	}
	for f := range r.Findings {
		if f.Digest == unneeded.Digest.String() {
			t.Errorf("%v %s", f.Kind, f.Path)
		}
	}
}

// TestAManifestInAnArchiveAndInTheCache: with the cache its references are known, but no
// registry serves it.
func TestAManifestInAnArchiveAndInTheCache(t *testing.T) {
	b := fixtures.Standard()
	m := b.Tagged("windows", "ltsc")
	dir := t.TempDir()
	known := func(s *archiving) *Result {
		c, err := cache.Open(dir, 1<<20, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return examine(t, s, func(o *Options) { o.Known = c })
	}
	expect(t, known(&archiving{Reader: b.Memory()}))
	garbage := b.Push("windows", "x", []byte("a layer that no manifest needs"))
	r := known(&archiving{Reader: b.Memory(), archived: keySet(m.Key())})
	expect(t, r, "blob-archived "+m.Key()+" none", "blob-orphan "+garbage.Key()+" remove", "layer-link-unreferenced "+layout.LayerKey("windows", garbage.Digest)+" remove")
	if got := brokenRefs(r); !slices.Equal(got, []string{"windows:ltsc"}) {
		t.Errorf("broken are %q", got)
	}
}

// TestAnArchivedManifestKeepsWhatItMayNeed: its references are unknown until it is restored:
// meanwhile no blob is an orphan, even one without a layer link.
func TestAnArchivedManifestKeepsWhatItMayNeed(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("app", "v", fixtures.Image{})
	b.Erase(m.LayerKey(1))
	store := &archiving{Reader: b.Memory(), archived: keySet(m.Key())}
	if r := examine(t, store, nil); r.Counts[finding.BlobOrphan].Count > 0 || r.Counts[finding.BlobArchived].Count == 0 {
		t.Errorf("%+v", lines(r))
	}
}
