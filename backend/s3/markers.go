package s3

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"

	"regfsck/backend"
)

// markers are the keys of the markers that listings have told of. A change looks
// at these alone: of all other keys that end in a slash it knows that there is
// nothing, and asks nobody.
type markers struct {
	sync.Mutex
	keys map[string]bool
}

// maxMarkers bounds how many are remembered. What is beyond goes in a later run.
const maxMarkers = 1 << 17

func (m *markers) add(key string) {
	m.Lock()
	defer m.Unlock()
	if m.keys == nil {
		m.keys = map[string]bool{}
	}
	if len(m.keys) < maxMarkers {
		m.keys[strings.Clone(key)] = true
	}
}

func (m *markers) has(key string) bool {
	m.Lock()
	defer m.Unlock()
	return m.keys[key]
}

// marker adds the marker of a folder to the batch of the folder above.
func (g *grouping) marker(l *listing, key string, o *object) {
	l.markers.add(key)
	folder := strings.TrimSuffix(key, "/")
	dir := above(folder)
	at := g.item(dir, strings.TrimPrefix(key[len(dir):], "/"), o)
	g.items[at].Marker = true
}

// alone says why the marker of a folder can't be removed: because it is unknown,
// or because there is something in the folder. nil says that it can.
func (s *Store) alone(ctx context.Context, key string) error {
	if !s.markers.has(key) {
		return &fs.PathError{Op: "remove", Path: key, Err: errNoFolders}
	}
	var p page
	if err := s.page(ctx, request{prefix: s.root + key, max: 2}, &p); err != nil {
		return err
	}
	switch n := len(p.objects); {
	case n == 0 || n == 1 && p.objects[0].name() != s.root+key:
		return &fs.PathError{Op: "remove", Path: key, Err: fs.ErrNotExist}
	case n > 1:
		return &fs.PathError{Op: "remove", Path: key, Err: backend.ErrNotEmpty}
	}
	return nil
}

// remake is the receipt of a marker that the bucket kept no version of, as
// versitygw keeps none: there is nothing in it, so that it can be written anew.
const remake = "marker"

// remake writes a marker, if it isn't there.
func (s *Store) remake(ctx context.Context, key string) error {
	if _, err := s.stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.whileHeld(ctx, func(ctx context.Context) error {
		_, err := s.write(ctx, key, nil, nil)
		return err
	})
}

// statsOf is Stats for keys of which some are markers.
func (s *Store) statsOf(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	var files []string
	var at []int
	for i, key := range keys {
		if strings.HasSuffix(key, "/") {
			items[i], errs[i] = s.stat(ctx, key)
			continue
		}
		files, at = append(files, key), append(at, i)
	}
	found, failed := s.Stats(ctx, files)
	for n, i := range at {
		items[i], errs[i] = found[n], failed[n]
	}
	return items, errs
}
