package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// garbage returns the garbage that a check would remove, by id and path.
func garbage(r *Result) []string {
	var all []string
	for f := range r.Findings {
		if f.Kind.Severity() == finding.Garbage && !f.InGrace {
			all = append(all, f.Kind.String()+" "+f.Path)
		}
	}
	return all
}

func untagged(o *Options) { o.Untagged = true }

func TestABrokenManifestPinsItsRepository(t *testing.T) {
	for name, breakIt := range map[string]func(*fixtures.Builder, fixtures.Manifest){
		"missing": func(b *fixtures.Builder, m fixtures.Manifest) { b.Erase(m.Key()) },
		"corrupt": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Edit(m.Key(), func(x []byte) []byte { return x[:9] })
		},
		"empty":      func(b *fixtures.Builder, m fixtures.Manifest) { b.Edit(m.Key(), func([]byte) []byte { return nil }) },
		"unparsable": func(b *fixtures.Builder, m fixtures.Manifest) { b.PushManifest("p", "alien", "x/y", []byte(`{"x":1}`)) },
	} {
		for _, tagged := range []bool{true, false} {
			for _, change := range []func(*Options){nil, untagged} {
				b := fixtures.New(1)
				tag := ""
				if tagged {
					tag = "broken"
				}
				b.Image("p", "kept", fixtures.Image{})
				spare := b.Image("p", "", fixtures.Image{})
				lone := b.Push("p", "x", []byte("mounted by an image that we can't read"))
				breakIt(b, b.Image("p", tag, fixtures.Image{}))
				b.Image("other", "kept", fixtures.Image{})
				orphan := b.Push("other", "x", []byte("nobody needs it"))
				r := examine(t, b.Memory(), change)
				got := garbage(r)
				want := []string{"blob-orphan " + orphan.Key(), "layer-link-unreferenced " + layout.LayerKey("other", orphan.Digest)}
				if !slices.Equal(got, want) {
					t.Errorf("%s, tagged %v: garbage is\n%s\nwant\n%s\n(must keep %s and %s)", name, tagged,
						strings.Join(got, "\n"), strings.Join(want, "\n"), spare.Digest, lone.Digest)
				}
			}
		}
	}
}

func TestReferrersAreKeptWithTheirSubject(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("r", "v1", fixtures.Image{})
	signature := b.Referrer(image, "application/x.signature")
	b.Referrer(signature, "application/x.signature-of-a-signature")
	b.Artifact("r", "", &image)
	if got := garbage(examine(t, b.Memory(), untagged)); len(got) > 0 {
		t.Errorf("garbage while the subject is tagged:\n%s", strings.Join(got, "\n"))
	}
	b.DeleteTag("r", "v1")
	r := examine(t, b.Memory(), untagged)
	if n := r.Counts[finding.ManifestUntagged].Count; n != 4 {
		t.Errorf("%d manifests are untagged without the tag, want 4", n)
	}
	if r = examine(t, b.Memory(), nil); r.Totals.Untagged != 4 || len(garbage(r)) > 0 {
		t.Errorf("without --untagged: %d untagged, garbage %v", r.Totals.Untagged, garbage(r))
	}
}

func TestAnAliasPinsItsTarget(t *testing.T) {
	b := fixtures.New(1)
	config := b.Push("a", fixtures.OCIConfig, []byte("{}"))
	blob := b.Push("a", fixtures.OCILayer, []byte("known by its sha512"))
	key := b.Alias("a", blob)
	parsed, _ := layout.Parse(key)
	b.PushManifest("a", "v1", fixtures.OCIManifest, []byte(`{"schemaVersion":2,"config":{"digest":"`+config.Digest.String()+
		`","size":2},"layers":[{"digest":"sha512:`+parsed.Hex+`","size":19}]}`))
	r := examine(t, b.Memory(), untagged)
	if found := lines(r); !slices.Equal(found, []string{}) && len(found) > 0 {
		t.Errorf("found:\n%s", strings.Join(found, "\n"))
	}
	b.Unlink(blob.Key())
	if r = examine(t, b.Memory(), nil); r.Counts[finding.BlobMissing].Count != 1 || r.Totals.TagsBroken != 1 {
		t.Errorf("its target gone: %d blobs missing, %d tags broken", r.Counts[finding.BlobMissing].Count, r.Totals.TagsBroken)
	}
	b.Put(blob.Key(), []byte("known by its sha512"))
	b.Edit(key, func([]byte) []byte { return nil })
	if r = examine(t, b.Memory(), untagged); len(garbage(r)) > 0 || r.Counts[finding.LinkInvalid].Count != 1 {
		t.Errorf("the alias broken: garbage %v, %d invalid", garbage(r), r.Counts[finding.LinkInvalid].Count)
	}
}

