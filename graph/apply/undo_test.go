package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// TestAnUndoKeepsALinkThatWasWrittenAgain: a push writes existing links again and needs them,
// so an undo keeps them.
func TestAnUndoKeepsALinkThatWasWrittenAgain(t *testing.T) {
	for name, how := range map[string]func(m *fixtures.Memory, key string){
		"missing": func(m *fixtures.Memory, key string) { m.Delete(key) },
		"empty":   func(m *fixtures.Memory, key string) { m.Put(key, nil, fixtures.Epoch) },
	} {
		for _, pushed := range []bool{false, true} {
			b := fixtures.New(1)
			key := b.Image("a", "v1", fixtures.Image{}).LayerKey(1)
			m, state := b.Memory(), t.TempDir()
			link := body(m, key)
			how(m, key)
			was := dump(m)
			mustFix(t, m.Store(), state, gc.Policy{})
			if pushed {
				m.Put(key, link, now.Add(time.Hour))
			}
			is := dump(m)
			out, err := Undo(context.Background(), m.Store(), state, "")
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case !pushed && (len(out.NotDone) > 0 || diff(was, dump(m)) != ""):
				t.Errorf("%s: it isn't undone: %+v\n%s", name, out, diff(was, dump(m)))
			case pushed && (len(out.NotDone) != 1 || out.NotDone[0].Reason != errRewritten.Error() || out.NotDone[0].Failed):
				t.Errorf("%s: it isn't named: %+v", name, out)
			case pushed && diff(is, dump(m)) != "":
				t.Errorf("%s: it isn't left:\n%s", name, diff(is, dump(m)))
			}
		}
	}
}

// TestAnUndoReportsLaterRemovals: what was restored may need what a later run removed for
// good, which is reported.
func TestAnUndoReportsLaterRemovals(t *testing.T) {
	for name, c := range map[string]struct {
		keep  bool
		after func(t *testing.T, m *fixtures.Memory, state, run string)
		gone  bool
	}{
		"purged":          {true, purged, true},
		"without an undo": {false, func(*testing.T, *fixtures.Memory, string, string) {}, true},
		"undone": {true, func(t *testing.T, m *fixtures.Memory, state, run string) {
			undone(t, m, state, run)
		}, false},
		"undone and purged": {true, func(t *testing.T, m *fixtures.Memory, state, run string) {
			undone(t, m, state, run)
			purged(t, m, state, run)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, state := garbage().Memory(), t.TempDir()
			links := gc.Policy{Untagged: true}
			links.Skip[finding.BlobOrphan] = true
			first := mustFix(t, m.Store(), state, links).Run
			result, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
			if err != nil {
				t.Fatal(err)
			}
			in := input(m.Store(), state, plan.New(result, gc.Policy{}), gc.Policy{})
			in.Run.Keep = c.keep
			second, err := Run(context.Background(), in)
			if err != nil || second.Steps.Done == 0 {
				t.Fatalf("%v, %+v", err, second)
			}
			if c.keep {
				_, err := Undo(context.Background(), m.Store(), state, first)
				var no *Refused
				if !errors.As(err, &no) || !strings.Contains(no.Reasons[0].How, "for good") {
					t.Errorf("out of order: %v", err)
				}
			}
			c.after(t, m, state, second.Run)
			out := undone(t, m, state, first)
			if got := slices.Equal(out.RemovedLater, []string{second.Run}); got != c.gone || !c.gone && len(out.RemovedLater) > 0 {
				t.Errorf("it names %q", out.RemovedLater)
			}
		})
	}
}

func purged(t *testing.T, m *fixtures.Memory, state, run string) {
	t.Helper()
	if _, err := Purge(context.Background(), m.Store(), state, run); err != nil {
		t.Fatal(err)
	}
}

// TestAnInterruptedRunBeforeAnUndoneOneIsFinished: a run that crashed is finished by the next
// one, even with another interrupted and undone run between them.
func TestAnInterruptedRunBeforeAnUndoneOneIsFinished(t *testing.T) {
	clean := messy().Memory()
	mustFix(t, clean.Store(), t.TempDir(), messyPolicy())
	want := dump(clean)
	was := dump(messy().Memory())
	for n, undone := 1, 0; ; n++ {
		m, state := messy().Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, fixtures.CrashAfter, n, func(f *fixtures.FaultyStore) {
			fix(f, state, messyPolicy())
		})
		if !tr.fired {
			if undone < 10 {
				t.Errorf("only %d runs were undone between", undone)
			}
			break
		}
		if breakOff(t, m, state) {
			undone++
		}
		if _, err := fix(m.Store(), state, messyPolicy()); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		if d := diff(want, dump(m)); d != "" {
			t.Errorf("%d: it wasn't finished:\n%s", n, d)
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("%d: after the undo:\n%s", n, d)
		}
	}
}

