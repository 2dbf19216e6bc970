//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// No two things are kept in one place, and nothing is kept in the folder of
// another thing: not where a key is cut, and not where one looks like another.
func TestPieces(t *testing.T) {
	var folders []string
	for n := pieceLength - 4; n <= pieceLength+4; n++ {
		folders = append(folders, strings.Repeat("x", n), strings.Repeat("x", n)+"/x", strings.Repeat("日", n/3)+strings.Repeat("x", n%3))
	}
	folders = append(folders, "", "a", "a/b", "a%2Fb", "a%b", "%", "%2F", "%25", "a/%", "a%/b", strings.Repeat("%", 200), strings.Repeat("x/", 300)+"x")
	used := map[string]string{}
	for _, folder := range folders {
		place := pieces(folder)
		for i, name := range place {
			if len(name) > 255 || name == "" || strings.Contains(name, "/") {
				t.Errorf("%q is kept in %q", folder, place)
			}
			path := strings.Join(place[:i+1], "/")
			if what, ok := used[path]; ok && what != "way" || ok && i == len(place)-1 {
				t.Errorf("%q is kept in %q, which is %s", folder, path, what)
			}
			used[path] = "way"
		}
		used[strings.Join(place, "/")] = "the place of " + folder
		for _, name := range []string{"x", "xx", "a", "%", "%2F", "2F", "%+", "F", "F" + strings.Repeat("x", 9)} {
			path := strings.Join(place, "/") + "/" + name
			if what, ok := used[path]; ok {
				t.Errorf("%q of %q is kept in %q, which is %s", name, folder, path, what)
			}
			used[path] = fmt.Sprintf("%q of %q", name, folder)
		}
	}
}

// What cannot be put in place leaves what stands there, under the one name that
// it had.
func TestPutFailsLate(t *testing.T) {
	for name, link := range map[string]renaming{"linked": linkNew, "renamed": func(dir, string, dir, string) error { return unix.EPERM }} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			fill(t, root, map[string]string{"a/link": "old"}, nil)
			w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
			state, err := w.Directory(keeping)
			if err != nil {
				t.Fatal(err)
			}
			w.link = func(from dir, name string, to dir, as string) error {
				written, err := filepath.Glob(filepath.Join(state, "new-*"))
				if err != nil || len(written) != 1 {
					t.Errorf("written: %v, %v", written, err)
				}
				for _, path := range written {
					if err := os.Remove(path); err != nil {
						t.Error(err)
					}
				}
				return link(from, name, to, as)
			}
			before := onlyFiles(picture(t, root))
			r := w.Put(context.Background(), keeping, "a/link", []byte("new"), 0)
			if !errors.Is(r.Err, fs.ErrNotExist) || r.Undo != "" {
				t.Errorf("Put: %+v", r)
			}
			if diff := before.Diff(onlyFiles(picture(t, root))); len(diff) > 0 {
				t.Errorf("changed: %v", diff)
			}
			if left, err := filepath.Glob(filepath.Join(state, "kept/*/*")); err != nil || len(left) > 0 {
				t.Errorf("kept: %v, %v", left, err)
			}
		})
	}
}

// Nothing is freed while there is another name of the file, and a purge leaves
// nothing but the run's own folder.
func TestFreed(t *testing.T) {
	root := t.TempDir()
	body := strings.Repeat("x", 1<<16)
	fill(t, root, map[string]string{"a/data": body, "b/data": body, "c/link": body}, nil)
	for _, key := range []string{"a/data", "b/data", "c/link"} {
		if err := os.Link(filepath.Join(root, key), filepath.Join(root, strings.ReplaceAll(key, "/", "-"))); err != nil {
			t.Fatal(err)
		}
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	for _, r := range []backend.Receipt{
		w.Remove(context.Background(), backend.Run{ID: "free"}, []string{"a/data"})[0],
		w.Put(context.Background(), backend.Run{ID: "free"}, "c/link", nil, 0),
		w.Remove(context.Background(), keeping, []string{"b/data"})[0],
	} {
		if r.Err != nil || r.Freed != 0 {
			t.Errorf("%+v", r)
		}
	}
	for _, tally := range []func(context.Context, backend.Run) (int64, error){w.Kept, w.Purge} {
		if n, err := tally(context.Background(), keeping); n != 0 || err != nil {
			t.Errorf("%d bytes kept, %v", n, err)
		}
	}
	if left := picture(t, filepath.Join(root, ".regfsck/runs/run-1")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
