package apply

import (
	"slices"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// reuse is a store with an old layer that nothing needs, and the push of an
// image that has it: the client finds it there and doesn't send it again.
func reuse(linked bool, tag string) (b *fixtures.Builder, pushed fixtures.Manifest, push func(*fixtures.Memory)) {
	b = fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Erase(b.Image("b", "v1", fixtures.Image{}).RevisionKey())
	layer := b.Push("a", fixtures.OCILayer, []byte("an old layer"))
	if !linked {
		b.Erase(layout.LayerKey("a", layer.Digest))
	}
	after := b.Clone(2)
	pushed = after.Image("a", tag, fixtures.Image{Shared: []fixtures.Descriptor{layer}})
	had := b.Keys()
	return b, pushed, func(m *fixtures.Memory) {
		for _, key := range after.Keys() {
			if f, _ := after.File(key); !slices.Contains(had, key) {
				m.Put(key, f.Body, now.Add(-time.Minute))
			}
		}
	}
}

// pushes runs check for a layer with and without its link, pushed by tag and by
// digest, and under each policy.
func pushes(t *testing.T, check func(t *testing.T, linked bool, tag string, policy graph.Policy)) {
	for asked, policy := range plain() {
		for _, tag := range []string{"v2", ""} {
			t.Run(asked+", linked, tag "+tag, func(t *testing.T) { check(t, true, tag, policy) })
			t.Run(asked+", tag "+tag, func(t *testing.T) { check(t, false, tag, policy) })
		}
	}
}

// The plan that would have taken the layer is refused, and a new one keeps it.
func TestAPushOverAnOrphanedLayerBetweenPlanAndApply(t *testing.T) {
	pushes(t, func(t *testing.T, linked bool, tag string, policy graph.Policy) {
		b, pushed, push := reuse(linked, tag)
		layer := pushed.Blobs[1].Key()
		g := guard(t, b, policy)
		push(g.m)
		was := dump(g.m)
		for _, found := range []*graph.Result{g.in.Found, nil} { // made just now, or saved
			g.in.Found = found
			r := g.refused("stale")
			if !slices.Contains(r.Reasons[0].Keys, layer) {
				t.Errorf("it names %q, want %s too", r.Reasons[0].Keys, layer)
			}
		}
		mustFix(t, g.m.Store(), t.TempDir(), policy)
		is := dump(g.m)
		onlyGone(t, was, withoutRebuilt(b, is))
		stay(t, was, is, parts(pushed)...)
		stillPulls(t, was, is)
		if tag != "" && !pulls(is)["a:"+tag] {
			t.Errorf("a:%s can't be pulled", tag)
		}
	})
}

// The same where the push comes while the run writes links.
func TestAPushOverAnOrphanedLayerBeforeTheFirstRemoval(t *testing.T) {
	pushes(t, func(t *testing.T, linked bool, tag string, policy graph.Policy) {
		b, pushed, push := reuse(linked, tag)
		m := b.Memory()
		was := dump(m)
		f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpPut, func() { push(m) }))
		out, err := fix(f, t.TempDir(), policy)
		if err != nil || len(out.NotDone) == 0 {
			t.Fatalf("%v, left nothing: %+v", err, out)
		}
		is := dump(m)
		if gone := deleted(was, is); len(gone) > 0 {
			t.Errorf("gone: %v", gone)
		}
		for _, key := range parts(pushed) {
			if _, ok := is[key]; !ok {
				t.Errorf("%s is gone", key)
			}
		}
		stillPulls(t, was, is)
		if tag != "" && !pulls(is)["a:"+tag] {
			t.Errorf("a:%s can't be pulled", tag)
		}
	})
}

// withoutRebuilt leaves out the one link that a fix of that store rebuilds.
func withoutRebuilt(b *fixtures.Builder, is map[string]string) map[string]string {
	delete(is, b.Tagged("b", "v1").RevisionKey())
	return is
}

// What a push has brought since, an undo leaves and names; what it didn't bring
// comes back.
func TestATagPushedAnewBetweenFixAndUndo(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	nobody := layout.Sum([]byte("nobody"))
	b.Tag("a", "v1", nobody)
	gone := b.Image("a", "", fixtures.Image{})
	var policy graph.Policy
	policy.Untagged, policy.Also[graph.TagDangling] = true, true

	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	out := mustFix(t, m.Store(), state, policy)
	current := layout.CurrentKey("a", "v1")
	fixed := dump(m)
	for _, key := range append(parts(gone), current, layout.HistoryKey("a", "v1", nobody)) {
		if _, ok := fixed[key]; ok {
			t.Fatalf("%s wasn't removed", key)
		}
	}

	other := b.Clone(2)
	fresh := other.Image("a", "v1", fixtures.Image{})
	brought := append(parts(fresh), current, layout.HistoryKey("a", "v1", fresh.Digest))
	again := parts(gone) // what was untagged is pushed once more, and tagged
	other.Tag("a", "v2", gone.Digest)
	brought = append(brought, layout.CurrentKey("a", "v2"), layout.HistoryKey("a", "v2", gone.Digest))
	for _, key := range append(brought, again...) {
		f, _ := other.File(key)
		m.Put(key, f.Body, now)
	}
	pushed := dump(m)

	back := undone(t, m, state, out.Run)
	is := dump(m)
	stay(t, pushed, is, append(brought, again...)...)
	stay(t, was, is, layout.HistoryKey("a", "v1", nobody))
	left := reasons(back)
	for _, key := range append(again, current) {
		if left[key] == "" {
			t.Errorf("%s isn't named", key)
		}
	}
	if len(left) != len(again)+1 {
		t.Errorf("left: %v", left)
	}
	stillPulls(t, pushed, is)
	for _, ref := range []string{"a:v1", "a:v2", "a:kept"} {
		if !pulls(is)[ref] {
			t.Errorf("%s can't be pulled", ref)
		}
	}
}
