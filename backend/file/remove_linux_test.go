//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// overlaid fills the lower layer of an overlay, mounts it and returns the path; "" if the
// test may not mount.
func overlaid(t *testing.T, files map[string]string, dirs []string) string {
	t.Helper()
	dir := t.TempDir()
	if !mounted(t, dir, "size=4m") {
		return ""
	}
	fill(t, filepath.Join(dir, "lower"), files, dirs)
	disguise(t, filepath.Join(dir, "lower"), files, dirs)
	for _, name := range []string{"upper", "work", "root"} {
		mkdir(t, dir, name)
	}
	root := filepath.Join(dir, "root")
	layers := fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", dir, dir, dir)
	switch err := unix.Mount("overlay", root, "overlay", 0, layers); {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENODEV):
		return ""
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return root
}

// A directory of an overlay's lower layer can't be renamed. Its file is kept nevertheless,
// and restored unchanged.
func TestAnOverlaysLowerLayer(t *testing.T) {
	files := map[string]string{"blobs/ab/data": "one", "blobs/cd/data": "two", "links/a/link": "l", "links/a/beside": "b"}
	root := overlaid(t, files, []string{"empty"})
	if root == "" {
		return
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	if err := w.CanUndo(context.Background()); err != nil {
		t.Fatal(err)
	}
	keys := []string{"blobs/ab/data", "blobs/cd/data", "links/a/link", "empty/"}
	was := map[string]string{}
	for _, key := range append(keys, "blobs/ab", "blobs/cd") {
		_, was[key] = look(t, root, key)
	}
	for round := range 2 {
		run := backend.Run{ID: fmt.Sprint("run-", round), Keep: true}
		receipts := w.Remove(context.Background(), run, keys)
		for _, r := range receipts {
			if r.Err != nil {
				t.Fatalf("%+v", r)
			}
		}
		listAll(t, w.Reader, "blobs").mustBe(t, "", nil)
		if n, err := w.Kept(context.Background(), run, nil); err != nil || n == 0 {
			t.Errorf("%d bytes are kept, %v", n, err)
		}
		for range 2 {
			for i, err := range w.Restore(context.Background(), run, receipts) {
				if err != nil {
					t.Errorf("%s: %v", keys[i], err)
				}
			}
		}
		for key, want := range was {
			if _, is := look(t, root, key); is != want {
				t.Errorf("%s is %s, was %s", key, is, want)
			}
		}
		for key, want := range files {
			mustRead(t, w.Reader, key, want)
		}
	}
}

// If directories can't be renamed, a removal that crashed at any point can be undone, and
// repeated.
func TestCrashWhileADirectoryIsMovedByFile(t *testing.T) {
	for _, state := range []string{"made", "moved"} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprint(state, again), func(t *testing.T) {
				root := t.TempDir()
				fill(t, root, map[string]string{"blobs/ab/data": "one"}, nil)
				w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
				w.move = func(from dir, name string, to dir, as string) error {
					if st, err := from.look(name); err == nil && kindOf(&st) == unix.S_IFDIR {
						return unix.EXDEV
					}
					return moveNew(from, name, to, as)
				}
				kept := filepath.Join(root, ".regfsck/runs/run-1/kept/blobs")
				mkdir(t, kept, "ab")
				key := "blobs/ab/data"
				if state == "moved" {
					if err := os.Rename(filepath.Join(root, key), filepath.Join(kept, "ab/data")); err != nil {
						t.Fatal(err)
					}
					key = "blobs/ab/"
				}
				if again {
					if err := removeOne(w, keeping, key); err != nil {
						t.Fatal(err)
					}
					if _, err := os.Lstat(filepath.Join(root, "blobs/ab")); err == nil {
						t.Error("the directory is still there")
					}
				}
				w.move = moveNew // a directory that was made in the upper layer can be renamed
				for range 2 {
					if err := w.Restore(context.Background(), keeping, []backend.Receipt{{Key: "blobs/ab/data"}})[0]; err != nil {
						t.Fatal(err)
					}
				}
				mustRead(t, w.Reader, "blobs/ab/data", "one")
			})
		}
	}
}
