package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend/disk"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// smallDisk mounts a small filesystem at the store's path. It returns false if that isn't
// permitted.
func (f *fake) smallDisk(t *testing.T) bool {
	t.Helper()
	f.store = filepath.Join(filepath.Dir(f.store), "small")
	if err := os.Mkdir(f.store, 0o755); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("regfsck-test", f.store, "tmpfs", 0, "size=4m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(f.store, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// fill fills the store's filesystem.
func (f *fake) fill(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(f.store, "ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAFullDisk: on a full disk a run with a quarantine changes nothing; one without it, with
// its journal elsewhere, frees space. The next run does the rest.
func TestAFullDisk(t *testing.T) {
	f := newFix(t, littered())
	if !f.smallDisk(t) {
		return
	}
	f.rewrite(t, rotten())
	want := len(f.plan(t, "--undo", "none").Steps)
	f.fill(t)
	before := f.content(t)
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit&8 == 0 || !strings.Contains(f.errs.String(), "no space left") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if !strings.Contains(f.errs.String(), "Add --undo none --state DIR") {
		t.Errorf("nothing is said of the way: %s", f.errs.String())
	}
	f.untouched(t, "on a full disk", before)

	var a applied
	state := []string{"--undo", "none", "--state", "DIR/state"}
	if exit := f.document(t, &a, append([]string{"fix", "STORE", "--apply", "--yes"}, state...)...); exit&^13 != 0 || a.Freed == 0 || a.Totals.Done == 0 {
		t.Errorf("exit %d, %+v", exit, a)
	}
	var b applied
	if a.Totals.Done < want {
		f.document(t, &b, append([]string{"fix", "STORE", "--apply", "--yes"}, state...)...)
	}
	if again := f.plan(t, state...); len(again.Steps) > 0 {
		t.Errorf("done %d and %d of %d, and left: %+v", a.Totals.Done, b.Totals.Done, want, again.Steps)
	}
}

// spaces is the part of a document about the filesystem.
type spaces struct {
	Kept int64 `json:"kept_bytes"`
	Runs []struct {
		Freed int64 `json:"freed_bytes"`
	}
	Disk struct {
		Before, After disk.Space
		Purged        *disk.Space `json:"after_purge"`
	}
}

// TestDiskUsageIsMeasured compares the reports of an apply and a purge with the filesystem:
// before, after, and expected after a purge. A run without undo expects nothing of a purge;
// the saved report shows the same.
func TestDiskUsageIsMeasured(t *testing.T) {
	b := small()
	body := bytes.Repeat([]byte("nobody's"), 1<<17)
	b.Put(layout.BlobKey(layout.Sum(body)), body)
	f := newFix(t, b)
	if !f.smallDisk(t) {
		return
	}
	f.disk = disk.Of
	space := func() disk.Space {
		is, err := disk.Of(f.store)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	for _, undo := range []string{"auto", "none"} {
		f.rewrite(t, b)
		before := space()
		var a spaces
		f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--undo", undo, "--report", "DIR/run.json")
		if a.Disk.Before != before || a.Disk.After != space() {
			t.Errorf("undo %s: the disk was %+v and is %+v, and it says %+v", undo, before, space(), a.Disk)
		}
		f.run("show", "DIR/run.json")
		if !strings.Contains(f.out.String(), "\n  disk of the store             used        free\n  before ") || strings.Contains(f.out.String(), "  after a purge, about ") != (undo == "auto") {
			t.Errorf("undo %s: shown again:\n%s", undo, f.out.String())
		}
		if undo == "none" {
			if a.Disk.Purged != nil || a.Disk.After.Free <= before.Free {
				t.Errorf("nothing is kept: %+v", a.Disk)
			}
			continue
		}
		if a.Disk.Purged == nil || a.Disk.Purged.Free != a.Disk.After.Free+a.Kept || a.Kept < int64(len(body)) {
			t.Fatalf("%d bytes are kept: %+v", a.Kept, a.Disk)
		}
		var p spaces
		f.document(t, &p, "purge", "STORE", "--all", "--yes")
		if p.Disk.Before != a.Disk.After || p.Disk.After != space() || p.Disk.After.Free < a.Disk.Purged.Free || p.Runs[0].Freed != a.Kept {
			t.Errorf("expected %+v, and after the purge it is %+v: %+v", *a.Disk.Purged, space(), p)
		}
	}
	f.run("fix", "STORE", "--apply", "--yes")
	if strings.Contains(f.out.String(), "disk of the store") {
		t.Errorf("nothing was changed:\n%s", f.out.String())
	}
}

// TestABucketHasNoDisk: a report of a bucket has no filesystem.
func TestABucketHasNoDisk(t *testing.T) {
	f, _, _ := change(t, littered(), s3test.Enabled)
	f.disk = func(string) (disk.Space, error) { return disk.Space{Used: 1, Free: 1}, nil }
	for _, command := range []string{"fix STORE --apply --yes", "purge STORE --all --yes"} {
		var all map[string]any
		if exit := f.document(t, &all, strings.Fields(command)...); exit&^4 != 0 || all["disk"] != nil {
			t.Errorf("%s: exit %d, %v", command, exit, all["disk"])
		}
	}
}

// TestNoUndoIsRefused: a state directory on another filesystem can't be a quarantine, since
// files can't be renamed to it.
func TestNoUndoIsRefused(t *testing.T) {
	f := newFix(t, littered())
	before := snapshot(t, f.store)
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck"); exit != 0 || !strings.Contains(f.out.String(), "could not be restored") {
		t.Errorf("dry run: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if strings.Contains(f.out.String(), "Reversible") {
		t.Errorf("it says both:\n%s", f.out.String())
	}
	var p struct{ Undo struct{ Possible bool } }
	if f.document(t, &p, "fix", "STORE", "--state", "/proc/regfsck"); p.Undo.Possible {
		t.Error("the document says that it could be undone")
	}
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--undo none") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("fix", "STORE", "--state", "/proc/regfsck", "--apply", "--yes", "--undo", "none"); exit != 8 || !strings.Contains(f.errs.String(), "Nothing was changed") {
		t.Errorf("without a place for a journal: exit %d, %s", exit, f.errs.String())
	}
	if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
		t.Errorf("the store changed\n%s", strings.Join(diff, "\n"))
	}
}

// filled returns the bytes of all files of the store, and their bytes on disk, without the
// state directory.
func (f *fake) filled(t *testing.T) (bytes, onDisk int64) {
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
		onDisk += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, onDisk
}

// TestPruneFreesWhatItAnnounces compares the plan's bytes with the files, and the run's with
// the filesystem.
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
