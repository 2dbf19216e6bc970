package graph

import (
	"slices"
	"strings"
)

// Has reports whether there is a repository of that name.
func (u *Usage) Has(repository string) bool {
	i, ok := u.j.repoID[repository]
	return ok && u.j.repos[i].exists
}

// HasTag reports whether the repository has that tag.
func (u *Usage) HasTag(repository, tag string) bool {
	i, ok := u.j.repoID[repository]
	return ok && u.j.repos[i].tagAt(tag) != none
}

// Names are the names of all repositories, sorted.
func (u *Usage) Names() (names []string) {
	for i := range u.j.repos {
		if u.j.repos[i].exists {
			names = append(names, u.j.repos[i].name)
		}
	}
	return names
}

// TagNames are the names of a repository's tags, sorted.
func (u *Usage) TagNames(repository string) (names []string) {
	if i, ok := u.j.repoID[repository]; ok {
		for t := range u.j.repos[i].tags {
			names = append(names, u.j.repos[i].tags[t].name)
		}
	}
	return names
}

// Repository returns what one repository uses; the zero value if there is none of
// that name.
func (u *Usage) Repository(name string) RepositoryUsage {
	all, _ := u.Repositories()
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	return RepositoryUsage{}
}

// tagAt returns the index of a tag, none if there is none of that name.
func (r *repo) tagAt(name string) uint32 {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	if !ok {
		return none
	}
	return uint32(at)
}
