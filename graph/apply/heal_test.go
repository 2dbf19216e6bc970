package apply

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/backend/source"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// bereft returns a small store, and the same with lost or corrupt manifests and layers, a
// lost link that the manifest proves, and garbage.
func bereft(platforms ...string) (whole, left *fixtures.Builder) {
	whole = fixtures.New(11)
	gone := whole.Image("a", "v1", fixtures.Image{Layers: []int{40}})
	torn := whole.Image("a", "v2", fixtures.Image{Layers: []int{60}})
	index := whole.Platforms("a", "all", platforms...)
	left = whole.Clone(11)
	left.Erase(gone.Key())
	left.Unlink(gone.LayerKey(1))
	left.Edit(torn.Key(), func(x []byte) []byte { return x[:20] })
	left.Edit(torn.Blobs[1].Key(), func([]byte) []byte { return nil })
	if len(platforms) > 0 {
		left.Erase(gone.Blobs[1].Key())
		left.Erase(index.Key())
	}
	waste(left)
	return whole, left
}

// closing is a Reader as an opened store.
type closing struct{ backend.Reader }

func (closing) Close() error { return nil }

// sourceOf returns a store as a source.
func sourceOf(name string, r backend.Reader) source.Source { return source.OfStore(name, closing{r}) }

// heal plans and applies with sources, as regfsck fix --from --apply. The plan may be made
// with other sources.
func heal(s backend.Store, state string, planned, from []source.Source) (*plan.Plan, *Outcome, error) {
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, nil, err
	}
	o := options(gc.Policy{})
	o.From = planned
	result, _, err := check.Store(context.Background(), s, o)
	if err != nil {
		return nil, nil, err
	}
	p := plan.New(result, gc.Policy{})
	in := input(s, state, p, gc.Policy{})
	in.Scan.From, in.Limits.MaxDelete = from, 1
	out, err := Run(context.Background(), in)
	return p, out, err
}

// wrongBlobs returns the blobs with wrong bytes.
func wrongBlobs(files map[string]string) map[string]bool {
	wrong := map[string]bool{}
	for key, body := range bodies(files) {
		if k, err := layout.Parse(key); err == nil && k.Kind == layout.Blob && !hashesTo(key, body) {
			wrong[key] = true
		}
	}
	return wrong
}