// TestARunWithoutALineHidesNoOther: a run without a line in its journal changed nothing, and
// has no beginning.
func TestARunWithoutALineHidesNoOther(t *testing.T) {
	m, state := messy().Memory(), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	p := messyPolicy()
	result, _, err := check.Store(ctx, m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	stopped := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	if out, err := Run(ctx, input(stopped, state, plan.New(result, p), p)); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	want, err := journal.UnfinishedSince(state)
	if err != nil || want.IsZero() {
		t.Fatalf("%v, %v", want, err)
	}
	if err := os.MkdirAll(journal.Dir(state, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(journal.Dir(state, "empty"), journal.FileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := journal.UnfinishedSince(state); err != nil || !got.Equal(want) {
		t.Errorf("%v, %v; not %v", got, err, want)
	}
}

// breakOff makes a new plan, interrupts its run and undoes it. It reports whether there was a
// plan.
func breakOff(t *testing.T, m *fixtures.Memory, state string) bool {
	t.Helper()
	p := messyPolicy()
	ctx, cancel := context.WithCancel(context.Background())
	result, _, err := check.Store(ctx, m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	steps := plan.New(result, p)
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	out, err := Run(ctx, input(f, state, steps, p))
	if err != nil || len(steps.Steps) == 0 || !out.Interrupted {
		return false
	}
	if back, err := Undo(context.Background(), m.Store(), state, out.Run); err != nil || len(back.NotDone) > 0 {
		t.Fatalf("undo: %v, %+v", err, back)
	}
	return true
}

// TestAnUndoKeepsWhatAPushNeeds: a client skips the upload of a layer with a link, whichever
// run wrote it: an undo keeps what such a push needs, and undoes the rest.
func TestAnUndoKeepsWhatAPushNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		push func(b *fixtures.Builder, old fixtures.Manifest) // at a later time
		want []int                                            // indexes of the layers of the old image whose links are kept
	}{
		"nothing":            {func(*fixtures.Builder, fixtures.Manifest) {}, nil},
		"an image":           {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a", "new", shared(old, 1)) }, []int{1}},
		"an untagged image":  {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a", "", shared(old, 1, 2)) }, []int{1, 2}},
		"a tag of the image": {func(b *fixtures.Builder, old fixtures.Manifest) { b.Tag("a", "again", old.Digest) }, []int{1, 2}},
		"elsewhere":          {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a/b", "new", shared(old, 1)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			old := b.Image("a", "v1", fixtures.Image{Layers: []int{20, 30}})
			m, state := b.Memory(), t.TempDir()
			for _, at := range []int{1, 2} {
				m.Delete(old.LayerKey(at))
			}
			mustFix(t, m.Store(), state, gc.Policy{})
			b.SetClock(now.Add(time.Hour))
			c.push(b, old)
			for _, key := range b.Keys() {
				if _, err := m.Stat(context.Background(), key); err != nil {
					if f, ok := b.File(key); ok {
						m.Put(key, f.Body, f.Modified)
					}
				}
			}
			is := needs(dump(m))
			out, err := Undo(context.Background(), m.Store(), state, "")
			if err != nil {
				t.Fatal(err)
			}
			after := dump(m)
			if len(out.NotDone) != len(c.want) {
				t.Errorf("%d are left: %+v", len(c.want), out.NotDone)
			}
			for _, l := range out.NotDone {
				if l.Reason != errNeeded.Error() || l.Failed {
					t.Errorf("%s: %s", l.Step.Key, l.Reason)
				}
			}
			for _, at := range []int{1, 2} {
				key, stays := old.LayerKey(at), false
				for _, w := range c.want {
					stays = stays || w == at
				}
				if _, there := after[key]; there != stays {
					t.Errorf("%s is there: %v, want %v", key, there, stays)
				}
				delete(is, key)
			}
			for key := range is {
				if _, there := after[key]; !there {
					t.Errorf("%s is gone", key)
				}
			}
		})
	}
}

// restoring is a store that records the keys in the order in which they are restored.
type restoring struct {
	*fixtures.MemoryStore
	mu   sync.Mutex
	keys []string
}

func (r *restoring) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, receipt := range receipts {
		r.keys = append(r.keys, receipt.Key)
	}
	return r.MemoryStore.Restore(ctx, run, receipts)
}

// TestAnUndoRestoresTagsLast: an undo that is interrupted leaves no link without what it needs:
// blobs are restored before links, and tags are last.
func TestAnUndoRestoresTagsLast(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("b", "v1", fixtures.Image{Layers: []int{70}})
	m, state := b.Memory(), t.TempDir()
	remove(t, m, state, "a")
	s := &restoring{MemoryStore: m.Store()}
	if out, err := Undo(context.Background(), s, state, ""); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	stages, last := map[layout.Kind]int{layout.Blob: 1, layout.LayerLink: 2, layout.Revision: 3, layout.TagHistory: 4, layout.TagCurrent: 5}, 1
	for _, key := range s.keys {
		k, err := layout.Parse(key)
		if err != nil { // a directory
			continue
		}
		if is := stages[k.Kind]; is < last {
			t.Errorf("%s is restored too late", key)
		} else {
			last = is
		}
	}
	if last != 5 {
		t.Errorf("restored: %q", s.keys)
	}
}

// TestAnUndoKeepsOnlyWhatIsNeededThere: what a push to one repository needs is kept there, and
// the same link that the run wrote in another one isn't.
func TestAnUndoKeepsOnlyWhatIsNeededThere(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("a", "v1", fixtures.Image{})
	b.Image("b", "v1", shared(image, 1))
	m, state := b.Memory(), t.TempDir()
	in := map[string]string{"a": image.LayerKey(1), "b": layout.LayerKey("b", image.Blobs[1].Digest)}
	for _, key := range in {
		m.Delete(key)
	}
	mustFix(t, m.Store(), state, gc.Policy{})
	m.Put(layout.CurrentKey("a", "again"), []byte(image.Digest.String()), now.Add(time.Hour))
	out, err := Undo(context.Background(), m.Store(), state, "")
	if err != nil || len(out.NotDone) != 1 || out.NotDone[0].Step.Key != in["a"] || out.NotDone[0].Reason != errNeeded.Error() {
		t.Errorf("%v, %+v", err, out)
	}
	if _, err := m.Stat(context.Background(), in["b"]); err == nil {
		t.Error("the link in b is kept")
	}
}

// TestAnUndoOfAWriteWithoutAReceipt: after a crash, a part of what the run wrote is its own,
// and any other content was written since.
func TestAnUndoOfAWriteWithoutAReceipt(t *testing.T) {
	for content, own := range map[string]bool{"": true, "sha256:": true, "other": false} {
		b := fixtures.New(1)
		key := b.Image("a", "v1", fixtures.Image{}).LayerKey(1)
		m, state := b.Memory(), t.TempDir()
		m.Delete(key)
		killedAt(t, m, state, fixtures.OpPut, func(f *fixtures.FaultyStore) { fix(f, state, gc.Policy{}) })
		m.Put(key, []byte(content), now.Add(time.Hour))
		out, err := Undo(context.Background(), m.Store(), state, "")
		_, statErr := m.Stat(context.Background(), key)
		if err != nil || (len(out.NotDone) == 0) != own || (statErr != nil) != own {
			t.Errorf("%q: %v, %+v", content, err, out)
		}
	}
}

// TestAnUndoKeepsWhatLaterRunsNeed: a tag that a later run wrote again has its old time, and
// the store has no times of file changes. An undo keeps what it needs, whether that run had the
// same state directory or another one, unless the tag is there by other means, as from a backup.
func TestAnUndoKeepsWhatLaterRunsNeed(t *testing.T) {
	for name, c := range map[string]struct{ elsewhere, undone bool }{
		"the same state directory":            {false, false},
		"another state directory":             {true, false},
		"another state directory, and undone": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			image := b.Image("a", "v1", fixtures.Image{})
			m, state, later := b.Memory(), t.TempDir(), t.TempDir()
			if !c.elsewhere {
				later = state
			}
			m.Delete(image.LayerKey(1))
			mustFix(t, m.Store(), state, gc.Policy{})
			current := layout.CurrentKey("a", "v1")
			link := body(m, current)
			m.Delete(current)
			result, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
			if err != nil {
				t.Fatal(err)
			}
			in := input(m.Store(), later, plan.New(result, gc.Policy{}), gc.Policy{})
			in.Run.Keep, in.Now = c.elsewhere, func() time.Time { return now.Add(time.Hour) }
			second, err := Run(context.Background(), in)
			if err != nil || second.Steps.Done != 1 {
				t.Fatalf("%v, %+v", err, second)
			}
			if c.undone {
				undone(t, m, later, second.Run)
				m.Put(current, link, fixtures.Epoch)
			}
			out, err := Undo(context.Background(), &beside{m.Store(), later}, state, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Stat(context.Background(), image.LayerKey(1))
			if c.undone && (len(out.NotDone) > 0 || err == nil) {
				t.Errorf("no later run needs it: %+v", out)
			}
			if !c.undone && (len(out.NotDone) != 1 || out.NotDone[0].Reason != errNeeded.Error() || err != nil) {
				t.Errorf("the tag needs it: %v, %+v", err, out)
			}
		})
	}
}

// changing is a store with the times of file changes.
type changing struct {
	*fixtures.MemoryStore
	changed map[string]time.Time
}

func (c *changing) Stat(ctx context.Context, key string) (backend.Item, error) {
	item, err := c.MemoryStore.Stat(ctx, key)
	item.Changed = fixtures.Epoch.UnixNano()
	if at, ok := c.changed[key]; ok {
		item.Changed = at.UnixNano()
	}
	return item, err
}

// TestAnUndoKeepsWhatACopyNeeds: a tag that was copied into the store with an old time came
// when its file was changed.
func TestAnUndoKeepsWhatACopyNeeds(t *testing.T) {
	for _, since := range []time.Duration{-time.Hour, time.Hour} {
		b := fixtures.New(1)
		image := b.Image("a", "v1", fixtures.Image{})
		m, state := b.Memory(), t.TempDir()
		m.Delete(image.LayerKey(1))
		mustFix(t, m.Store(), state, gc.Policy{})
		tag := layout.CurrentKey("a", "again")
		m.Put(tag, []byte(image.Digest.String()), fixtures.Epoch)
		out, err := Undo(context.Background(), &changing{m.Store(), map[string]time.Time{tag: now.Add(since)}}, state, "")
		if err != nil || len(out.NotDone) != max(0, int(since.Hours())) {
			t.Errorf("%v after the run: %v, %+v", since, err, out)
		}
	}
}

// slowClock is a store that gives what is written its own time, which is behind.
type slowClock struct{ *fixtures.MemoryStore }

func (s *slowClock) Put(ctx context.Context, run backend.Run, key string, body []byte, _ int64) backend.Receipt {
	return s.MemoryStore.Put(ctx, run, key, body, now.Add(-5*time.Minute).UnixNano())
}

// TestAnUndoByASlowClock: a tag that was pushed after a run, also one that the run rebuilt, may
// have an older time than its beginning, if the store's clock is behind.
func TestAnUndoByASlowClock(t *testing.T) {
	for _, c := range []struct {
		tag    string
		pushed time.Duration
		kept   bool
	}{{"again", -6 * time.Minute, false}, {"again", -3 * time.Minute, true}, {"v1", -3 * time.Minute, true}} {
		b := fixtures.New(1)
		image := b.Image("a", "v1", fixtures.Image{})
		m, state := b.Memory(), t.TempDir()
		m.Delete(image.LayerKey(1))
		m.Delete(layout.CurrentKey("a", "v1"))
		mustFix(t, &slowClock{m.Store()}, state, gc.Policy{})
		m.Put(layout.CurrentKey("a", c.tag), []byte(image.Digest.String()), now.Add(c.pushed))
		_, err := Undo(context.Background(), m.Store(), state, "")
		if _, gone := m.Stat(context.Background(), image.LayerKey(1)); err != nil || c.kept != (gone == nil) {
			t.Errorf("%s, pushed %v: %v, %v", c.tag, c.pushed, err, gone)
		}
	}
}

// TestALinkDatedAheadIsNoPush: a link with a time in the future was written since only if its file
// was changed since. A store that doesn't have that time counts it as written since.
func TestALinkDatedAheadIsNoPush(t *testing.T) {
	for name, c := range map[string]struct {
		changed time.Time
		kept    int
	}{
		"before":  {now.Add(-time.Hour), 0},
		"since":   {now.Add(time.Hour), 1},
		"unknown": {time.Time{}, 1},
	} {
		b := fixtures.New(1)
		image := b.Image("a", "v1", fixtures.Image{})
		tag := layout.CurrentKey("a", "again")
		b.SetClock(now.AddDate(50, 0, 0))
		b.Put(tag, []byte(image.Digest.String()))
		m, state := b.Memory(), t.TempDir()
		m.Delete(image.LayerKey(1))
		mustFix(t, m.Store(), state, gc.Policy{})
		s := backend.Store(m.Store())
		if !c.changed.IsZero() {
			s = &changing{m.Store(), map[string]time.Time{tag: c.changed}}
		}
		out, err := Undo(context.Background(), s, state, "")
		if err != nil || len(out.NotDone) != c.kept || c.kept > 0 && out.NotDone[0].Reason != errNeeded.Error() {
			t.Errorf("changed %s: %v, %+v", name, err, out)
		}
	}
}

// beside is a store with which this machine's state directory other was used.
type beside struct {
	*fixtures.MemoryStore
	other string
}

func (b *beside) States(context.Context) ([]backend.StateDir, error) {
	return []backend.StateDir{{Path: b.other, Here: true}}, nil
}

// TestAnUndoThatCannotReadPushes: while pushes to a repository can't be read, nothing of it
// is undone, and the undo is unfinished.
func TestAnUndoThatCannotReadPushes(t *testing.T) {
	b := fixtures.New(1)
	old := b.Image("a", "v1", fixtures.Image{})
	m, state := b.Memory(), t.TempDir()
	m.Delete(old.LayerKey(1))
	was := dump(m)
	mustFix(t, m.Store(), state, gc.Policy{})
	is := dump(m)
	blind := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpItem && key == old.RevisionKey() {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	out, err := Undo(context.Background(), blind, state, "")
	if err != nil || out.Steps.Failed != 1 || diff(is, dump(m)) != "" {
		t.Errorf("%v, %+v\n%s", err, out, diff(is, dump(m)))
	}
	out, err = Undo(context.Background(), m.Store(), state, "")
	if err != nil || len(out.NotDone) > 0 || diff(was, dump(m)) != "" {
		t.Errorf("%v, %+v\n%s", err, out, diff(was, dump(m)))
	}
}

// shared returns an image with some blobs of another one.
func shared(old fixtures.Manifest, at ...int) fixtures.Image {
	image := fixtures.Image{Layers: []int{}}
	for _, i := range at {
		image.Shared = append(image.Shared, old.Blobs[i])
	}
	return image
}

// TestLostKeysAreAskedForTwice: a key that is reported lost is asked for twice; a directory
// with a receipt of its removal is lost like a file.
func TestLostKeysAreAskedForTwice(t *testing.T) {
	b, _, _ := leftovers()
	b.Mkdir("docker/registry/v2/repositories/a/_uploads/empty/sub")
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	run := mustFix(t, m.Store(), state, gc.Policy{Untagged: true})
	asked := map[string]bool{}
	f := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op != fixtures.OpRestore || asked[key] {
			return fixtures.Right
		}
		asked[key] = true
		return fixtures.Lie
	})
	out, err := Undo(context.Background(), f, state, run.Run)
	if err != nil || len(out.NotDone) > 0 || len(asked) == 0 {
		t.Errorf("%v, %+v", err, out)
	}
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}

	run = mustFix(t, m.Store(), state, gc.Policy{Untagged: true})
	if _, err := m.Store().Purge(context.Background(), backend.Run{ID: run.Run}, nil); err != nil {
		t.Fatal(err)
	}
	out, err = Undo(context.Background(), m.Store(), state, run.Run)
	dirs, files := 0, 0
	for _, l := range out.NotDone {
		if strings.HasSuffix(l.Step.Key, "/") && l.Step.Kind == plan.Directory {
			dirs++
		} else {
			files++
		}
	}
	if err != nil || files == 0 || dirs == 0 {
		t.Errorf("%v, %d directories and %d files are named: %+v", err, dirs, files, out.NotDone)
	}
}
