package location

import (
	"fmt"
	"path/filepath"

	"regfsck/backend"
)

// CheckFollowed refuses links to follow whose targets have another name in the store: each
// object there would be checked twice, and what one name doesn't need would be removed under
// the other. Links that can't be resolved are accepted; opening the store fails on them.
func (l Location) CheckFollowed(follow []string) error {
	root, err := filepath.EvalSymlinks(l.Traits().Root)
	if err != nil {
		return nil
	}
	seen := Occupied(l, root)
	named := map[string]bool{}
	for _, path := range follow {
		at := path
		if !filepath.IsAbs(at) {
			at = l.Path(at)
		}
		parent, err := filepath.EvalSymlinks(filepath.Dir(at))
		if err != nil {
			continue
		}
		at = filepath.Join(parent, filepath.Base(at))
		real, err := filepath.EvalSymlinks(at)
		if err != nil || real == at || named[at] { // mounts are detected while the store is listed
			continue
		}
		named[at] = true
		for _, other := range seen {
			if backend.Within(real, other) || backend.Within(other, real) {
				return fmt.Errorf("--follow %s: it points to %s, which is a part of the store under another name", path, real)
			}
		}
		seen = append(seen, real)
	}
	return nil
}
