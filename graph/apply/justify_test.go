package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// leftovers returns a store with an untagged manifest, an upload and an orphan.
func leftovers() (b *fixtures.Builder, untagged fixtures.Manifest, upload string) {
	b = fixtures.New(5)
	b.Image("a", "v1", fixtures.Image{})
	untagged = b.Image("a", "", fixtures.Image{Layers: []int{40}})
	upload = b.Upload("a", 30)
	b.Image("b", "v1", fixtures.Image{})
	return b, untagged, upload
}

// atFirst returns a rule that calls do at the first operation of a kind.
func atFirst(op fixtures.Op, do func()) fixtures.Rule {
	done := false
	return func(_ int, is fixtures.Op, _ string) fixtures.Wrong {
		if is == op && !done {
			done = true
			do()
		}
		return fixtures.Right
	}
}

// reasons returns why steps were skipped or failed, by key.
func reasons(out *Outcome) map[string]string {
	all := map[string]string{}
	for _, l := range out.NotDone {
		all[l.Step.Key] = l.Reason
	}
	return all
}

// TestConcurrentChangesAreSkipped: what changes during the removals is skipped and reported,
// with all that it needs.
func TestConcurrentChangesAreSkipped(t *testing.T) {
	_, m, upload := leftovers()
	link, blob := m.LayerKey(1), m.Blobs[1].Key()
	for name, c := range map[string]struct {
		change func(*fixtures.Memory)
		left   map[string]string // by key: in the reason
	}{
		"a link is written anew": {
			func(s *fixtures.Memory) { s.Put(link, []byte(layout.Empty.String()), now) },
			map[string]string{link: "has another content", blob: "kept because of " + link},
		},
		"a link is gone": {
			func(s *fixtures.Memory) { s.Delete(link) },
			map[string]string{link: "it no longer exists", blob: "kept because of " + link},
		},
		"a blob is pushed anew": {
			func(s *fixtures.Memory) { s.Touch(blob, now) },
			map[string]string{blob: "written again"},
		},
		"a blob is another": {
			func(s *fixtures.Memory) { s.Put(blob, []byte("x"), now) },
			map[string]string{blob: "1 byte now"},
		},
		"an upload goes on": {
			func(s *fixtures.Memory) { s.Put(upload+"/data", make([]byte, 99), now) },
			map[string]string{upload + "/": "was written to"},
		},
		"an upload is written anew": {
			func(s *fixtures.Memory) { s.Touch(upload+"/data", now) },
			map[string]string{upload + "/": "was written to"},
		},
		"something foreign comes into an upload": {
			func(s *fixtures.Memory) { s.Put(upload+"/notes", nil, now) },
			map[string]string{upload + "/": "no part of an upload"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, _ := leftovers()
			store := b.Memory()
			f := fixtures.NewFaultyStore(store.Store(), atFirst(fixtures.OpRemove, func() { c.change(store) }))
			out, err := fix(f, t.TempDir(), gc.Policy{Untagged: true})
			if err != nil {
				t.Fatal(err)
			}
			got := reasons(out)
			for key, word := range c.left {
				if !strings.Contains(got[key], word) {
					t.Errorf("%s: %q, want %q", key, got[key], word)
				}
			}
			if len(got) != len(c.left) || out.Steps.Skipped != len(c.left) || out.Steps.Failed > 0 {
				t.Errorf("left: %v, %+v", got, out.Steps)
			}
		})
	}
}

