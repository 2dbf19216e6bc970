//go:build unix

package apply

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// onDisk writes a store to a directory, its state directory inside or beside it.
func onDisk(t *testing.T, b *fixtures.Builder, inside bool) (w *file.Store, root, state string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "registry")
	if err := b.WriteDir(root); err != nil {
		t.Fatal(err)
	}
	if state = filepath.Join(dir, "state"); inside {
		state = filepath.Join(root, ".regfsck")
	}
	w, err := file.OpenStore(root, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	return w, root, state
}

// TestFixAndUndoOnADisk: each damaged store on a disk is fixed and undone as in memory.
func TestFixAndUndoOnADisk(t *testing.T) {
	for name, b := range oneOfEach() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := policyOf(name)
			w, root, state := onDisk(t, b, strings.HasPrefix(name, "blob"))
			was := picture(t, root)
			out := mustFix(t, w, state, policy)
			m := b.Memory()
			mustFix(t, m.Store(), t.TempDir(), policy)
			if d := diff(dump(m), dump(w)); d != "" {
				t.Fatalf("the disk differs from memory:\n%s", d)
			}
			if out.Run == "" {
				return
			}
			if again := mustFix(t, w, state, policy); again.Run != "" {
				t.Fatalf("a second fix has something to do: %+v", again)
			}
			for range 2 {
				if back, err := Undo(context.Background(), w, state, out.Run); err != nil || len(back.NotDone) > 0 {
					t.Fatalf("undo: %v, %+v", err, back)
				}
				if d := was.Diff(picture(t, root)); len(d) > 0 {
					t.Fatalf("after the undo:\n%s", strings.Join(d, "\n"))
				}
			}
		})
	}
}

// TestPurgeOnADisk: only a purge frees the disk.
func TestPurgeOnADisk(t *testing.T) {
	w, root, state := onDisk(t, messy(), true)
	out := mustFix(t, w, state, messyPolicy())
	if out.Freed != 0 || out.Kept == 0 {
		t.Errorf("%d bytes freed and %d kept", out.Freed, out.Kept)
	}
	if _, err := os.Stat(filepath.Join(root, ".regfsck", "runs", out.Run, "plan.jsonl")); err != nil {
		t.Errorf("the plan isn't beside the journal: %v", err)
	}
	freed, err := Purge(context.Background(), w, state, out.Run)
	if err != nil || freed != out.Kept {
		t.Errorf("%d of %d bytes freed, %v", freed, out.Kept, err)
	}
	if freed, err = Purge(context.Background(), w, state, out.Run); err != nil || freed != 0 {
		t.Errorf("a second purge freed %d bytes, %v", freed, err)
	}
}

// TestOwnerOfTheJournal: the owner of the store can continue a run of root.
func TestOwnerOfTheJournal(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can change owners
	}
	w, root, state := onDisk(t, garbage(), true)
	if err := os.Chown(root, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	run := mustFix(t, w, state, gc.Policy{}).Run
	for _, path := range []string{state, state + "/lock", state + "/runs", journal.Dir(state, run), journal.Dir(state, run) + "/" + journal.FileName, journal.Dir(state, run) + "/" + journal.PlanName} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 2345 {
			t.Errorf("%s is %d:%d's", path, st.Uid, st.Gid)
		}
	}
}

// TestARepositoryThatIsASymbolicLink: it is unknown until it is followed.
func TestARepositoryThatIsASymbolicLink(t *testing.T) {
	for asked, policy := range plain() {
		for _, repository := range []string{"team/linked", "linked"} {
			t.Run(asked+", "+repository, func(t *testing.T) { linkedRepository(t, repository, policy) })
		}
	}
}

