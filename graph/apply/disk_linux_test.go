package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend/file"
	"regfsck/graph"
)

// mounted mounts a small filesystem at a path. It reports false where the test
// may not; the kernel is known to refuse then.
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

// A disk without any room can be purged: that is what one purges for.
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
	w, err := file.OpenWriter(root, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := mustFix(t, w, state, graph.Policy{})
	fillUp(t, state, out.Run, filepath.Join(root, "ballast"))
	freed, err := Purge(context.Background(), w, state, out.Run)
	if err != nil || freed != out.Kept || freed == 0 {
		t.Errorf("%d of %d bytes freed, %v", freed, out.Kept, err)
	}
}

// fillUp ends a journal where a block of the disk ends, with a line that means
// nothing, and fills the disk.
func fillUp(t *testing.T, state, run, ballast string) {
	t.Helper()
	journal := filepath.Join(runDir(state, run), journalName)
	all, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPast(state, run)
	if err != nil {
		t.Fatal(err)
	}
	var line []byte
	for n := 0; n == 0 || (len(all)+len(line))%4096 != 0; n++ {
		next := p.seal
		if line, err = next.append(line[:0], &record{Receipt: &receipt{Key: strings.Repeat("x", n)}}); err != nil {
			t.Fatal(err)
		}
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
