package apply

import (
	"context"
	"testing"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/graph/replica"
	"regfsck/walker/layout"
)

// abandoned returns a store, and the same after the directory of a repository and some blobs
// were deleted.
func abandoned() (whole, left *fixtures.Builder) {
	whole = fixtures.New(21)
	image := whole.Image("a", "v1", fixtures.Image{Layers: []int{40}})
	whole.Image("b", "v1", fixtures.Image{Layers: []int{20}})
	left = whole.Clone(21)
	left.RemoveAll(layout.RepositoryKey("a"))
	left.Erase(image.Key())
	left.Erase(image.Blobs[1].Key())
	return whole, left
}

// bringBack plans and applies as fix --also tag-from-source --repo a.
func bringBack(t *testing.T, s backend.Store, state string, backup backend.Reader) (*Outcome, error) {
	t.Helper()
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, err
	}
	policy := gc.Policy{}
	policy.Also[finding.TagFromSource] = true
	copied, err := replica.Take(context.Background(), []backend.Reader{backup}, []string{"backup"}, 1, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	o := options(policy)
	o.From, o.Copied = []source.Source{sourceOf("backup", backup)}, copied
	result, _, err := check.Store(context.Background(), s, o)
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, policy), policy)
	in.Scan.From, in.Scan.Copied, in.Limits.MaxDelete = o.From, copied, 1
	return Run(context.Background(), in)
}

// TestTroubleInARestoredRepository: with any fault, a tag isn't there before all that it
// needs is, the next fix has the usual result, and an undo removes all of it.
func TestTroubleInARestoredRepository(t *testing.T) {
	whole, _ := abandoned()
	backup := whole.Memory()
	all := pulls(dump(backup))
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		_, left := abandoned()
		m, state := left.Memory(), t.TempDir()
		was := dump(m)
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) { bringBack(t, f, state, backup) })
		is := dump(m)
		if body, tagged := bodies(is)[layout.CurrentKey("a", "v1")]; tagged && len(body) > 70 && !pulls(is)["a:v1"] {
			t.Fatal("a:v1 is there and can't be pulled")
		}
		if out, err := bringBack(t, m.Store(), state, backup); err != nil || len(out.NotDone) > 0 {
			t.Fatalf("the next fix: %v, %+v", err, out)
		}
		if is := pulls(dump(m)); len(is) != len(all) || !is["a:v1"] {
			t.Fatalf("the next fix: %v", is)
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the undo:\n%s", d)
		}
		return tr.fired
	})
}
