package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/storetest"
)

// maker makes a driver.
type maker = func(config, *counters) (system, error)

// eachDriver runs test once for each driver that this system can run.
func eachDriver(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("system", func(t *testing.T) { test(t, opening(newSystem)) })
	t.Run("portable", func(t *testing.T) { test(t, opening(newPortable)) })
	for name, maker := range variants {
		t.Run(name, func(t *testing.T) { test(t, opening(maker)) })
	}
}

// opener opens a store and closes it when the test is over.
type opener func(t *testing.T, root string, o Options) *Reader

func opening(m maker) opener {
	return func(t *testing.T, root string, o Options) *Reader {
		t.Helper()
		s, err := open(root, o, m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

func TestConforms(t *testing.T) {
	root := t.TempDir()
	made := map[string]string{} // all drivers read the same directories
	for name, o := range map[string]Options{"": {}, "one worker": {Workers: 1}} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, open opener) {
				storetest.TestReader(t, storetest.Reader{Fill: func(t *testing.T, files map[string]string, dirs []string) backend.Reader {
					what := fmt.Sprint(files, dirs)
					if made[what] == "" {
						made[what] = filepath.Join(root, fmt.Sprint(len(made)))
						fill(t, made[what], files, dirs)
					}
					return open(t, made[what], o)
				}})
			})
		})
	}
}

// fill writes files and empty directories below root.
func fill(t *testing.T, root string, files map[string]string, dirs []string) {
	t.Helper()
	mkdir(t, root, "")
	for _, key := range dirs {
		mkdir(t, root, key)
	}
	made := map[string]bool{}
	for key, body := range files {
		if dir := filepath.Dir(key); !made[dir] {
			mkdir(t, root, dir)
			made[dir] = true
		}
		write(t, root, key, body)
	}
}

func mkdir(t *testing.T, root, key string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, key), 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, root, key, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, key), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

// seen is what a listing returned: bodies of leaves and faults, by key.
type seen struct {
	items  map[string]string
	faults map[string]error
}

// listAll lists with the leaf "link" expected below every directory named in dirs.
func listAll(t *testing.T, s *Reader, prefix string, dirs ...string) seen {
	t.Helper()
	return listWith(t, s, prefix, expecting(backend.Hint{Name: "link", Read: 100}, dirs...))
}

func listWith(t *testing.T, s *Reader, prefix string, expect backend.HintFunc) seen {
	t.Helper()
	got := seen{map[string]string{}, map[string]error{}}
	err := s.List(context.Background(), prefix, expect, func(b backend.Batch) error {
		got.add(t, b)
		return nil
	})
	if err != nil {
		t.Fatalf("List(%q): %v", prefix, err)
	}
	return got
}

// expecting expects leaf only below the children of dirs.
func expecting(leaf backend.Hint, dirs ...string) backend.HintFunc {
	return func(dir string) backend.Hint {
		if slices.Contains(dirs, dir) {
			return leaf
		}
		return backend.Hint{}
	}
}

func (s *seen) add(t *testing.T, b backend.Batch) {
	for _, item := range b.Items {
		key := strings.Clone(backend.JoinKey(b.Dir, item.Name))
		if _, ok := s.items[key]; ok {
			t.Errorf("%q is listed twice", key)
		}
		s.items[key] = string(bytes.Clone(item.Body))
	}
	for _, f := range b.Faults {
		if _, ok := s.faults[f.Key]; ok {
			t.Errorf("two faults for %q", f.Key)
		}
		s.faults[strings.Clone(f.Key)] = f.Err
	}
}

// mustBe checks the keys that were listed and the reasons of all faults.
func (s seen) mustBe(t *testing.T, items string, faults map[string]error) {
	t.Helper()
	if got := strings.Join(slices.Sorted(maps.Keys(s.items)), " "); got != items {
		t.Errorf("listed %s\n  want %s", got, items)
	}
	for key, want := range faults {
		if got := s.faults[key]; !errors.Is(got, want) {
			t.Errorf("fault of %q: %v, want %v", key, got, want)
		}
	}
	for key, err := range s.faults {
		if faults[key] == nil {
			t.Errorf("unexpected fault of %q: %v", key, err)
		}
	}
}

// mustFail checks that Open and Stat of a key fail. The error must name the component
// that can't be entered, and must not be fs.ErrNotExist.
func mustFail(t *testing.T, s *Reader, key string, want error, names string) {
	t.Helper()
	f, openErr := s.Open(context.Background(), key)
	if openErr == nil {
		f.Close()
	}
	_, statErr := s.Stat(context.Background(), key)
	for op, err := range map[string]error{"Open": openErr, "Stat": statErr} {
		if !errors.Is(err, want) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s(%q): %v, want %v", op, key, err, want)
		}
		if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != names || pe.Op != strings.ToLower(op) {
			t.Errorf("%s(%q): %v, want it to name %q", op, key, err, names)
		}
	}
}

func mustRead(t *testing.T, s *Reader, key, want string) {
	t.Helper()
	f, err := s.Open(context.Background(), key)
	if err != nil {
		t.Errorf("Open(%q): %v", key, err)
		return
	}
	defer f.Close()
	if got, err := io.ReadAll(f); string(got) != want || err != nil {
		t.Errorf("%q holds %q (%v), want %q", key, got, err, want)
	}
	if item, err := s.Stat(context.Background(), key); err != nil || item.Size != int64(len(want)) {
		t.Errorf("Stat(%q): %+v, %v", key, item, err)
	}
}

func symlink(t *testing.T, root, target, key string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(root, key)); err != nil {
		t.Fatal(err)
	}
}
