package apply

import (
	"context"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// removable is a small store in which a removal takes one of everything, and has
// to leave something beside each.
func removable() (*fixtures.Builder, graph.Policy) {
	b := fixtures.New(7)
	base := b.Image("a", "base", fixtures.Image{Layers: []int{20}})
	old := b.Image("a", "zold", fixtures.Image{Shared: base.Blobs[1:], Layers: []int{30}})
	b.Tag("a", "base", old.Digest) // and back
	b.Tag("a", "base", base.Digest)
	b.Cosign(old, "sig")
	b.Cosign(base, "sig")
	b.Referrer(old, "application/x")
	arm := b.Image("a", "", fixtures.Image{Layers: []int{10}})
	b.Index("a", "many", arm, base)
	b.Image("w", "v1", fixtures.Image{Shared: base.Blobs[1:], Layers: []int{15}})
	b.Image("w/n", "v1", fixtures.Image{Layers: []int{}})
	b.Upload("w", 10)
	b.Push("w/n", fixtures.OCILayer, []byte("garbage before"))
	return b, asking("a:zold", "a:many", "w")
}

// lesser are the files of a store without those tags.
func lesser(was map[string]string, p *plan.Plan) map[string]string {
	rest := map[string]string{}
	for key, content := range was {
		if !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind.IsTag() && s.Key == key }) {
			rest[key] = content
		}
	}
	return rest
}

// Whatever goes wrong in a removal: no tag that stays loses anything, nothing goes
// that an undisturbed removal keeps, a run that crashed is resumed and ends
// where the undisturbed one does, and an undo gives all of it back.
func TestTroubleInARemoval(t *testing.T) {
	b, policy := removable()
	clean := b.Memory()
	was := dump(clean)
	saved, _ := planned(t, clean, policy)
	if out := carryOut(t, clean, t.TempDir(), saved, policy); len(out.NotDone) > 0 {
		t.Fatalf("left: %+v", out.NotDone)
	}
	want := dump(clean)
	gone := deleted(was, want)
	if len(gone) < 25 {
		t.Fatalf("only %d keys go", len(gone))
	}
	needed := needs(lesser(was, saved))
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		b, _ := removable()
		m, state := b.Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
			in := input(f, state, saved, policy)
			in.Limits.AnyAmount = true
			Run(context.Background(), in)
		})
		is := dump(m)
		if l := lost(needed, was, is); l != "" {
			t.Fatalf("a tag's needs:\n%s", l)
		}
		for _, key := range deleted(was, is) {
			if !slices.Contains(gone, key) {
				t.Fatalf("%s is gone", key)
			}
		}
		allPull(t, is)
		signed(t, was, is)
		runs, err := Runs(state)
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) > 0 && runs[0].Status != Done {
			out := carryOut(t, m, state, saved, policy)
			if !out.Resumed || len(out.NotDone) > 0 {
				t.Fatalf("taken up %v, left %+v", out.Resumed, out.NotDone)
			}
			if d := diff(want, dump(m)); d != "" {
				t.Fatalf("after it was taken up:\n%s", d)
			}
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("after the undo:\n%s", d)
		}
		return tr.fired
	})
}

// allPull holds a store to this: a tag that is there can be pulled.
func allPull(t *testing.T, is map[string]string) {
	t.Helper()
	r, _, err := graph.Check(context.Background(), storeOf(is), options(graph.Policy{}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Totals.TagsBroken > 0 {
		for f := range r.Findings {
			t.Logf("%s %s", f.ID, f.Path)
		}
		t.Fatal("a tag can't be pulled any more")
	}
}

// signed holds a store to this: what signs the target of a tag that is there
// still is there too.
func signed(t *testing.T, was, is map[string]string) {
	t.Helper()
	for key, content := range is {
		_, target, _ := strings.Cut(content, " ")
		k, err := layout.Parse(key)
		if d, ok := layout.ParseDigest(target); err == nil && ok && k.Kind == layout.TagCurrent {
			signature := layout.CurrentKey(k.Repository, fixtures.FallbackTag(d)+".sig")
			if was[signature] != "" && is[signature] == "" {
				t.Fatalf("%s is there, and its signature is gone", key)
			}
		}
	}
}

// storeOf is a store with the files of a dump.
func storeOf(all map[string]string) *fixtures.Memory {
	m := &fixtures.Memory{}
	for key, body := range bodies(all) {
		m.Put(key, []byte(body), now.AddDate(0, -1, 0))
	}
	return m
}
