package check

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// seekLost requests lost images.
func seekLost(o *Options) { o.Also[finding.ManifestLost] = true }

// lostIn returns the lost images of a result, by repository and cure.
func lostIn(r *Result) (found []string, links map[string][]string) {
	links = map[string][]string{}
	for f := range r.Findings {
		if f.Kind != finding.ManifestLost {
			continue
		}
		found = append(found, f.Repository+" "+string(f.Cure))
		for _, l := range f.Found {
			links[f.Repository] = append(links[f.Repository], l.Path)
		}
	}
	slices.Sort(found)
	return found, links
}

// deletedImage returns an image of a that was deleted with its links.
func deletedImage(b *fixtures.Builder) fixtures.Manifest {
	m := b.Image("a", "v1", fixtures.Image{Layers: []int{20, 30}})
	forget(b, m)
	return m
}

// forget removes a manifest's links, those to its blobs, and the tag v1.
func forget(b *fixtures.Builder, m fixtures.Manifest) {
	if slices.Contains(b.Tags(m.Repository), "v1") {
		b.DeleteTag(m.Repository, "v1")
	}
	b.Erase(m.RevisionKey())
	for i := range m.Blobs {
		b.Erase(m.LayerKey(i))
	}
}

// TestALostImageIsRestoredWithEvidence: it gets a tag in each repository with evidence of it,
// and in no other, even with links to its layers. What it needs is kept.
func TestALostImageIsRestoredWithEvidence(t *testing.T) {
	emptyDirectory := func(b *fixtures.Builder, m fixtures.Manifest) { b.Mkdir(path.Dir(m.RevisionKey())) }
	for name, c := range map[string]struct {
		witness func(b *fixtures.Builder, m fixtures.Manifest)
		want    []string
		layers  int // links to blobs that are written
	}{
		"none":                      {func(*fixtures.Builder, fixtures.Manifest) {}, []string{" none"}, 0},
		"the directory of its link": {emptyDirectory, []string{"a write-ask"}, 3},
		"a tag's history": {func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Image("a", "other", fixtures.Image{Layers: []int{10}})
			b.Put(layout.HistoryKey("a", "other", m.Digest), []byte(m.Digest.String()))
		}, []string{"a write-ask"}, 3},
		"links to all blobs": {func(b *fixtures.Builder, m fixtures.Manifest) {
			for i := range m.Blobs {
				b.Mount("b", m.Blobs[i].Digest)
			}
		}, []string{"b write-ask"}, 0},
		"links to the layers alone": {func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Image("b", "v1", fixtures.Image{Shared: m.Blobs[1:]})
		}, []string{" none"}, 0},
		"two": {func(b *fixtures.Builder, m fixtures.Manifest) {
			emptyDirectory(b, m)
			m.Repository = "b"
			emptyDirectory(b, m)
		}, []string{"a write-ask", "b write-ask"}, 6},
		"the tag is another's": {func(b *fixtures.Builder, m fixtures.Manifest) {
			emptyDirectory(b, m)
			b.Image("a", tagOfLost(m.Digest.String()), fixtures.Image{Layers: []int{10}})
		}, []string{"a none"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			m := deletedImage(b)
			c.witness(b, m)
			r := examine(t, b.Memory(), seekLost)
			got, links := lostIn(r)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			layers, tags := 0, 0
			for _, keys := range links {
				if !strings.HasSuffix(keys[len(keys)-1], "/current/link") || !strings.Contains(keys[len(keys)-2], "/index/") {
					t.Errorf("the tag isn't last of %q", keys)
				}
				tags++
				for _, key := range keys {
					if strings.Contains(key, "/_layers/") {
						layers++
					}
				}
			}
			if layers != c.layers {
				t.Errorf("%d layer links, want %d: %q", layers, c.layers, links)
			}
			orphans := map[string]bool{}
			for f := range r.Findings {
				if f.Kind == finding.BlobOrphan {
					orphans[f.Digest] = true
				}
			}
			if orphans[m.Digest.String()] != (tags == 0) || orphans[m.Blobs[0].Digest.String()] != (tags == 0) {
				t.Errorf("%d tags, and these go: %v", tags, orphans)
			}
			if back := tags > 0; (r.Totals.LostImages == 0) != back {
				t.Errorf("%d lost images are removed", r.Totals.LostImages)
			}
		})
	}
}

