package main

import (
	"path/filepath"

	"regfsck/cmd/regfsck/target"
)

// apart refuses links to follow that lead to what has another name in the store
// already: what is seen twice is judged twice, and what isn't needed under one
// name would be taken from the other. What can't be resolved is left to whoever
// opens it.
func apart(t target.Target, follow []string) error {
	root, err := filepath.EvalSymlinks(t.Root)
	if err != nil {
		return nil
	}
	t.Root = root
	seen := t.Occupied()
	named := map[string]bool{}
	for _, path := range follow {
		at := path
		if !filepath.IsAbs(at) {
			at = t.Path(at)
		}
		parent, err := filepath.EvalSymlinks(filepath.Dir(at))
		if err != nil {
			continue
		}
		at = filepath.Join(parent, filepath.Base(at))
		real, err := filepath.EvalSymlinks(at)
		if err != nil || real == at || named[at] { // a mount is told apart where the store is listed
			continue
		}
		named[at] = true
		for _, other := range seen {
			if inside(real, other) || inside(other, real) {
				return misuse("", "--follow %s: it leads to %s, which is a part of the store under another name", path, real)
			}
		}
		seen = append(seen, real)
	}
	return nil
}

// inside reports whether a path is another one or is below it; both are without
// links.
func inside(path, other string) bool {
	rel, err := filepath.Rel(other, path)
	return err == nil && filepath.IsLocal(rel)
}