// TestAHealRepairsAll: with a complete source all tags can be pulled, garbage is removed in
// the same run, and an undo restores the store, with its wrong bytes.
func TestAHealRepairsAll(t *testing.T) {
	whole, left := bereft("linux/amd64", "linux/arm64")
	m, state := left.Memory(), t.TempDir()
	was := dump(m)
	from := []source.Source{sourceOf("copy", whole.Memory())}
	p, out, err := heal(m.Store(), state, from, from)
	if err != nil || len(out.NotDone) > 0 || out.Steps.Done != len(p.Steps) {
		t.Fatalf("%v, %+v", err, out)
	}
	is := dump(m)
	if can, could := pulls(is), pulls(dump(whole.Memory())); !maps.Equal(can, could) || len(could) != 3 {
		t.Errorf("%v can be pulled, of %v", can, could)
	}
	if wrong := wrongBlobs(is); len(wrong) > 0 {
		t.Errorf("wrong still: %v", wrong)
	}
	if _, garbage := is[waste(fixtures.New(1))]; garbage {
		t.Error("the garbage is there still")
	}
	undoAll(t, m, state, []string{out.Run})
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestALostSourceOfAResumedRun: a copy that the run had begun before it was killed isn't taken
// for done if its source is missing.
func TestALostSourceOfAResumedRun(t *testing.T) {
	whole, left := bereft()
	m, state := left.Memory(), t.TempDir()
	from := []source.Source{sourceOf("copy", whole.Memory())}
	o := options(gc.Policy{})
	o.From = from
	result, _, err := check.Store(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	in := input(m.Store(), state, plan.New(result, gc.Policy{}), gc.Policy{})
	in.Scan.From, in.Limits.MaxDelete = from, 1
	killedAt(t, m, state, fixtures.OpPut, func(f *fixtures.FaultyStore) {
		killed := in
		killed.Store = f
		Run(context.Background(), killed)
	})
	in.Scan.From = []source.Source{sourceOf("copy", fixtures.New(1).Memory())}
	out, err := Run(context.Background(), in)
	if err != nil || !out.Resumed || out.Repaired() || out.Steps.Failed == 0 {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestALostSourceRemovesNothing: what was to be copied and is not may need anything of its
// repository.
func TestALostSourceRemovesNothing(t *testing.T) {
	whole := fixtures.New(11)
	gone := whole.Image("a", "v1", fixtures.Image{})
	left := whole.Clone(11)
	left.Erase(gone.Key())
	left.Push("a", "x", []byte("loose"))
	m := left.Memory()
	was := dump(m)
	p, out, err := heal(m.Store(), t.TempDir(), []source.Source{sourceOf("copy", whole.Memory())}, []source.Source{sourceOf("copy", fixtures.New(1).Memory())})
	if err != nil || !p.TakesAway() || out.Steps.Failed != 1 || out.Steps.Done != 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("without the copy:\n%s", d)
	}
	for _, l := range out.NotDone {
		if because := "kept because of " + gone.Key(); !l.Failed && !strings.HasPrefix(l.Reason, because) {
			t.Errorf("%s: %q, want %q", l.Step.Key, l.Reason, because)
		}
	}
}

// TestAnUndoKeepsACopyWithoutOriginal: if what a copy replaced was purged, an undo keeps the
// copy, and says so.
func TestAnUndoKeepsACopyWithoutOriginal(t *testing.T) {
	whole, left := bereft()
	dir := t.TempDir()
	if err := left.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	s, err := file.OpenStore(dir, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	from := []source.Source{sourceOf("copy", whole.Memory())}
	_, out, err := heal(s, state, from, from)
	if err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	over := 0
	kept, err := s.Quarantined(t.Context(), backend.Run{ID: out.Run, Keep: true})
	for _, k := range kept {
		if key, bad := layout.Parse(k.Key); bad == nil && key.Kind == layout.Blob {
			err = errors.Join(err, os.Remove(k.Path))
			over++
		}
	}
	if err != nil || over == 0 {
		t.Fatalf("%d are removed, %v", over, err)
	}
	undone, err := Undo(context.Background(), s, state, out.Run)
	if err != nil {
		t.Fatal(err)
	}
	stayed := 0
	for _, n := range undone.NotDone {
		if n.Reason == errUnkept.Error() && !n.Failed {
			stayed++
			if right, err := hashesRight(t.Context(), s, n.Step.Key); err != nil || !right {
				t.Errorf("%s: right %v, %v", n.Step.Key, right, err)
			}
		}
	}
	if stayed != 2 { // a torn manifest and an empty layer
		t.Errorf("%d copies stay: %+v", stayed, undone.NotDone)
	}
}

// TestNoLinkIsWrittenWithoutEvidence: a restored blob is served where it was served before. A
// repository with only a tag on it gets no link.
func TestNoLinkIsWrittenWithoutEvidence(t *testing.T) {
	whole := fixtures.New(12)
	secret := whole.Image("prod", "v1", fixtures.Image{Layers: []int{70}})
	mine := whole.Image("mine", "v1", fixtures.Image{Layers: []int{80}})
	left := whole.Clone(12)
	left.Erase(secret.Key())
	left.Erase(secret.Blobs[1].Key())
	left.Put(layout.CurrentKey("mine", "stolen"), []byte(secret.Digest.String()))
	left.Put(layout.HistoryKey("mine", "stolen", mine.Digest), []byte(mine.Digest.String()))
	m, state := left.Memory(), t.TempDir()
	from := []source.Source{sourceOf("copy", whole.Memory())}
	if _, out, err := heal(m.Store(), state, from, from); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	is := dump(m)
	if !pulls(is)["prod:v1"] || pulls(is)["mine:stolen"] {
		t.Errorf("can be pulled: %v", pulls(is))
	}
	for key := range is {
		if strings.HasPrefix(key, layout.RepositoryKey("mine")+"/") && !strings.Contains(key, "/stolen/") && strings.Contains(key, secret.Digest.Hex()) {
			t.Errorf("%s was written", key)
		}
	}
}

// lying are the faults of a source.
var lying = map[string]fixtures.Wrong{"fail": fixtures.Fail, "lie": fixtures.Lie, "cut": fixtures.Cut, "gone for good": fixtures.Crash}

// flipping is a Reader whose files have a wrong byte.
type flipping struct{ backend.Reader }

func (f flipping) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := f.Reader.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(r)
	if len(all) > 0 {
		all[len(all)/2] ^= 4
	}
	return io.NopCloser(strings.NewReader(string(all))), err
}

// TestTroubleInASource makes each operation of a source faulty in turn, during the plan and
// during the run: no blob gets wrong bytes, no step is wrongly called done, other steps are
// done, and a second source repairs all. If it is unknown what the only source has, nothing
// is changed.
func TestTroubleInASource(t *testing.T) {
	whole, left := bereft("linux/amd64", "linux/arm64")
	before := wrongBlobs(dump(left.Memory()))
	good := []source.Source{sourceOf("good", whole.Memory())}
	for name, w := range lying {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				for _, second := range []bool{false, true} {
					for _, whilePlanning := range []bool{false, true} {
						m, state := left.Memory(), t.TempDir()
						faulty := fixtures.NewFaulty(whole.Memory(), fixtures.Nth(n, w))
						from := []source.Source{sourceOf("faulty", faulty)}
						if second {
							from = append(from, good...)
						}
						planned := good
						if whilePlanning {
							planned = from
						}
						p, out, err := heal(m.Store(), state, planned, from)
						if _, refused := errors.AsType[*Refused](err); refused && !second {
							if !strings.Contains(err.Error(), "may be in a place that could not be read") || !maps.Equal(dump(m), dump(left.Memory())) {
								t.Fatalf("%d: %v", n, err)
							}
							continue
						}
						if err != nil {
							t.Fatalf("%d: %v", n, err)
						}
						checkHealed(t, before, m, p, out)
						if second && (len(out.NotDone) > 0 || len(pulls(dump(m))) != 3) {
							t.Fatalf("%d: with a second source: %+v", n, out.NotDone)
						}
						if all, _ := faulty.Count(); all < n && second && whilePlanning {
							if n < 10 {
								t.Fatalf("only %d operations", all)
							}
							return
						}
					}
				}
			}
		})
	}
	m := left.Memory()
	liar := []source.Source{sourceOf("liar", flipping{whole.Memory()})}
	p, out, err := heal(m.Store(), t.TempDir(), good, liar)
	if err != nil || out.Steps.Failed == 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	checkHealed(t, before, m, p, out)
}