// TestAFailureKeepsWhatItReaches: what could not be removed keeps all that it needs, and
// doesn't count as freed.
func TestAFailureKeepsWhatItReaches(t *testing.T) {
	b, m, _ := leftovers()
	store := b.Memory()
	was := dump(store)
	f := fixtures.NewFaultyStore(store.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && key == m.RevisionKey() {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	out, err := fix(f, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil {
		t.Fatal(err)
	}
	is := dump(store)
	for _, key := range []string{m.RevisionKey(), m.Key(), m.LayerKey(0), m.LayerKey(1), m.Blobs[0].Key(), m.Blobs[1].Key()} {
		if is[key] != was[key] {
			t.Errorf("%s isn't what it was", key)
		}
		if why := reasons(out)[key]; key != m.RevisionKey() && !strings.Contains(why, m.RevisionKey()) {
			t.Errorf("%s: %q", key, why)
		}
	}
	total := out.Steps
	if total.Failed != 1 || total.Skipped != 5 || total.Done != 1 || out.Kept != total.Bytes || out.Counts[finding.BlobOrphan].Bytes != 0 {
		t.Errorf("%+v, kept %d", total, out.Kept)
	}
}

// TestATagIsKeptWithItsHistory: a tag is kept if one entry of its history is.
func TestATagIsKeptWithItsHistory(t *testing.T) {
	b, _, _ := leftovers()
	nobody := layout.Sum([]byte("nobody"))
	b.Tag("a", "dangling", nobody)
	store := b.Memory()
	f := fixtures.NewFaultyStore(store.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && key == layout.HistoryKey("a", "dangling", nobody) {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	var p gc.Policy
	p.Also[finding.TagDangling] = true
	out, err := fix(f, t.TempDir(), p)
	if err != nil {
		t.Fatal(err)
	}
	if why := reasons(out)[layout.CurrentKey("a", "dangling")]; !strings.Contains(why, "of its history is kept") {
		t.Errorf("left: %v", out.NotDone)
	}
}

// TestNothingIsRemovedAfterAChange: if the store changes while links are written, nothing is
// removed.
func TestNothingIsRemovedAfterAChange(t *testing.T) {
	b, m, _ := leftovers()
	b.Erase(b.Tagged("b", "v1").RevisionKey())
	store := b.Memory()
	was := dump(store)
	f := fixtures.NewFaultyStore(store.Store(), atFirst(fixtures.OpPut, func() {
		store.Put(layout.CurrentKey("a", "again"), []byte(m.Digest.String()), now)
	}))
	out, err := fix(f, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil {
		t.Fatal(err)
	}
	if gone := deleted(was, dump(store)); len(gone) > 0 {
		t.Errorf("gone: %v", gone)
	}
	if out.Counts[finding.RevisionLinkMissing].Done != 1 || !out.Repaired() || len(out.NotDone) != 7 {
		t.Errorf("%+v, left %v", out.Counts, reasons(out))
	}
}

// TestNothingIsRemovedIfTheStoreCannotBeReadAgain: if a part of the store can't be read any more
// once links are written, nothing is removed anywhere, and the reason is reported.
func TestNothingIsRemovedIfTheStoreCannotBeReadAgain(t *testing.T) {
	b, _, _ := leftovers()
	image := b.Tagged("b", "v1")
	b.Erase(image.RevisionKey())
	store, wrote := b.Memory(), false
	was := dump(store)
	f := fixtures.NewFaultyStore(store.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		wrote = wrote || op == fixtures.OpPut
		if wrote && op == fixtures.OpItem && key == image.LayerKey(1) {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	out, err := fix(f, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil || out.Steps.Done != 1 || len(deleted(was, dump(store))) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	for _, n := range out.NotDone {
		if !strings.HasPrefix(n.Reason, "after links were written, the scan is incomplete") {
			t.Errorf("%s: %s", n.Step.Key, n.Reason)
		}
	}
}

// TestNothingMoreIsRemovedIfAProblemCannotBeLookedAt: a manifest that is kept, because it could
// not be removed, lacks a link. If that can't be seen for certain, the run stops.
func TestNothingMoreIsRemovedIfAProblemCannotBeLookedAt(t *testing.T) {
	b, good, _ := leftovers()
	bad := b.Image("b", "", fixtures.Image{Layers: []int{50}})
	b.Erase(bad.LayerKey(1))
	f := fixtures.NewFaultyStore(b.Memory().Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && key == bad.RevisionKey() || key == bad.LayerKey(1) {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	out, err := fix(f, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil || !strings.Contains(reasons(out)[good.Key()], "could not be read when it was checked again") {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestAPlanIsJudgedAtTheTimeOfItsRun: ages are of the time of the run, not of the scan's options.
func TestAPlanIsJudgedAtTheTimeOfItsRun(t *testing.T) {
	saved, _ := planned(t, garbage().Memory(), gc.Policy{})
	in := input(garbage().Memory().Store(), t.TempDir(), saved, gc.Policy{})
	in.Scan.Now = fixtures.Epoch.AddDate(-1, 0, 0) // then all would be in grace
	if out, err := Run(context.Background(), in); err != nil || out.Steps.Done != len(saved.Steps) {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestAHealedBlobIsKept: a corrupt blob is hashed again before it is moved away.
func TestAHealedBlobIsKept(t *testing.T) {
	b, m, _ := leftovers()
	good, _ := b.File(m.Blobs[1].Key())
	b.Edit(m.Blobs[1].Key(), func(x []byte) []byte { x[0] ^= 1; return x })
	b.Tag("a", "v2", m.Digest)
	store := b.Memory()
	o := options(gc.Policy{})
	o.Also[finding.BlobCorrupt] = true
	o.Verify.All = true
	result, _, err := check.Store(context.Background(), store, o)
	if err != nil {
		t.Fatal(err)
	}
	in := input(nil, t.TempDir(), plan.New(result, o.Policy), o.Policy)
	in.Scan = o
	in.Store = fixtures.NewFaultyStore(store.Store(), atFirst(fixtures.OpRemove, func() {
		store.Put(m.Blobs[1].Key(), good.Body, good.Modified)
	}))
	out, err := Run(context.Background(), in)
	if err != nil || !strings.Contains(reasons(out)[m.Blobs[1].Key()], "hash right now") {
		t.Errorf("%v, left %v", err, reasons(out))
	}
}

// TestAnUndoReplacesNothing: keys that were written since are skipped and reported, and the
// rest is restored.
func TestAnUndoReplacesNothing(t *testing.T) {
	b, m, _ := leftovers()
	b.Erase(b.Tagged("b", "v1").RevisionKey())
	store, state := b.Memory(), t.TempDir()
	was := dump(store)
	mustFix(t, store.Store(), state, gc.Policy{Untagged: true})
	rebuilt := b.Tagged("b", "v1").RevisionKey()
	for _, key := range []string{rebuilt, m.LayerKey(1)} {
		store.Put(key, []byte(layout.Empty.String()), now)
	}
	later := dump(store)
	out, err := Undo(context.Background(), store.Store(), state, "")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, l := range out.NotDone {
		named = append(named, l.Step.Key)
	}
	slices.Sort(named)
	want := []string{m.LayerKey(1), rebuilt}
	slices.Sort(want)
	if !slices.Equal(named, want) || out.Steps.Failed > 0 {
		t.Errorf("left %v, want %v", out.NotDone, want)
	}
	is := dump(store)
	for _, key := range want {
		if is[key] != later[key] {
			t.Errorf("%s was written over", key)
		}
		delete(is, key)
		delete(was, key)
	}
	if d := diff(was, is); d != "" {
		t.Errorf("the rest isn't back:\n%s", d)
	}
}

func TestRunsAreListedUndoneAndPurged(t *testing.T) {
	b, _, _ := leftovers()
	store, state := b.Memory(), t.TempDir()
	if runs, err := journal.Summaries(state); err != nil || len(runs) > 0 {
		t.Fatalf("%v, %v", runs, err)
	}
	first := mustFix(t, store.Store(), state, gc.Policy{})
	second := mustFix(t, store.Store(), state, gc.Policy{Untagged: true})
	runs, err := journal.Summaries(state)
	if err != nil || len(runs) != 2 || runs[0].ID != second.Run || runs[0].Status != journal.Done || runs[0].Plan != second.Plan {
		t.Fatalf("%+v, %v", runs, err)
	}
	if runs[0].Changed != 6 || runs[0].Done != second.Steps.Done || runs[0].Bytes != second.Steps.Bytes || second.Kept != runs[0].Bytes || !runs[0].Began.After(runs[1].Began) {
		t.Errorf("%+v, %+v", runs[0], second)
	}
	var refused *Refused
	if _, err := Undo(context.Background(), store.Store(), state, first.Run); !errors.As(err, &refused) {
		t.Errorf("an older run was undone first: %v", err)
	}
	if freed, err := Purge(context.Background(), store.Store(), state, second.Run); err != nil || freed != second.Kept {
		t.Errorf("%d freed of %d, %v", freed, second.Kept, err)
	}
	if _, err := Undo(context.Background(), store.Store(), state, second.Run); !errors.As(err, &refused) {
		t.Errorf("what was purged was undone: %v", err)
	}
	if out, err := Undo(context.Background(), store.Store(), state, ""); err != nil || out.Run != first.Run || len(out.NotDone) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := Undo(context.Background(), store.Store(), state, ""); !errors.Is(err, journal.ErrNoRun) {
		t.Errorf("there is nothing to undo: %v", err)
	}
	if _, err := Purge(context.Background(), store.Store(), state, "none"); !errors.Is(err, journal.ErrNoRun) {
		t.Errorf("purged: %v", err)
	}
}

// TestWithoutAnUndoBytesAreFreed: without a quarantine, removals free space.
func TestWithoutAnUndoBytesAreFreed(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	g.in.Run.Keep = false
	out := g.runs()
	if out.Freed != 6 || out.Kept != 0 || out.Keep {
		t.Errorf("%+v", out)
	}
	if _, err := Undo(context.Background(), g.m.Store(), g.in.State, ""); !errors.Is(err, journal.ErrNoRun) {
		t.Errorf("it was undone: %v", err)
	}
}

// TestRepeatedPushes: what was pushed again since the plan, even the same bytes, isn't
// removed: the plan is refused.
func TestRepeatedPushes(t *testing.T) {
	untagged := gc.Policy{Untagged: true}
	for name, c := range map[string]struct {
		policy gc.Policy
		again  func(*fixtures.Builder, fixtures.Manifest)
	}{
		"a tag that is named":                   {asking("a:v1"), pushTag},
		"a tag of a repository that is removed": {asking("a"), pushTag},
		"a manifest of a tag that is removed":   {asking("a:v1"), pushManifest},
		"a manifest of a whole repository":      {asking("a"), pushManifest},
		"a manifest that no tag leads to":       {untagged, pushManifest},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			b.Image("a", "v2", fixtures.Image{})
			tag := "v1"
			if c.policy.Untagged {
				tag = ""
			}
			image := b.Image("a", tag, fixtures.Image{})
			p, _ := planned(t, b.Memory(), c.policy)
			if len(p.Steps) == 0 {
				t.Fatal("nothing is planned")
			}
			b.SetClock(now.AddDate(0, -1, 0)) // nothing is in grace
			c.again(b, image)
			m := b.Memory()
			was := dump(m)
			in := input(m.Store(), t.TempDir(), p, c.policy)
			in.Limits.AnyAmount = true
			var no *Refused
			if _, err := Run(context.Background(), in); !errors.As(err, &no) {
				t.Errorf("%v, and should be refused", err)
			}
			if d := diff(was, dump(m)); d != "" {
				t.Error(d)
			}
		})
	}
}

// pushTag is the end of a push of an existing image.
func pushTag(b *fixtures.Builder, m fixtures.Manifest) { b.Tag("a", "v1", m.Digest) }

// pushManifest writes what a push by digest writes of an existing manifest.
func pushManifest(b *fixtures.Builder, m fixtures.Manifest) {
	b.Put(m.RevisionKey(), []byte(m.Digest.String()))
}

// TestRestoredImagesAreNotWithdrawn: if a missing blob is there again, the steps don't
// follow, even in the same run with unchanged links.
func TestRestoredImagesAreNotWithdrawn(t *testing.T) {
	b := fixtures.New(7)
	lost := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{Layers: []int{40, 50, 60}})
	blob, _ := b.File(lost.Blobs[1].Key())
	b.Erase(lost.Blobs[1].Key())
	g := guard(t, b, withdrawing())
	g.in.Made = true
	g.m.Put(lost.Blobs[1].Key(), blob.Body, blob.Modified)
	g.refused("stale")
}

// TestPartsOfATag: a tag is removed with all of its history or not at all, also if a plan has
// only some of it.
func TestPartsOfATag(t *testing.T) {
	b, _, _ := leftovers()
	b.Tag("a", "dangling", layout.Sum([]byte("nobody")))
	b.Tag("a", "dangling", layout.Sum([]byte("nobody else")))
	var p gc.Policy
	p.Also[finding.TagDangling] = true
	g := guard(t, b, p)
	whole := g.in.Plan.Steps
	for i := range whole {
		if whole[i].Kind == plan.TagHistory {
			g.in.Plan = &plan.Plan{Steps: slices.Concat(whole[:i], whole[i+1:])}
			g.refused("stale")
		}
	}
}