func TestADatabaseMarkMakesNothingGarbage(t *testing.T) {
	b := fixtures.New(1)
	b.Put(layout.BlobKey(layout.Sum([]byte("x"))), []byte("x"))
	b.Lock("database-in-use")
	if r := examine(t, b.Memory(), nil); len(garbage(r)) > 0 || len(r.Notes) == 0 {
		t.Errorf("garbage %v, notes %v", garbage(r), r.Notes)
	}
}

func TestAPullThroughCacheMayLackLayers(t *testing.T) {
	b := fixtures.New(1)
	b.PullThrough("library/x", "v1")
	r := examine(t, b.Memory(), nil)
	if found := lines(r); len(found) > 0 || r.Totals.CacheAbsent == 0 || r.Totals.TagsBroken != 0 {
		t.Errorf("found %v, %d absent, %d broken", found, r.Totals.CacheAbsent, r.Totals.TagsBroken)
	}
}

// TestCyclesAndLongChainsEnd: digests can't have cycles, but a broken store may claim one.
func TestCyclesAndLongChainsEnd(t *testing.T) {
	g := graph.Builder{Graph: graph.NewGraph(fixtures.Epoch, time.Hour)}
	const n = 5000
	ids := make([]layout.Digest, n)
	for i := range ids {
		ids[i] = layout.Sum([]byte{byte(i), byte(i >> 8)})
		g.Blobs([]walker.Blob{{AnyDigest: layout.AnyDigest{Digest: ids[i]}, Size: 1}})
	}
	if err := g.SealBlobs(); err != nil {
		t.Fatal(err)
	}
	g.Links("c", []walker.Link{
		{Kind: layout.Revision, Path: ids[0], Target: layout.AnyDigest{Digest: ids[0]}},
		{Kind: layout.TagCurrent, Tag: "round", Target: layout.AnyDigest{Digest: ids[0]}},
	})
	g.SealLinks()
	for i := range ids {
		next := manifest.Ref{Role: manifest.Child, Read: true, Digest: ids[(i+1)%n], Size: 1}
		back := manifest.Ref{Role: manifest.Subject, Digest: ids[i/2], Size: 1}
		g.AddManifest(g.IDOf(ids[i]), walker.Manifest{
			State: walker.ManifestGood, Manifest: manifest.Manifest{Kind: manifest.Index, Refs: []manifest.Ref{next, back}},
		})
	}
	j := judge(g.Graph, terms{Terms: gc.Terms{Policy: gc.Policy{Untagged: true}}})
	if got := j.totals.Tags; got != 1 {
		t.Errorf("%d tags", got)
	}
	for id := range uint32(n) {
		if !j.Referenced.Has(id) {
			t.Fatalf("link %d of the chain isn't kept", id)
		}
	}
}

func TestAMillionTags(t *testing.T) {
	g := graph.Builder{Graph: graph.NewGraph(fixtures.Epoch, time.Hour)}
	image := layout.Sum([]byte("gone"))
	if err := g.SealBlobs(); err != nil {
		t.Fatal(err)
	}
	var name [8]byte
	for i := range 1_000_000 {
		for k := range name {
			name[k] = 'a' + byte(i>>(3*k)&7)
		}
		g.Links("many", []walker.Link{{Kind: layout.TagCurrent, Tag: string(name[:]), Target: layout.AnyDigest{Digest: image}}})
	}
	g.SealLinks()
	g.AddManifest(g.IDOf(image), walker.Manifest{State: walker.ManifestMissing})
	r := describer{judge(g.Graph, terms{})}.result(nil)
	if r.Totals.Tags != 1_000_000 || r.Totals.TagsBroken != 1_000_000 {
		t.Errorf("%d tags, %d broken", r.Totals.Tags, r.Totals.TagsBroken)
	}
}
