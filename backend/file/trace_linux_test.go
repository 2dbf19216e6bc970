//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
)

// Reading leaves no trace: neither bytes nor times, not even those of access.
func TestNothingChanges(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/a/link": "a", "dir/b/other": "b", "file": "f"}, []string{"empty"})
	old := syscall.Timespec{Sec: 1_000_000_000}
	paths := setTimes(t, root, old)
	before, err := fixtures.Snapshot(root)
	if err != nil {
		t.Fatal(err)
	}
	setTimes(t, root, old)
	s := opening(newSystem)(t, root, Options{})
	listAll(t, s, "", "dir")
	mustRead(t, s, "file", "f")
	mustRead(t, s, "dir/a/link", "a")
	for _, path := range paths {
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil || st.Atim != old {
			t.Errorf("%s: accessed at %v (%v)", path, st.Atim, err)
		}
	}
	after, err := fixtures.Snapshot(root)
	if diff := before.Diff(after); err != nil || len(diff) > 0 {
		t.Errorf("changed: %v, %v", diff, err)
	}
}

// setTimes sets all times below root, so that a plain read would move those of
// access, and returns the paths.
func setTimes(t *testing.T, root string, to syscall.Timespec) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for _, path := range paths {
		err = errors.Join(err, syscall.UtimesNano(path, []syscall.Timespec{to, to}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// No descriptor is left open, however a listing ends.
func TestDescriptors(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for _, a := range "abcdefgh" {
		for _, b := range "abcdefgh" {
			files["d"+string(a)+"/"+string(b)+"/x/file"] = "x"
		}
	}
	fill(t, root, files, nil)
	symlink(t, root, "da", "followed")
	stop := errors.New("stop")
	for name, m := range variants {
		before := descriptors(t)
		s, err := open(root, Options{Follow: []string{"followed"}}, m)
		if err != nil {
			t.Fatal(err)
		}
		for last := range 70 {
			err := s.List(context.Background(), "", expecting(backend.Hint{Name: "x", Read: 1}, "da/b"), func(backend.Batch) error {
				if last--; last < 0 {
					return stop
				}
				return nil
			})
			if err != stop {
				t.Errorf("List: %v", err)
			}
		}
		for _, key := range []string{"missing", "da", "da/b/x/file/y", "followed/missing", "followed/b/x/file"} {
			if f, err := s.Open(context.Background(), key); err == nil {
				f.Close()
			}
			_, _ = s.Stat(context.Background(), key)
			_ = s.List(context.Background(), key, expecting(backend.Hint{}), func(backend.Batch) error { return stop })
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if after := descriptors(t); before != after {
			t.Errorf("%s: open before: %s; after: %s", name, before, after)
		}
	}
}

// descriptors says what this process has open in the temporary folders.
func descriptors(t *testing.T) string {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, os.TempDir()) {
			open = append(open, to)
		}
	}
	return strings.Join(open, " ")
}