func linkedRepository(t *testing.T, repository string, policy gc.Policy) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	linked := b.Image(repository, "v1", fixtures.Image{})
	loose := b.Push(repository, fixtures.OCILayer, []byte("loose"))
	spare := waste(b)
	was := dump(b.Memory())
	w, root, state := onDisk(t, b, false)
	dir := filepath.Join(root, filepath.FromSlash(layout.RepositoryKey(repository)))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(dir, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Fatal(err)
	}
	isUnknown(t, w, b, policy, func() []fixtures.Picture {
		return []fixtures.Picture{picture(t, root), snapshotOf(t, elsewhere)}
	})

	w, err := file.OpenStore(root, file.Options{Follow: []string{dir}}, state)
	if err != nil {
		t.Fatal(err)
	}
	mustFix(t, w, state, policy)
	is := dump(w)
	onlyGone(t, was, is, spare, loose.Key(), layout.LayerKey(repository, loose.Digest))
	stay(t, was, is, parts(linked)...)
	stillPulls(t, was, is)
	if !pulls(is)[repository+":v1"] {
		t.Errorf("%s:v1 can't be pulled", repository)
	}
	if target, err := os.Readlink(dir); err != nil || target != elsewhere {
		t.Errorf("the link is %q, %v", target, err)
	}
	if again := mustFix(t, w, state, policy); again.Run != "" {
		t.Errorf("a second fix has something to do: %+v", again)
	}
	undoOnDisk(t, w, state)
	if d := diff(was, dump(w)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestALinkedRepositoryIsRemoved: its content is removed, and the link remains. That is neither
// unfinished, nor can an undo of it not be finished.
func TestALinkedRepositoryIsRemoved(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("linked", "v1", fixtures.Image{})
	was := dump(b.Memory())
	_, root, state := onDisk(t, b, false)
	dir := filepath.Join(root, filepath.FromSlash(layout.RepositoryKey("linked")))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := cmp.Or(os.Rename(dir, elsewhere), os.Symlink(elsewhere, dir)); err != nil {
		t.Fatal(err)
	}
	w, err := file.OpenStore(root, file.Options{Follow: []string{dir}}, state)
	if err != nil {
		t.Fatal(err)
	}
	mustFix(t, w, state, gc.Policy{Removal: &gc.Removal{Repositories: map[string]string{"linked": "asked for"}}})
	if pulls(dump(w))["linked:v1"] {
		t.Error("nothing was removed")
	}
	if facts, err := FindFacts(context.Background(), w, state, Given{}); err != nil || facts.Unfinished != "" {
		t.Errorf("%v, %q is unfinished", err, facts.Unfinished)
	}
	undoOnDisk(t, w, state)
	if d := diff(was, dump(w)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
	if facts, err := FindFacts(context.Background(), w, state, Given{}); err != nil || facts.Undoing != "" {
		t.Errorf("%v, the undo of %q is unfinished", err, facts.Undoing)
	}
}

// isUnknown expects that a plan made when everything was readable is refused, that a new one
// has no steps, and that neither changes anything.
func isUnknown(t *testing.T, w *file.Store, whole *fixtures.Builder, policy gc.Policy, look func() []fixtures.Picture) {
	t.Helper()
	before := look()
	in := guard(t, whole, policy).in
	in.Store = w
	var r *Refused
	if out, err := Run(context.Background(), in); !errors.As(err, &r) || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("it isn't refused: %v, %+v", err, out)
	}
	if out, err := fix(w, in.State, policy); err != nil && !errors.As(err, &r) || err == nil && out.Run != "" {
		t.Errorf("something was done: %v, %+v", err, out)
	}
	for i, after := range look() {
		if d := before[i].Diff(after); len(d) > 0 {
			t.Errorf("it was touched: %v", d)
		}
	}
}

func snapshotOf(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func undoOnDisk(t *testing.T, w *file.Store, state string) {
	t.Helper()
	if out, err := Undo(context.Background(), w, state, ""); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("undo: %v, %+v", err, out)
	}
}

// TestDirectoriesOfAnInterruptedRun: directories that an interrupted run emptied aren't in
// grace for the next one, even in the same second on a disk with times in seconds.
func TestDirectoriesOfAnInterruptedRun(t *testing.T) {
	b, _, _ := leftovers()
	b.Unpush(b.Image("e", "gone", fixtures.Image{}))
	b.Upload("u", 30)
	w, root, state := onDisk(t, b, false)
	settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
	if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	want := picture(t, root)
	for n := 1; ; n++ {
		w, root, state := onDisk(t, b, false)
		settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
		out := fixStopped(t, w, state, n)
		if !out.Interrupted {
			if n < 10 {
				t.Errorf("only %d runs were stopped", n-1)
			}
			return
		}
		settle(t, root, func(is time.Time) time.Time { return is.Truncate(2 * time.Second) })
		if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
			t.Fatalf("%d: %v, %+v", n, err, out)
		}
		if d := want.Diff(picture(t, root)); len(d) > 0 {
			t.Errorf("%d: it wasn't finished:\n%s", n, strings.Join(d, "\n"))
		}
	}
}

// TestDirectoriesOfAnInterruptedRunAfterAnUndo: nor are they after a run that finished it was
// undone, when they exist again.
func TestDirectoriesOfAnInterruptedRunAfterAnUndo(t *testing.T) {
	b, _, _ := leftovers()
	b.Unpush(b.Image("e", "gone", fixtures.Image{}))
	w, root, state := onDisk(t, b, false)
	settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
	if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	want, undone := picture(t, root), 0
	for n := 1; ; n += 2 {
		w, root, state := onDisk(t, b, false)
		settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
		before := picture(t, root)
		first := fixStopped(t, w, state, n)
		if !first.Interrupted {
			break
		}
		for range 2 { // each time the first run is unfinished again
			second, err := fixNow(context.Background(), w, state)
			if err != nil || len(second.NotDone) > 0 {
				t.Fatalf("%d: %v, %+v", n, err, second)
			}
			if d := want.Diff(picture(t, root)); len(d) > 0 {
				t.Fatalf("%d: it wasn't finished:\n%s", n, strings.Join(d, "\n"))
			}
			if second.Run != first.Run {
				undone++
			}
			if out, err := Undo(context.Background(), w, state, ""); err != nil || len(out.NotDone) > 0 {
				t.Fatalf("%d: %v, %+v", n, err, out)
			}
			if second.Run == first.Run {
				break
			}
		}
		undoRestOf(t, w, state)
		if d := before.Diff(picture(t, root)); len(d) > 0 {
			t.Errorf("%d: after the undo:\n%s", n, strings.Join(d, "\n"))
		}
	}
	if undone < 5 {
		t.Errorf("only %d runs that had finished another were undone", undone)
	}
}

// fixStopped is fixNow, interrupted at the n-th removal.
func fixStopped(t *testing.T, w backend.Store, state string, n int) *Outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, err := fixNow(ctx, fixtures.NewFaultyStore(w, func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if op == fixtures.OpRemove {
			if n--; n == 0 {
				cancel()
			}
		}
		return fixtures.Right
	}), state)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fixNow is fix at the present time.
func fixNow(ctx context.Context, s backend.Store, state string) (*Outcome, error) {
	if _, err := Finish(ctx, s, state); err != nil {
		return nil, err
	}
	since, err := journal.UnfinishedSince(state)
	if err != nil {
		return nil, err
	}
	o := options(gc.Policy{})
	o.Now, o.OwnSince = time.Now(), since
	result, _, err := check.Store(ctx, s, o)
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, o.Policy), o.Policy)
	in.Scan, in.Now = o, time.Now
	return Run(ctx, in)
}

// settle changes the times of all files of a store.
func settle(t *testing.T, root string, then func(time.Time) time.Time) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "docker"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		at := then(info.ModTime())
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}
