package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Driver returns the driver of directories.
func Driver() backend.Driver {
	return backend.Driver{
		ConfigNames: []string{"filesystem"},
		Traits:      backend.Traits{Noun: "directory"},
		Parse: func(store string, _ backend.Values) (backend.Location, error) {
			l, err := find(store)
			if err != nil {
				return nil, err
			}
			return l, nil
		},
		FromConfig: func(c backend.Config, _ backend.Values) (backend.Location, error) { return configured(c) },
		At: func(dir string) backend.Location {
			if l, ok := storeOf(dir); ok {
				return l
			}
			return nil
		},
	}
}

// defaultRoot is the directory in which a registry keeps its files by default.
const defaultRoot = "/var/lib/registry"

// configured finds the store of a configuration.
func configured(c backend.Config) (backend.Location, error) {
	root := defaultRoot
	if given, ok := c.Parameters["rootdirectory"]; ok {
		root = fmt.Sprint(given)
	}
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("%s: rootdirectory %q is relative to the directory in which the registry is started: name the directory itself as STORE", c.Where, root)
	}
	l, err := find(root)
	if err != nil {
		return nil, fmt.Errorf("the storage that %s configures: %w", c.File, err)
	}
	if l.base != "" {
		return nil, fmt.Errorf("%s: rootdirectory %s is a registry's directory v2 itself, or holds it; the registry keeps its files in %s below its rootdirectory. To examine these files, name %s as STORE", c.Where, root, layout.Root, l.root)
	}
	return l, nil
}

// location is a store in a directory: root has the key base.
type location struct{ root, base string }

// String is backend.Location's.
func (l *location) String() string { return l.root }

// Identity is backend.Location's.
func (l *location) Identity() string { return l.root }

// Traits is backend.Location's.
func (l *location) Traits() backend.Traits {
	return backend.Traits{Noun: "directory", Root: l.root, Base: l.base}
}

// Open is backend.Location's.
func (l *location) Open(_ context.Context, a backend.Access) (backend.OpenedReader, error) {
	return Open(l.root, l.options(a))
}

// Near is backend.Location's. An address isn't a directory.
func (l *location) Near(address string) (backend.Location, error) {
	return nil, fmt.Errorf("%s can't be reached as a directory is", backend.HideUser(address))
}

// OpenStore is backend.Location's.
func (l *location) OpenStore(_ context.Context, a backend.Access, state string) (backend.OpenedStore, error) {
	w, err := OpenStore(l.root, l.options(a), state)
	return changeable{w}, err
}

func (l *location) options(a backend.Access) Options {
	return Options{Base: l.base, Workers: a.Workers, Follow: a.Follow}
}

// path returns the path of a key in the filesystem.
func (l *location) path(key string) string {
	return filepath.Join(l.root, filepath.FromSlash(strings.TrimPrefix(key, l.base)))
}

// changeable is a Store whose lock ends with its process.
type changeable struct{ *Store }

// MayUndo is backend.OpenedStore's.
func (o changeable) MayUndo(ctx context.Context) error { return o.CanUndo(ctx) }

// Retained is backend.Lease's.
func (o changeable) Retained(context.Context) error { return nil }

// Describe is backend.OpenedStore's: a directory has nothing that a listing doesn't show.
func (o changeable) Describe(context.Context) (d backend.Description) { return d }

// BreakLock is backend.Lease's.
func (o changeable) BreakLock(context.Context, string) error { return errors.ErrUnsupported }

// parts are the two directories of which a registry's storage consists.
var parts = [...]string{"blobs", "repositories"}

// find finds the store that a directory is, or is a part of.
func find(store string) (*location, error) {
	abs, err := filepath.Abs(store)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", store, err)
	}
	t, ok := storeOf(abs)
	if !ok {
		return nil, noRegistry(store, abs)
	}
	for _, dir := range [...]string{t.root, t.path(layout.Root)} {
		if _, err := names(dir); err != nil {
			return nil, backend.Unusable(dir, err)
		}
	}
	for _, part := range parts {
		if _, err := os.Lstat(t.path(layout.Root + "/" + part)); err == nil {
			return t, nil
		}
	}
	v2 := t.path(layout.Root)
	if found, _ := names(v2); len(found) == 0 {
		return nil, fmt.Errorf("%s is empty: either the registry has stored nothing yet, or its disk is not mounted", v2)
	}
	return nil, fmt.Errorf("%s holds neither blobs nor repositories: this is not a registry's storage", v2)
}

