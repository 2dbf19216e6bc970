package graph

import (
	"fmt"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// NeededSince returns the digests that what was pushed to a repository since a
// moment needs there: that of each revision and each tag's target whose link is
// not older, and all that those manifests name, through indexes too. own reports
// whether a link with that time, in whole seconds rounded up, is none that a push
// wrote. The error says why nobody can tell what a push needs.
func (c *Scan) NeededSince(repository string, since time.Time, own func(key string, written time.Time) bool) (map[layout.AnyDigest]bool, error) {
	if err := c.g.blindTo(repository); err != nil {
		return nil, err
	}
	at, ok := c.g.repoID[repository]
	if !ok {
		return nil, nil
	}
	r := &c.g.repos[at]
	var todo []uint32
	pushed := func(key string, modified uint32) bool {
		written := timeOf(modified)
		return !written.Before(since) && !own(key, written)
	}
	for _, v := range r.revisions {
		if pushed(layout.RevisionKey(repository, c.g.digestOf(v.id)), v.modified) {
			todo = append(todo, v.id)
		}
	}
	for _, t := range r.tags {
		if t.target != none && pushed(layout.CurrentKey(repository, t.name), t.modified) {
			todo = append(todo, t.target)
		}
	}
	return c.g.needed(r, todo)
}

// blindTo returns what could not be read and may hide something of a repository,
// or blobs.
func (g *graph) blindTo(repository string) error {
	key := layout.RepositoryKey(repository)
	for i := range g.faults {
		f := &g.faults[i]
		elsewhere := strings.HasPrefix(f.Key, layout.Repositories+"/")
		if !elsewhere || strings.HasPrefix(f.Key+"/", key+"/") || strings.HasPrefix(key+"/", f.Key+"/") {
			return fmt.Errorf("%s could not be read", f.Key)
		}
	}
	return nil
}

// needed returns the digests of manifests and of all that they name, with what
// digests of other algorithms stand for in the repository.
func (g *graph) needed(r *repo, todo []uint32) (map[layout.AnyDigest]bool, error) {
	stands := map[uint32]uint32{}
	for _, a := range r.aliases {
		stands[a.id] = a.target
	}
	all := map[layout.AnyDigest]bool{}
	seen := map[uint32]bool{}
	manifests := map[uint32]bool{} // those among them that must have been read
	for _, id := range todo {
		manifests[id] = true
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id == none || seen[id] {
			continue
		}
		seen[id] = true
		all[g.anyOf(id)] = true
		target, alias := stands[id]
		if alias {
			manifests[target] = manifests[id]
			todo = append(todo, target)
		}
		if g.isForeign(id) && (alias || !g.present(id)) {
			continue
		}
		n := g.nodeAt(id)
		if n == nil {
			if manifests[id] {
				return nil, fmt.Errorf("the manifest %s could not be read", g.nameOf(id))
			}
			continue
		}
		if n.state == walker.ManifestUnread || n.state == walker.ManifestUnreadable || n.state == walker.ManifestArchived {
			return nil, fmt.Errorf("the manifest %s could not be read", g.nameOf(id))
		}
		for e := range g.in(r, id).references {
			if e.role() == manifest.Child {
				manifests[e.id()] = true
			}
			todo = append(todo, e.id())
		}
		todo = append(todo, g.subjectOf(id))
	}
	return all, nil
}
