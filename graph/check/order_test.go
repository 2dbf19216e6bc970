package check

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// shuffled returns each listing in another order.
type shuffled struct {
	backend.Reader
	rand *rand.Rand
}

func (s shuffled) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	var all []backend.Batch
	err := s.Reader.List(ctx, prefix, expect, func(b backend.Batch) error {
		dir := strings.Clone(b.Dir)
		for _, it := range b.Items {
			it.Name, it.Body = strings.Clone(it.Name), slices.Clone(it.Body)
			all = append(all, backend.Batch{Dir: dir, Items: []backend.Item{it}})
		}
		return nil
	})
	s.rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	for _, b := range all {
		if err := each(b); err != nil {
			return err
		}
	}
	return err
}

// orders returns standard stores with every damage: many in one store, and alone those that
// affect others.
func orders() (all []*fixtures.Builder) {
	const together = 3
	for range together {
		all = append(all, fixtures.Standard())
	}
	for i, d := range fixtures.Damages() {
		switch d.ID {
		case "tag-without-current", "link-invalid", "tag-target-foreign":
			all = append(all, fixtures.Standard())
			d.Apply(all[len(all)-1])
		default:
			if d.Disk == nil && !d.Thorough {
				d.Apply(all[i%together])
			}
		}
	}
	return all
}

func TestTheOrderOfAListingChangesNothing(t *testing.T) {
	tell := func(r *Result) (all []finding.Finding, tags []finding.BrokenTag) {
		return slices.Collect(r.Findings), slices.Collect(r.Broken)
	}
	for n, b := range orders() {
		first := examine(t, b.Memory(), func(o *Options) { o.Workers = 1 })
		findings, tags := tell(first)
		if len(findings) == 0 {
			t.Fatalf("store %d: there is nothing to compare", n)
		}
		for seed := range uint64(10) {
			r := examine(t, shuffled{b.Memory(), rand.New(rand.NewPCG(seed, 1))}, nil)
			got, gotTags := tell(r)
			for i := range findings {
				if i >= len(got) || line(got[i].Kind.String(), got[i].Path, got[i].Detail, string(got[i].Cure), got[i].Digest, got[i].Affects) !=
					line(findings[i].Kind.String(), findings[i].Path, findings[i].Detail, string(findings[i].Cure), findings[i].Digest, findings[i].Affects) {
					t.Fatalf("store %d, seed %d, finding %d: got %v, want %v", n, seed, i, got[min(i, len(got)-1)], findings[i])
				}
			}
			if !slices.EqualFunc(tags, gotTags, func(a, b finding.BrokenTag) bool {
				return a.Ref() == b.Ref() && slices.Equal(a.Because, b.Because)
			}) || r.Totals != first.Totals {
				t.Fatalf("store %d, seed %d: broken tags or totals differ", n, seed)
			}
		}
	}
}

func TestTheBytesOfAnUnknownDirectoryAreAddedUp(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Put(layout.RepositoryKey("a")+"/_x/1", make([]byte, 10))
	b.Put(layout.RepositoryKey("a")+"/_x/2", make([]byte, 20))
	for seed := range uint64(20) {
		r := examine(t, shuffled{b.Memory(), rand.New(rand.NewPCG(seed, 1))}, nil)
		if c := r.Counts[finding.ForeignFile]; c.Count != 1 || c.Bytes != 30 {
			t.Fatalf("seed %d: %d findings, %d bytes", seed, c.Count, c.Bytes)
		}
	}
}

// TestTheSameManifestIsAlwaysCited: of several manifests that need a missing blob the same
// one is cited in any order.
func TestTheSameManifestIsAlwaysCited(t *testing.T) {
	b := fixtures.New(1)
	subject := b.Image("a", "v1", fixtures.Image{})
	for range 8 {
		b.Referrer(subject, "application/x")
	}
	b.Erase(layout.BlobKey(layout.Sum([]byte("{}"))))
	seen := map[string]bool{}
	for range 200 {
		for f := range examine(t, b.Memory(), nil).Findings {
			if f.Kind == finding.BlobMissing {
				seen[f.Detail] = true
			}
		}
	}
	if len(seen) != 1 {
		t.Errorf("%d different details: %v", len(seen), seen)
	}
}

func TestAffectedTagsAreSorted(t *testing.T) {
	b := fixtures.New(1)
	shared := b.Push("a", fixtures.OCILayer, []byte("shared"))
	for _, ref := range [][2]string{{"a-b", "y"}, {"a", "z"}, {"a/b", "x"}, {"a", "b"}} {
		b.Image(ref[0], ref[1], fixtures.Image{Shared: []fixtures.Descriptor{shared}})
	}
	b.Erase(shared.Key())
	want := []string{"a:b", "a:z", "a-b:y", "a/b:x"}
	r := examine(t, b.Memory(), nil)
	expect(t, r, "blob-missing "+shared.Key()+" withdraw-ask")
	for f := range r.Findings {
		if !slices.Equal(f.Affects, want) {
			t.Errorf("%v affects %v, want %v", f.Kind, f.Affects, want)
		}
	}
}