// TestNoLostImages: an image that is incomplete, in grace or linked isn't lost, nor is
// another manifest.
func TestNoLostImages(t *testing.T) {
	for name, change := range map[string]func(b *fixtures.Builder, m fixtures.Manifest){
		"a layer is missing": func(b *fixtures.Builder, m fixtures.Manifest) { b.Erase(m.Blobs[1].Key()) },
		"a layer is corrupt": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Edit(m.Blobs[1].Key(), func([]byte) []byte { return nil })
		},
		"it is corrupt": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Edit(m.Key(), func(body []byte) []byte { return body[1:] })
		},
		"it is in grace": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Touch(m.Key(), fixtures.Epoch.AddDate(1, 0, 0).Add(-time.Minute))
		},
		"another repository has it": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Put(layout.RevisionKey("b", m.Digest), []byte(m.Digest.String()))
		},
	} {
		b := fixtures.New(1)
		m := deletedImage(b)
		b.Mkdir(path.Dir(m.RevisionKey()))
		change(b, m)
		r := examine(t, b.Memory(), func(o *Options) { seekLost(o); o.Untagged = true })
		if got, _ := lostIn(r); len(got) > 0 || r.Totals.LostImages > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestALostIndexIsRestoredWithItsChildren: it gets links for all children, and only if there
// is evidence of each.
func TestALostIndexIsRestoredWithItsChildren(t *testing.T) {
	for _, witnessed := range []int{2, 1} {
		b := fixtures.New(1)
		one, two := b.Image("a", "", fixtures.Image{Layers: []int{20}}), b.Image("a", "", fixtures.Image{Layers: []int{30}})
		index := b.Index("a", "v1", one, two)
		for _, m := range []fixtures.Manifest{one, two} {
			forget(b, m)
		}
		b.Erase(index.RevisionKey())
		for _, m := range []fixtures.Manifest{index, one, two}[:1+witnessed] {
			b.Mkdir(path.Dir(m.RevisionKey()))
		}
		got, links := lostIn(examine(t, b.Memory(), seekLost))
		want, revisions := []string{" none"}, 0
		if witnessed == 2 {
			want, revisions = []string{"a write-ask"}, 3
		}
		for _, key := range links["a"] {
			if strings.Contains(key, "/revisions/") {
				revisions--
			}
		}
		if !slices.Equal(got, want) || revisions != 0 {
			t.Errorf("%d children have a witness: %q, %q", witnessed, got, links)
		}
	}
}

// TestLostImagesAreCounted: without a request, lost images are only counted, reading a
// limited number of orphans.
func TestLostImagesAreCounted(t *testing.T) {
	b := fixtures.New(1)
	for range 3 {
		b.Mkdir(path.Dir(deletedImage(b).RevisionKey()))
	}
	for most, want := range map[int]int{0: 0, 100: 3} {
		r := examine(t, b.Memory(), func(o *Options) { o.Lost = most })
		if got, _ := lostIn(r); len(got) > 0 || r.Totals.LostImages != want || r.Totals.MoreLost {
			t.Errorf("%d orphans may be read: %q, %+v", most, got, r.Totals)
		}
	}
	r := examine(t, b.Memory(), func(o *Options) { o.Lost = 4 }) // the newest is a manifest, and so is another of the four
	if n := r.Totals.LostImages; n == 0 || n == 3 || !r.Totals.MoreLost {
		t.Errorf("%+v", r.Totals)
	}
}

// TestLostImageOf: it has the repositories in which a lost image can be restored.
func TestLostImageOf(t *testing.T) {
	b := fixtures.New(1)
	m := deletedImage(b)
	b.Mkdir(path.Dir(m.RevisionKey()))
	other := b.Image("b", "v1", fixtures.Image{Layers: []int{40}})
	forget(b, other)
	r := examine(t, b.Memory(), func(o *Options) { o.Usage = true })
	told, err := LostImageOf(t.Context(), r.Scan, r.Policy, m.Digest.String())
	if err != nil || told == nil || !slices.Equal(told.Repositories, []string{"a"}) || told.Tag != tagOfLost(m.Digest.String()) {
		t.Errorf("%v, %+v", err, told)
	}
	if told, err = LostImageOf(t.Context(), r.Scan, r.Policy, other.Digest.String()); err != nil || told == nil || len(told.Repositories) > 0 || !told.Since.IsZero() {
		t.Errorf("%v, %+v", err, told)
	}
	if told, err = LostImageOf(t.Context(), r.Scan, r.Policy, m.Blobs[1].Digest.String()); err != nil || told != nil {
		t.Errorf("a layer: %v, %+v", err, told)
	}
}
