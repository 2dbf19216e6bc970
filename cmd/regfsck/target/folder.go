package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inside is where a registry keeps its files, below its root folder.
const inside = "docker/registry/v2"

// parts are the two directories of which a registry's storage consists.
var parts = [...]string{"blobs", "repositories"}

// folder finds the store that a folder is, or is a part of.
func folder(store string) (Target, error) {
	abs, err := filepath.Abs(store)
	if err != nil {
		return Target{}, fmt.Errorf("%s: %w", store, err)
	}
	t, ok := storeOf(abs)
	if !ok {
		return Target{}, noRegistry(store, abs)
	}
	for _, dir := range [...]string{t.Root, t.Path(inside)} {
		if _, err := names(dir); err != nil {
			return Target{}, sentence(dir, err)
		}
	}
	for _, part := range parts {
		if _, err := os.Lstat(t.Path(inside + "/" + part)); err == nil {
			return t, nil
		}
	}
	v2 := t.Path(inside)
	if found, _ := names(v2); len(found) == 0 {
		return Target{}, fmt.Errorf("%s is empty: either the registry has stored nothing yet, or its disk is not mounted", v2)
	}
	return Target{}, fmt.Errorf("%s holds neither blobs nor repositories: this is not a registry's storage", v2)
}

// storeOf returns the store whose root a folder is, or whose root is above it in
// the folders that a registry makes; or the v2 that it is or holds. One store has
// one root, however it was named: the state directory stands there.
func storeOf(abs string) (Target, bool) {
	root, ok := rootOf(abs)
	if ok {
		return Target{Root: root, Name: root}, true
	}
	for _, v2 := range [...]string{filepath.Join(abs, "v2"), abs} {
		if !isV2(v2) {
			continue
		}
		if real, err := filepath.EvalSymlinks(v2); err == nil {
			v2 = real
		}
		if root, ok := rootOf(v2); ok {
			return Target{Root: root, Name: root}, true
		}
		return Target{Root: v2, Base: inside, Name: v2}, true
	}
	return Target{}, false
}

// rootOf climbs out of the folders that a registry makes.
func rootOf(abs string) (string, bool) {
	if isDir(filepath.Join(abs, inside)) {
		return abs, true
	}
	for _, part := range [...]string{inside, "docker/registry", "docker"} {
		root, ok := strings.CutSuffix(filepath.ToSlash(abs), "/"+part)
		if !ok {
			continue
		}
		if root = filepath.FromSlash(root); root == "" {
			root = string(filepath.Separator)
		}
		if isDir(filepath.Join(root, inside)) {
			return root, true
		}
	}
	return "", false
}

// isV2 reports whether a directory is what stands in docker/registry/v2. An OCI
// layout has blobs too, and no repositories.
func isV2(dir string) bool {
	for _, part := range parts {
		if !isDir(filepath.Join(dir, part)) {
			return false
		}
	}
	return true
}

// noRegistry says what a folder is that is no registry's storage, and which one
// near it is.
func noRegistry(store, abs string) error {
	found, err := names(abs)
	if err == nil {
		_, err = os.Stat(filepath.Join(abs, inside))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return sentence(store, err)
	}
	for at := filepath.Dir(abs); at != filepath.Dir(at); at = filepath.Dir(at) {
		if t, ok := storeOf(at); ok && within(abs, t.Path(inside)) {
			return fmt.Errorf("%s is a part of a registry's storage, which is examined as a whole: name %s", store, t.Root)
		}
	}
	below := storesBelow(abs)
	switch {
	case len(found) == 0:
		return fmt.Errorf("%s is an empty folder: is its disk mounted?", store)
	case len(below) > 0:
		return fmt.Errorf("%s holds no folder %s; what stands below it and does: %s. Name one of these", store, inside, strings.Join(below, ", "))
	}
	return fmt.Errorf("%s holds no folder %s: this is not a registry's storage (STORE is the folder that a registry's configuration calls rootdirectory)", store, inside)
}

// Intrudes returns the root of another store among whose files a path stands, or in
// whose own directory of the name own; "" for none. The path has no links on its way.
func (t Target) Intrudes(path, own string) (root string) {
	for at := path; ; at = filepath.Dir(at) {
		if other, ok := storeOf(at); ok && !other.is(t) {
			mine := append(other.Occupied(), filepath.Join(other.Root, own))
			if slices.ContainsFunc(mine, func(dir string) bool { return within(path, dir) }) {
				return other.Root
			}
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// is reports whether two stores have the same directory.
func (t Target) is(other Target) bool {
	a, err := os.Stat(t.Root)
	b, again := os.Stat(other.Root)
	return t.Bucket == nil && other.Bucket == nil && err == nil && again == nil && os.SameFile(a, b)
}

// within reports whether an absolute path is dir or is below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// How far storesBelow looks: so many levels, so many names of each directory, and
// so many stores.
const (
	levelsBelow = 2
	namesBelow  = 200
	mostBelow   = 3
)

// storesBelow returns the roots of some stores that stand a little below a folder.
func storesBelow(abs string) (roots []string) {
	level := []string{abs}
	for range levelsBelow {
		var next []string
		for _, dir := range level {
			d, err := os.Open(dir)
			if err != nil {
				continue
			}
			kids, _ := d.ReadDir(namesBelow)
			d.Close()
			slices.SortFunc(kids, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			for _, kid := range kids {
				at := filepath.Join(dir, kid.Name())
				if !kid.IsDir() {
					continue
				}
				t, ok := storeOf(at)
				switch {
				case !ok:
					next = append(next, at)
				case len(roots) < mostBelow && !slices.Contains(roots, t.Root):
					roots = append(roots, t.Root)
				}
			}
		}
		level = next[:min(len(next), namesBelow)]
	}
	return roots
}

// names returns one name of what a folder holds, if it holds anything.
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
