package check

import (
	"context"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// moving is a store that changes when a listing begins or ends.
type moving struct {
	backend.Reader
	before, after map[string]func() // by the listing's prefix
}

func (m moving) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	if f := m.before[prefix]; f != nil {
		f()
		delete(m.before, prefix)
	}
	err := m.Reader.List(ctx, prefix, expect, each)
	if f := m.after[prefix]; f != nil {
		f()
		delete(m.after, prefix)
	}
	return err
}

// renew writes the builder's files into the store. Directories of missing tags are removed,
// as registries do.
func renew(m *fixtures.Memory, b *fixtures.Builder) {
	for _, key := range m.Keys() {
		directory := layout.ParseDirectory(key)
		switch tag := layout.TagKey(directory.Repository, directory.Tag); {
		case directory.Tag != "" && !b.Has(tag):
			m.Delete(tag)
		case !b.Has(key):
			m.Delete(key)
		}
	}
	b.Into(m.Put, m.Mkdir)
}

func TestConcurrentPushesAreNoDamage(t *testing.T) {
	for name, push := range map[string]func(b *fixtures.Builder){
		"a new image":      func(b *fixtures.Builder) { b.Image("fresh/one", "1", fixtures.Image{}) },
		"another tag":      func(b *fixtures.Builder) { b.Image("app", "9", fixtures.Image{}) },
		"the tag again":    func(b *fixtures.Builder) { b.Image("app", "1.0", fixtures.Image{}) },
		"an index":         func(b *fixtures.Builder) { b.Platforms("fresh", "1", "linux/amd64", "linux/arm64") },
		"a referrer":       func(b *fixtures.Builder) { b.Referrer(b.Tagged("base", "stable"), "application/x") },
		"a cache":          func(b *fixtures.Builder) { b.BuildKitCache("fresh", "cache", 3) },
		"a deleted tag":    func(b *fixtures.Builder) { b.DeleteTag("twin", "a") },
		"a deleted image":  func(b *fixtures.Builder) { b.DeleteManifest(b.Tagged("windows", "ltsc")) },
		"a lone blob link": func(b *fixtures.Builder) { b.DeleteBlob("aliased", b.Push("aliased", "x", []byte("y")).Digest) },
	} {
		for _, at := range []string{"before links", "after links"} {
			t.Run(name+"/"+at, func(t *testing.T) {
				b := fixtures.Standard()
				m := b.Memory()
				b.SetClock(fixtures.Epoch.AddDate(1, 0, 0))
				act := func() {
					push(b)
					renew(m, b)
				}
				r := moving{Reader: m}
				if at == "before links" {
					r.before = map[string]func(){layout.Repositories: act}
				} else {
					r.after = map[string]func(){layout.Repositories: act}
				}
				result := examine(t, r, nil)
				for f := range result.Findings {
					deleted := strings.HasPrefix(name, "a deleted") || name == "a lone blob link"
					if f.Kind == finding.StoreChanged || f.InGrace || deleted && f.Kind.Severity() == finding.Garbage {
						continue
					}
					t.Errorf("%v %s: %s", f.Kind, f.Path, f.Detail)
				}
				if broken := brokenRefs(result); len(broken) > 0 {
					t.Errorf("called broken: %v", broken)
				}
				if !result.Complete {
					t.Error("called incomplete")
				}
			})
		}
	}
}

// TestALinkThatIsBeingWritten: registries up to 3.0 truncate a link before they write it.
func TestALinkThatIsBeingWritten(t *testing.T) {
	b := fixtures.Standard()
	whole := b.Clone(2)
	key := layout.CurrentKey("app", "1.0")
	b.Edit(key, func([]byte) []byte { return nil })
	revision := b.Tagged("twin", "a").RevisionKey()
	b.Edit(revision, func(body []byte) []byte { return body[:10] })
	m := b.Memory()
	r := examine(t, moving{Reader: m, after: map[string]func(){layout.Repositories: func() { renew(m, whole) }}}, nil)
	for f := range r.Findings {
		if f.Kind != finding.StoreChanged {
			t.Errorf("%v %s", f.Kind, f.Path)
		}
	}
	if r.Counts[finding.StoreChanged].Count != 2 || r.Totals.TagsBroken != 0 {
		t.Errorf("%d changes, %d broken tags", r.Counts[finding.StoreChanged].Count, r.Totals.TagsBroken)
	}
}

// TestABlobThatIsListedAndGone: a blob that is removed during the scan is a concurrent
// change, not missing.
func TestABlobThatIsListedAndGone(t *testing.T) {
	b := fixtures.Standard()
	m := b.Memory()
	gone := b.Tagged("twin", "a")
	r := examine(t, moving{Reader: m, after: map[string]func(){layout.Blobs: func() { m.Delete(gone.Key()) }}}, nil)
	if n := r.Counts[finding.ManifestMissing].Count + r.Counts[finding.TagDangling].Count; n != 0 {
		t.Errorf("%d things called missing", n)
	}
	if r.Counts[finding.StoreChanged].Count == 0 || r.Totals.TagsUnknown != 2 {
		t.Errorf("%d changes, %d tags unknown", r.Counts[finding.StoreChanged].Count, r.Totals.TagsUnknown)
	}
}
