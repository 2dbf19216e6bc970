package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
)

// seen is what a listing handed over: bodies of leaves and faults, by key.
type seen struct {
	items  map[string]string
	faults map[string]error
}

// listAll lists with the leaf "link" expected below every folder named in dirs.
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

// expecting expects leaf below the children of dirs alone.
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
		key := strings.Clone(join(b.Dir, item.Name))
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

// mustFail checks Open and Stat of a key, whose error must name the component
// that is in the way and must not say that the key is missing.
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
