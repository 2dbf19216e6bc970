package graph

import (
	"slices"
	"strings"

	"regfsck/walker/layout"
)

// parts are some of a repository's own folders.
type parts uint8

const (
	partLayers parts = 1 << iota // in the order of partNames
	partManifests
)

// partNames are the folders' names, by their bits.
var partNames = [...]string{"_layers", "_manifests", "_uploads"}

// partOf returns the folder of its repository in which a key lies; 0 for none.
func partOf(repository, key string) parts {
	rest, ok := strings.CutPrefix(key, layout.RepositoryKey(repository)+"/")
	if !ok {
		return 0
	}
	name, _, _ := strings.Cut(rest, "/")
	if at := slices.Index(partNames[:], name); at >= 0 {
		return 1 << at
	}
	return 0
}

// goes returns the repository's folders that can be removed as a whole once
// nothing needs it.
func (r *repo) goes() parts {
	has := r.has
	if len(r.layers)+len(r.aliases) > 0 {
		has |= partLayers
	}
	if len(r.revisions) > 0 {
		has |= partManifests
	}
	return has &^ r.foreign
}

// without names the folders that aren't among the parts.
func (p parts) without() (names []string) {
	for at, name := range partNames {
		if p&(1<<at) == 0 {
			names = append(names, name)
		}
	}
	return names
}
