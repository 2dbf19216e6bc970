package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// smallDisk mounts a small filesystem at a new directory and fills all but some pages. free
// frees the rest. ok is false if the test may not mount.
func smallDisk(t *testing.T, pages int) (dir string, free func(), ok bool) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("regfsck-test", dir, "tmpfs", 0, "size=8m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return "", nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for err == nil {
		var n int
		n, err = f.Write(make([]byte, 4096))
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size-4096*int64(pages)), f.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}, true
}

// crowded returns the messy store with orphans for several batches.
func crowded() *fixtures.Builder {
	b := messy().Clone(7)
	for i := range batchSize + batchSize/2 {
		body := fmt.Appendf(nil, "orphan %d", i)
		b.Put(layout.BlobKey(layout.Sum(body)), body)
	}
	b.Image("z", "newest", fixtures.Image{})
	return b
}

// TestAFullDiskForTheJournal: if the disk of the state directory is full, every change is in
// the journal. With space, all can be undone, and the next fix has the usual result.
func TestAFullDiskForTheJournal(t *testing.T) {
	policy := messyPolicy()
	clean := crowded().Memory()
	was := dump(clean)
	needed := needs(was)
	delete(needed, layout.CurrentKey("a", "dangling"))
	mustFix(t, clean.Store(), t.TempDir(), policy)
	want := dump(clean)
	refused, broken := 0, 0
	for pages := 0; ; pages += 1 + pages/4 {
		again, ok := fullDisk(t, pages, policy, was, want, needed)
		if !ok {
			return
		}
		if again == nil {
			break
		}
		if again.Run == "" {
			refused++
		} else {
			broken++
		}
	}
	if refused < 5 || broken < 5 {
		t.Errorf("%d runs were refused, %d stopped on their way", refused, broken)
	}
}

// fullDisk runs a fix with some pages left for the journal. It returns the outcome, nil if
// nothing failed.
func fullDisk(t *testing.T, pages int, policy gc.Policy, was, want map[string]string, needed map[string]bool) (*Outcome, bool) {
	t.Helper()
	disk, free, ok := smallDisk(t, pages)
	if !ok {
		return nil, false
	}
	m, state := crowded().Memory(), filepath.Join(disk, "state")
	result, _, err := check.Store(context.Background(), m, options(policy))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(context.Background(), input(m.Store(), state, plan.New(result, policy), policy))
	if err == nil {
		if d := diff(want, dump(m)); d != "" {
			t.Fatalf("%d pages: after a run that ended well:\n%s", pages, d)
		}
		return nil, true
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d pages: %v", pages, err)
	}
	if out == nil {
		out = &Outcome{}
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("%d pages: nothing was begun, and:\n%s", pages, d)
		}
	}
	if l := lost(needed, was, dump(m)); l != "" {
		t.Fatalf("%d pages: a tag's needs:\n%s", pages, l)
	}
	free()
	if pages%2 == 0 {
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Fatalf("%d pages: after the undo:\n%s", pages, d)
		}
	}
	mustFix(t, m.Store(), state, policy)
	if d := diff(want, dump(m)); d != "" {
		t.Fatalf("%d pages: after the next fix:\n%s", pages, d)
	}
	return out, true
}

// mounted mounts a small filesystem. It returns false if the test may not.
func mounted(t *testing.T, at, options string) bool {
	t.Helper()
	err := syscall.Mount("regfsck-test", at, "tmpfs", 0, options)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// TestAFullDiskIsPurged: a full disk can be purged.
func TestAFullDiskIsPurged(t *testing.T) {
	root := filepath.Join(t.TempDir(), "registry")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if !mounted(t, root, "size=2m") {
		return
	}
	if err := garbage().WriteDir(root); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(root, ".regfsck")
	w, err := file.OpenStore(root, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := mustFix(t, w, state, gc.Policy{})
	fillUp(t, state, out.Run, filepath.Join(root, "ballast"))
	freed, err := Purge(context.Background(), w, state, out.Run)
	if err != nil || freed != out.Kept || freed == 0 {
		t.Errorf("%d of %d bytes freed, %v", freed, out.Kept, err)
	}
}

// fillUp extends a journal to the end of a block with a line without meaning, and fills the
// disk.
func fillUp(t *testing.T, state, run, ballast string) {
	t.Helper()
	journal := filepath.Join(journal.Dir(state, run), journal.FileName)
	all, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	var line []byte
	last := bytes.Count(all, []byte("\n")) // the numbers of lines
	for n := 0; n == 0 || (len(all)+len(line))%4096 != 0; n++ {
		line = sealLine(fmt.Appendf(nil, `{"receipt":{"key":"%s"}`, strings.Repeat("x", n)), last+1)
	}
	if err := os.WriteFile(journal, append(all, line...), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(ballast)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