// checkHealed fails if a blob has new wrong bytes, or if a copy that was called done is
// missing.
func checkHealed(t *testing.T, before map[string]bool, m *fixtures.Memory, p *plan.Plan, out *Outcome) {
	t.Helper()
	is := dump(m)
	wrong := wrongBlobs(is)
	for key := range wrong {
		if !before[key] {
			t.Fatalf("%s has wrong bytes", key)
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		left := slices.ContainsFunc(out.NotDone, func(l NotDone) bool { return l.Step.Key == s.Key })
		if _, there := is[s.Key]; s.Kind == plan.HealedBlob && !left && (!there || wrong[s.Key]) {
			t.Fatalf("%s is called done, and isn't", s.Key)
		}
	}
}

// TestTroubleInAHeal makes each operation of the store faulty during a heal: the next run has
// the usual result, and all can be undone.
func TestTroubleInAHeal(t *testing.T) {
	whole, left := bereft()
	from := []source.Source{sourceOf("copy", whole.Memory())}
	clean := left.Memory()
	was := dump(clean)
	before := wrongBlobs(was)
	if _, out, err := heal(clean.Store(), t.TempDir(), from, from); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	want := dump(clean)
	eachTrouble(t, func(t *testing.T, w fixtures.Wrong, n int) bool {
		m, state := left.Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) { heal(f, state, from, from) })
		for key := range wrongBlobs(dump(m)) {
			if !before[key] {
				t.Fatalf("%s has wrong bytes", key)
			}
		}
		if n%2 == 0 {
			undoRest(t, m, state)
			if d := diff(was, dump(m)); d != "" {
				t.Fatalf("after the undo:\n%s", d)
			}
		}
		if _, out, err := heal(m.Store(), state, from, from); err != nil || len(out.NotDone) > 0 {
			t.Fatalf("the next run: %v, %+v", err, out)
		}
		if d := diff(bodies(want), bodies(dump(m))); d != "" { // blobs that were found late have other times
			t.Fatalf("after the next run:\n%s", d)
		}
		return tr.fired
	})
}

// TestHealingLessRemovesNoMore: a plan that doesn't copy what no tag needs removes nothing
// that one which copies it would keep.
func TestHealingLessRemovesNoMore(t *testing.T) {
	left, healed := 0, 0
	for seed := range uint64(40) {
		whole, _ := fixtures.Random(seed)
		damaged, some := whole.Clone(seed), rand.New(rand.NewPCG(seed, 3))
		for _, key := range damaged.Keys() {
			if k, err := layout.Parse(key); err == nil && k.Kind == layout.Blob && some.IntN(3) == 0 {
				damaged.Erase(key)
			}
		}
		m := damaged.Memory()
		var also gc.Policy
		for _, id := range []finding.Kind{finding.BlobMissing, finding.ManifestMissing, finding.TagDangling} {
			also.Also[id] = seed%2 == 0
		}
		more := 0
		removed := func(all bool) map[string]bool {
			o := options(also)
			o.HealAll, o.From = all, []source.Source{sourceOf("copy", whole.Memory())}
			result, _, err := check.Store(context.Background(), m, o)
			if err != nil {
				t.Fatal(err)
			}
			if !all {
				left, more = left+result.Totals.SpareHeals, more+result.Totals.SpareHeals
			}
			keys := map[string]bool{}
			for _, s := range plan.New(result, o.Policy).Steps {
				if s.Op == plan.Remove {
					keys[s.Key] = true
				} else if s.Kind == plan.HealedBlob && all {
					more--
				} else if s.Kind == plan.HealedBlob {
					healed, more = healed+1, more+1
				}
			}
			return keys
		}
		kept := removed(true)
		for key := range removed(false) {
			if !kept[key] {
				t.Errorf("seed %d: %s is removed only where less is healed", seed, key)
			}
		}
		if more != 0 {
			t.Errorf("seed %d: %d blobs more are announced than --from-all copies", seed, more)
		}
	}
	if left == 0 || healed == 0 {
		t.Errorf("%d blobs were left in the source, %d copied", left, healed)
	}
}
