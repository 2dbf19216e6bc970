package main

import (
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// filled adds up the bytes of all files of the store, and what they take of the
// disk, but for the state directory.
func (f *fake) filled(t *testing.T) (bytes, disk int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(f.store, "docker"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		bytes += info.Size()
		disk += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, disk
}

// TestPruneFreesWhatItAnnounces compares with the files themselves: the plan counts
// bytes, and the run what the disk has more.
func TestPruneFreesWhatItAnnounces(t *testing.T) {
	for _, flags := range [][]string{{"--keep-last", "1"}, {"--keep-last", "2", "--repo", "other"}, {"--keep-last", "1", "--may-remove", "latest"}} {
		b, _ := aged()
		f := newFix(t, b)
		bytes, disk := f.filled(t)
		p := f.prune(t, append(flags, "--undo", "none")...)
		var a applied
		f.document(t, &a, slices.Concat([]string{"prune", "STORE", "--apply", "--yes", "--undo", "none"}, flags)...)
		bytesAfter, diskAfter := f.filled(t)
		if bytes == bytesAfter || bytes-bytesAfter != p.Going.Bytes || disk-diskAfter != a.Freed || a.Kept != 0 {
			t.Errorf("%q: %d bytes are gone, %d announced; of the disk %d, said to be %d, kept %d",
				flags, bytes-bytesAfter, p.Going.Bytes, disk-diskAfter, a.Freed, a.Kept)
		}
	}
}