// storeOf returns the store that a directory belongs to: the directory is its root, one of
// the directories that a registry makes below a root, or a directory v2 or its parent. All
// names of a store give the same root, which contains the state directory.
func storeOf(abs string) (*location, bool) {
	root, ok := rootOf(abs)
	if ok {
		return &location{root: root}, true
	}
	for _, v2 := range [...]string{filepath.Join(abs, "v2"), abs} {
		if !isV2(v2) {
			continue
		}
		if real, err := filepath.EvalSymlinks(v2); err == nil {
			v2 = real
		}
		if root, ok := rootOf(v2); ok {
			return &location{root: root}, true
		}
		return &location{root: v2, base: layout.Root}, true
	}
	return nil, false
}

// rootOf returns the root if abs is the root or one of the directories that a registry
// makes below it.
func rootOf(abs string) (string, bool) {
	if isDir(filepath.Join(abs, layout.Root)) {
		return abs, true
	}
	for _, part := range [...]string{layout.Root, "docker/registry", "docker"} {
		root, ok := strings.CutSuffix(filepath.ToSlash(abs), "/"+part)
		if !ok {
			continue
		}
		if root = filepath.FromSlash(root); root == "" {
			root = string(filepath.Separator)
		}
		if isDir(filepath.Join(root, layout.Root)) {
			return root, true
		}
	}
	return "", false
}

// isV2 reports whether a directory has the content of docker/registry/v2. An OCI
// layout has blobs too, but no repositories.
func isV2(dir string) bool {
	for _, part := range parts {
		if !isDir(filepath.Join(dir, part)) {
			return false
		}
	}
	return true
}

// noRegistry returns the error for a directory that isn't a registry's storage. It names
// storages near it.
func noRegistry(store, abs string) error {
	found, err := names(abs)
	if err == nil {
		_, err = os.Stat(filepath.Join(abs, layout.Root))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return backend.Unusable(store, err)
	}
	for at := filepath.Dir(abs); at != filepath.Dir(at); at = filepath.Dir(at) {
		if t, ok := storeOf(at); ok && backend.Within(abs, t.path(layout.Root)) {
			return fmt.Errorf("%s is a part of a registry's storage, which is examined as a whole: name %s", store, t.root)
		}
	}
	below := storesBelow(abs)
	switch {
	case len(found) == 0:
		return fmt.Errorf("%s is an empty directory: is its disk mounted?", store)
	case len(below) > 0:
		return fmt.Errorf("%s holds no directory %s; these directories below it do: %s. Name one of them", store, layout.Root, strings.Join(below, ", "))
	}
	return fmt.Errorf("%s holds no directory %s: this is not a registry's storage (STORE is the directory that a registry's configuration calls rootdirectory)", store, layout.Root)
}

// The limits of storesBelow.
const (
	levelsBelow = 2
	namesBelow  = 200 // of each directory
	mostBelow   = 3   // stores
)

// storesBelow returns the roots of some stores near below a directory.
func storesBelow(abs string) (roots []string) {
	level := []string{abs}
	for range levelsBelow {
		var next []string
		for _, dir := range level {
			d, err := os.Open(dir)
			if err != nil {
				continue
			}
			children, _ := d.ReadDir(namesBelow)
			d.Close()
			slices.SortFunc(children, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			for _, child := range children {
				at := filepath.Join(dir, child.Name())
				if !child.IsDir() {
					continue
				}
				t, ok := storeOf(at)
				switch {
				case !ok:
					next = append(next, at)
				case len(roots) < mostBelow && !slices.Contains(roots, t.root):
					roots = append(roots, t.root)
				}
			}
		}
		level = next[:min(len(next), namesBelow)]
	}
	return roots
}

// names returns one name in a directory, or none if it is empty.
func names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return found, err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
