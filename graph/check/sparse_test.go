package check

import (
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
)

// sparse returns an index in a whose child only z has, and the child as one of a.
func sparse() (*fixtures.Builder, fixtures.Manifest) {
	b := fixtures.New(1)
	child := b.Image("z", "v1", fixtures.Image{})
	b.Index("a", "v1", child)
	b.Index("a", "v2", child, child)
	child.Repository = "a"
	return b, child
}

func TestReferrersOfASparseChild(t *testing.T) {
	b, child := sparse()
	b.Referrer(child, "application/x")
	expect(t, examine(t, b.Memory(), untagged), "index-child-missing "+child.RevisionKey()+" write-ask")
}

// TestAnIncompleteSparseChildIsNotLinked: a child that no pull could be served isn't offered.
func TestAnIncompleteSparseChildIsNotLinked(t *testing.T) {
	for name, spoil := range map[string]func(b *fixtures.Builder, child fixtures.Manifest){
		"a layer is missing": func(b *fixtures.Builder, child fixtures.Manifest) { b.Erase(child.Blobs[1].Key()) },
		"its config is cut":  func(b *fixtures.Builder, child fixtures.Manifest) { b.Edit(child.Blobs[0].Key(), empty) },
	} {
		t.Run(name, func(t *testing.T) {
			b, child := sparse()
			spoil(b, child)
			r := examine(t, b.Memory(), func(o *Options) { o.Policy.Also[finding.IndexChildMissing] = true })
			found := 0
			for f := range r.Findings {
				if f.Kind == finding.IndexChildMissing {
					found++
				}
				if f.Repository == "a" && f.Cure != finding.CureNone {
					t.Errorf("%+v", f)
				}
			}
			if found != 1 {
				t.Errorf("%v", lines(r))
			}
		})
	}
}

// TestRevisionsOfASparseIndex: a sparse child may be an index with a child in the repository.
func TestRevisionsOfASparseIndex(t *testing.T) {
	b := fixtures.New(1)
	served := b.Image("a", "", fixtures.Image{})
	b.Referrer(served, "application/x")
	index := b.Index("z", "v1", b.Image("z", "", fixtures.Image{}), served)
	b.Index("a", "v1", index)
	r := examine(t, b.Memory(), untagged)
	nothingGoes(t, r)
	if r.Counts[finding.IndexChildMissing].Count != 2 { // the index in a, its second image in z
		t.Errorf("%v", lines(r))
	}
}

// TestACacheCountsEachAbsentChildOnce: a child that a cache lacks is counted once, with any
// number of parents.
func TestACacheCountsEachAbsentChildOnce(t *testing.T) {
	b, _ := sparse()
	r := examine(t, b.Memory(), func(o *Options) { o.Cache = true })
	expect(t, r)
	if r.Totals.CacheAbsent != 1 {
		t.Errorf("%d absent", r.Totals.CacheAbsent)
	}
}
