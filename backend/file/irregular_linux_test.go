package file

import (
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
		for _, leaf := range []backend.Hint{{Name: "link"}, {Name: "link", Read: 1, Siblings: true}} {
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
			mustNameFile(t, s.List(context.Background(), key, expecting(backend.Hint{}), nil))
		}
		mustNameFile(t, s.List(context.Background(), "dir/file", expecting(backend.Hint{}), nil))
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
