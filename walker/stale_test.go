package walker

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
)

// stale is a Reader whose listing shows keys that Stat doesn't find.
type stale struct {
	backend.Reader
	there  map[string]bool
	broken map[string]bool
	looks  []string
}

func (s *stale) Stat(_ context.Context, key string) (backend.Item, error) {
	s.looks = append(s.looks, key)
	switch {
	case s.broken[key]:
		return backend.Item{}, errors.New("the server is in trouble")
	case s.there[key]:
		return backend.Item{Name: key}, nil
	}
	return backend.Item{}, fs.ErrNotExist
}

// TestCurrent: only items that Stat reports as missing are left out, and only those that may
// have been removed are rechecked.
func TestCurrent(t *testing.T) {
	s := &stale{there: map[string]bool{"d/back/link": true}, broken: map[string]bool{"d/unknown/link": true}}
	w := &Walker{Reader: s, Removed: func(key string) bool { return !strings.Contains(key, "never") }}
	var got []string
	each := w.current(t.Context(), func(b backend.Batch) error {
		for _, item := range b.Items {
			got = append(got, item.Name)
		}
		return nil
	})
	batch := func(names ...string) (b backend.Batch) {
		b.Dir = "d"
		for _, name := range names {
			b.Items = append(b.Items, backend.Item{Name: name})
		}
		return b
	}
	for _, b := range []backend.Batch{batch("gone/link", "back/link", "never/link", "unknown/link", "folder/"), batch("gone/link")} {
		if err := each(b); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"back/link", "never/link", "unknown/link", "folder/"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if want := []string{"d/gone/link", "d/back/link", "d/unknown/link", "d/gone/link"}; !slices.Equal(s.looks, want) {
		t.Errorf("looked at %q, want %q", s.looks, want)
	}
}
