//go:build unix

package file

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// lockedStore returns a new store that a run has locked, with a function that syncs its
// filesystem.
func lockedStore(t *testing.T, sync func(root string, n int64) error) (root string, w *Store, run backend.Run) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "root")
	fill(t, root, map[string]string{"blobs/sha256/00/data": "stands"}, nil)
	w = openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	run = backend.Run{ID: "20260101-000000-abcdef", Keep: true}
	unlock, err := w.Lock(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	})
	var calls atomic.Int64
	w.held.Load().syncGroup = &syncGroup{sync: func() error { return sync(root, calls.Add(1)) }}
	return root, w, run
}

// copyMany copies n blobs at once, each into a directory of its own.
func copyMany(t *testing.T, w *Store, run backend.Run, n int) (keys, bodies []string, receipts []backend.Receipt) {
	t.Helper()
	keys, bodies, receipts = make([]string, n), make([]string, n), make([]backend.Receipt, n)
	var g sync.WaitGroup
	for i := range n {
		g.Go(func() {
			bodies[i] = fmt.Sprintf("blob %d", i)
			d, _ := layout.ParseAnyDigest(layout.Sum([]byte(bodies[i])).String())
			keys[i] = fmt.Sprintf("blobs/sha256/%02x/%d/data", i%7, i)
			c := backend.Content{Bytes: strings.NewReader(bodies[i]), Size: int64(len(bodies[i])), Proof: d}
			receipts[i] = w.Copy(t.Context(), run, keys[i], c, 1_600_000_000e9)
		})
	}
	g.Wait()
	return keys, bodies, receipts
}

// Files that are written together get their names after one sync, and are reported as
// written after another one, never before.
func TestFilesAreSyncedTogether(t *testing.T) {
	const n = 60
	var syncs, atOnce atomic.Int64
	_, w, run := lockedStore(t, func(root string, _ int64) error {
		syncs.Add(1)
		if atOnce.Add(1) > 1 {
			t.Error("two syncs at once")
		}
		runtime.Gosched()
		atOnce.Add(-1)
		return nil
	})
	keys, bodies, receipts := copyMany(t, w, run, n)
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		mustRead(t, w.Reader, keys[i], bodies[i])
	}
	if got := syncs.Load(); got < 2 || got > 2*n {
		t.Errorf("%d files were synced %d times", n, got)
	}
}

// A file whose bytes could not be synced gets no name, and nothing of it remains.
func TestAFileThatIsNotSyncedGetsNoName(t *testing.T) {
	root, w, run := lockedStore(t, func(string, int64) error { return syscall.EIO })
	keys, _, receipts := copyMany(t, w, run, 20)
	for i, r := range receipts {
		if !errors.Is(r.Err, syscall.EIO) {
			t.Errorf("%s: %v, want an error of the disk", r.Key, r.Err)
		}
		if _, err := os.Lstat(filepath.Join(root, filepath.FromSlash(keys[i]))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s exists: %v", keys[i], err)
		}
	}
	temps, err := filepath.Glob(filepath.Join(root, ".regfsck", "runs", run.ID, tempPrefix+"*"))
	if err != nil || len(temps) > 0 {
		t.Errorf("left: %v %v", temps, err)
	}
}

// A file whose name could not be synced is an error, whichever sync fails.
func TestANameThatIsNotSyncedIsAnError(t *testing.T) {
	_, w, run := lockedStore(t, func(_ string, n int64) error {
		if n > 1 {
			return syscall.EIO
		}
		return nil
	})
	_, _, receipts := copyMany(t, w, run, 1)
	if !errors.Is(receipts[0].Err, syscall.EIO) {
		t.Errorf("%v, want an error of the disk", receipts[0].Err)
	}
}

// Only one sync reports that bytes could not be written. They may be those of a writer that
// wrote during this sync and waits for the next one, so it gets the error too. Writers that
// enter later don't.
func TestAFailedSyncIsReportedToAllWriters(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	_, w, run := lockedStore(t, func(_ string, n int64) error {
		if n > 1 {
			return nil
		}
		begun <- true
		<-end
		return syscall.EIO
	})
	g := w.held.Load().syncGroup
	copied := func(body string) error {
		d, _ := layout.ParseAnyDigest(layout.Sum([]byte(body)).String())
		c := backend.Content{Bytes: strings.NewReader(body), Size: int64(len(body)), Proof: d}
		return w.Copy(t.Context(), run, "blobs/sha256/00/"+body+"/data", c, 0).Err
	}
	errs := make(chan error, 2)
	go func() { errs <- copied("first") }()
	<-begun
	go func() { errs <- copied("second") }()
	for waits := false; !waits; runtime.Gosched() {
		g.mu.Lock()
		waits = g.next != nil && g.next.waiting > 0
		g.mu.Unlock()
	}
	end <- true
	for range 2 {
		if err := <-errs; !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, want an error of the disk", err)
		}
	}
	if err := copied("third"); err != nil {
		t.Error(err)
	}
}

// A slow writer, for example one whose source hangs, doesn't delay the others.
func TestNoWriterWaitsForASlowOne(t *testing.T) {
	_, w, run := lockedStore(t, func(string, int64) error { return nil })
	g := w.held.Load().syncGroup
	g.enter() // this writer never waits
	defer g.leave()
	_, _, receipts := copyMany(t, w, run, 5)
	for _, r := range receipts {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
}

// With a low limit of open files fewer are written at once, and none fails.
func TestWritesWithFewDescriptors(t *testing.T) {
	const n = 300
	if os.Getenv(childRoot) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", `ulimit -n 160 && exec "$0" -test.run '^TestWritesWithFewDescriptors$'`, exe)
		cmd.Env = append(os.Environ(), childRoot+"="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	_, w, run := lockedStore(t, func(string, int64) error { return nil })
	_, _, receipts := copyMany(t, w, run, n)
	for _, r := range receipts {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
}
