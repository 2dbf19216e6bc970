package file

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
)

// Pipes without a writer block whoever opens them.
func TestPipesAndSockets(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/good/link": "g", "dir/bad/other": "o"}, []string{"dir/worse"})
	for _, key := range []string{"dir/pipe", "dir/bad/link", "pipe"} {
		if err := syscall.Mkfifo(filepath.Join(root, key), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root) // a socket's path is short
	l, err := net.Listen("unix", "dir/worse/link")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bad := map[string]error{
		"dir/pipe": backend.ErrIrregular, "dir/bad/link": backend.ErrIrregular,
		"pipe": backend.ErrIrregular, "dir/worse/link": backend.ErrIrregular,
	}
	eachKeeper(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		listAll(t, s, "", "dir", "").mustBe(t, "dir/bad/other dir/good/link", bad)
		for _, leaf := range []backend.Leaf{{Name: "link"}, {Name: "link", Read: 1, Beside: true}} {
			listWith(t, s, "", expecting(leaf, "dir")).mustBe(t, "dir/bad/other dir/good/link", bad)
		}
		for key := range bad {
			mustFail(t, s, key, backend.ErrIrregular, key)
		}
	})
}

// Files are no folders, and that isn't the same as being missing.
func TestFileAsFolder(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/file": "x"}, nil)
	eachKeeper(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		for _, key := range []string{"dir/file/x", "dir/file/x/y"} {
			_, err := s.Stat(context.Background(), key)
			mustNameFile(t, err)
			_, err = s.Open(context.Background(), key)
			mustNameFile(t, err)
			mustNameFile(t, s.List(context.Background(), key, expecting(backend.Leaf{}), nil))
		}
		mustNameFile(t, s.List(context.Background(), "dir/file", expecting(backend.Leaf{}), nil))
	})
}

func mustNameFile(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), " dir/file: ") ||
		!strings.Contains(err.Error(), "not a") {
		t.Errorf("a file as a folder: %v", err)
	}
}

// Keys longer than what one system call takes, and names that are no text.
func TestLongKeysAndRawNames(t *testing.T) {
	base := t.TempDir()
	root, err := os.OpenRoot(base)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	long := strings.Repeat(strings.Repeat("n", 200)+"/", 30)
	for _, dir := range []string{long + "dir/child", "raw/\xff\xfe"} {
		if err := errors.Join(root.MkdirAll(dir, 0o755), root.WriteFile(dir+"/link", []byte("L"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range variants {
		t.Run(name, func(t *testing.T) {
			s := opening(m)(t, base, Options{})
			got := listAll(t, s, "", long+"dir", "raw")
			got.mustBe(t, long+"dir/child/link raw/\xff\xfe/link", nil)
			if got.items["raw/\xff\xfe/link"] != "L" {
				t.Errorf("listed %q", got.items)
			}
			mustRead(t, s, long+"dir/child/link", "L")
			mustRead(t, s, "raw/\xff\xfe/link", "L")
			listAll(t, s, long+"dir", long+"dir").mustBe(t, long+"dir/child/link", nil)
		})
	}
}

// Reading leaves no trace: neither bytes nor times, not even those of access.
func TestNothingChanges(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/a/link": "a", "dir/b/other": "b", "file": "f"}, []string{"empty"})
	long := syscall.Timespec{Sec: 1_000_000_000}
	var keys []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		keys = append(keys, path)
		return err
	})
	for _, path := range keys {
		err = errors.Join(err, syscall.UtimesNano(path, []syscall.Timespec{long, long}))
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := fixtures.Snapshot(root)
	if err != nil {
		t.Fatal(err)
	}
	resetAccess(t, keys, long)
	s := opening(newKeeper)(t, root, Options{})
	listAll(t, s, "", "dir")
	mustRead(t, s, "file", "f")
	mustRead(t, s, "dir/a/link", "a")
	for _, path := range keys {
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil || st.Atim != long {
			t.Errorf("%s: accessed at %v (%v)", path, st.Atim, err)
		}
	}
	after, err := fixtures.Snapshot(root)
	if diff := before.Diff(after); err != nil || len(diff) > 0 {
		t.Errorf("changed: %v, %v", diff, err)
	}
}

// resetAccess makes times of access older than those of change, so that a plain
// read would move them.
func resetAccess(t *testing.T, paths []string, to syscall.Timespec) {
	t.Helper()
	for _, path := range paths {
		if err := syscall.UtimesNano(path, []syscall.Timespec{to, to}); err != nil {
			t.Fatal(err)
		}
	}
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
			err := s.List(context.Background(), "", expecting(backend.Leaf{Name: "x", Read: 1}, "da/b"), func(backend.Batch) error {
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
			_ = s.List(context.Background(), key, expecting(backend.Leaf{}), func(backend.Batch) error { return stop })
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if after := descriptors(t); !bytes.Equal([]byte(before), []byte(after)) {
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
