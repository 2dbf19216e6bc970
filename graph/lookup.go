package graph

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Tagged is a tag, by its links.
type Tagged struct {
	Name    string
	Digest  layout.Digest // its target; zero if unknown
	Doubt   string        // why the target is unknown or uncertain, or the tag can't be removed; "" for none
	Config  layout.Digest // digest of the image's config, or of an index's first image; zero for none
	Pushed  time.Time     // when it was set to Digest, in whole seconds, rounded up; zero without a current link
	Subject layout.Digest // of a referrers tag: its subject; else zero
}

// Catalog looks up repositories, tags and digests by name. It judges nothing and doesn't read
// the store.
type Catalog struct{ g *Graph }

// Repositories returns the names of all repositories with own directories, sorted.
func (c Catalog) Repositories() []string {
	var names []string
	for i := range c.g.Repos {
		if c.g.Repos[i].Exists {
			names = append(names, c.g.Repos[i].Name)
		}
	}
	return names
}

// Tags yields the tags of a repository, by name; none if there is no such repository.
func (c Catalog) Tags(repository string) iter.Seq[Tagged] {
	return func(yield func(Tagged) bool) {
		at, ok := c.g.RepoID[repository]
		if !ok {
			return
		}
		configs := ConfigsOf(c.g, &c.g.Repos[at])
		for _, t := range c.g.Repos[at].Tags {
			is := Tagged{Name: t.Name, Pushed: TimeOf(t.Modified)}
			if t.Target != None {
				is.Digest, is.Doubt = c.g.DigestOf(t.Target), c.g.DoubtOf(t.Target)
				if c.g.IsForeign(t.Target) {
					is.Doubt = cmp.Or(is.Doubt, "its digest is by another algorithm than sha256")
				}
				if config := configs.Of(t.Target); config != None {
					is.Config = c.g.DigestOf(config)
				}
			} else {
				is.Doubt = "its target is unknown"
			}
			if c.g.Repos[at].BadName || t.BadName {
				is.Doubt = "its name is not one that a registry accepts"
			}
			is.Subject, _ = layout.SubjectOf(t.Name)
			if !yield(is) {
				return
			}
		}
	}
}

// Manifests yields the digests of the manifests with a link in a repository, in any order,
// with missing and broken ones.
func (c Catalog) Manifests(repository string) iter.Seq[string] {
	return func(yield func(string) bool) {
		at, ok := c.g.RepoID[repository]
		if !ok {
			return
		}
		for _, v := range c.g.Repos[at].Revisions {
			if !yield(c.g.AnyOf(v.ID).String()) {
				return
			}
		}
	}
}

// Readable reports whether everything could be listed and read: if not, what can't be found
// may still be there.
func (c Catalog) Readable() bool {
	if len(c.g.Faults) > 0 {
		return false
	}
	for i := range c.g.Nodes {
		if c.g.Nodes[i].State == walker.ManifestUnreadable {
			return false
		}
	}
	return true
}

// Reachable returns the manifests of a repository that are reachable from those, themselves
// included.
func (c Catalog) Reachable(repository string, from []layout.Digest) map[layout.Digest]bool {
	led := map[layout.Digest]bool{}
	at, ok := c.g.RepoID[repository]
	if !ok {
		return led
	}
	var ids []uint32
	for _, d := range from {
		if id := c.g.KnownID(d); id != None {
			ids = append(ids, id)
		}
	}
	for id := range ReachableFrom(c.g, &c.g.Repos[at], ids) {
		led[c.g.DigestOf(id)] = true
	}
	return led
}

// Knows reports whether the store has a digest, of any algorithm, of a manifest or blob.
func (c Catalog) Knows(digest string) bool { return c.g.KnownIDOf(digest) != None }

// Begun returns the store's sha256 digests by their first hex digits, at least 12 of them.
func (c Catalog) Begun(hex []string) map[string][]string {
	const certain = 6 // bytes that each prefix has at least
	asked := map[[certain]byte][]string{}
	for _, h := range hex {
		if d, ok := layout.ParseHex(h + strings.Repeat("0", max(0, 2*len(layout.Digest{})-len(h)))); ok {
			begin := [certain]byte(d[:])
			asked[begin] = append(asked[begin], h)
		}
	}
	all := map[string][]string{}
	note := func(digests []layout.Digest) {
		for _, d := range digests {
			for _, h := range asked[[certain]byte(d[:])] {
				if strings.HasPrefix(d.Hex(), h) {
					all[h] = append(all[h], d.String())
				}
			}
		}
	}
	if len(asked) > 0 {
		for b := range c.g.Table.digests {
			note(c.g.Table.digests[b])
		}
		note(c.g.Unlisted)
	}
	return all
}

// Related returns the manifests of a repository that are related to one of the digests, which
// may be of blobs too: they have it, need it, are the subject of one that does, or are
// children of it. Each is returned with the digest, the first one of several.
func (c Catalog) Related(repository string, digests []string) map[layout.Digest]string {
	related := map[layout.Digest]string{}
	at, ok := c.g.RepoID[repository]
	if !ok {
		return related
	}
	r := &c.g.Repos[at]
	up, down := map[uint32]int{}, map[uint32]int{} // indexes in digests, the first of each
	for place, d := range digests {
		id := c.g.KnownIDOf(d)
		if id == None {
			continue
		}
		for todo := []uint32{id, r.Resolve(id)}; len(todo) > 0; {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if !lower(down, id, place) {
				continue
			}
			for e, needed := range c.g.In(r, id).Needs {
				if e.IsEntry() {
					todo = append(todo, needed)
				}
			}
		}
		lower(up, id, place)
		lower(up, r.Resolve(id), place)
	}
	var manifests []uint32
	for _, v := range r.Revisions {
		manifests = append(manifests, v.ID)
	}
	manifests = slices.AppendSeq(manifests, r.Targets)
	subjects := c.subjectsIn(r, manifests)
	for changed := len(up) > 0; changed; { // nested indexes take further rounds
		changed = false
		for id, all := range subjects {
			for _, of := range all {
				if place, leads := up[id]; leads && lower(up, of, place) {
					changed = true
				}
			}
		}
		for _, id := range manifests {
			for _, needed := range c.g.In(r, id).Needs {
				if place, leads := up[needed]; leads && lower(up, id, place) {
					changed = true
				}
			}
		}
	}
	for _, id := range manifests {
		if place, named := down[id]; named {
			lower(up, id, place)
		}
		if place, ok := up[id]; ok {
			related[c.g.DigestOf(id)] = digests[place]
		}
	}
	delete(related, layout.Digest{}) // digests of other algorithms have the zero Digest
	return related
}

// subjectsIn returns the subjects of manifests in a repository, by referrer, from the
// manifests and from referrers tags.
func (c Catalog) subjectsIn(r *Repository, manifests []uint32) map[uint32][]uint32 {
	all := map[uint32][]uint32{}
	for _, id := range manifests {
		for of := range c.g.In(r, id).Subjects {
			all[id] = append(all[id], of)
		}
	}
	for of, tags := range c.g.ReferrersTags(r) {
		for _, t := range tags {
			if id := r.Tags[t].Target; id != None && of != None {
				all[id] = append(all[id], of)
			}
		}
	}
	return all
}

// lower sets the index of id if it has none or a larger one, and reports whether it did.
func lower(places map[uint32]int, id uint32, place int) bool {
	if was, met := places[id]; met && was <= place {
		return false
	}
	places[id] = place
	return true
}

// NeededBy returns the digests that revisions and tags of a repository need: those of each
// revision and tag target whose link counts, and all their references. counts is called with
// the link's time, in whole seconds rounded up. The error says why it is unknown what they
// need.
func (c Catalog) NeededBy(repository string, counts func(key string, written time.Time) bool) (map[layout.AnyDigest]bool, error) {
	if err := c.blindTo(repository); err != nil {
		return nil, err
	}
	at, ok := c.g.RepoID[repository]
	if !ok {
		return nil, nil
	}
	r := &c.g.Repos[at]
	var todo []uint32
	for _, v := range r.Revisions {
		if counts(layout.RevisionKey(repository, c.g.DigestOf(v.ID)), TimeOf(v.Modified)) {
			todo = append(todo, v.ID)
		}
	}
	for _, t := range r.Tags {
		if t.Target != None && counts(layout.CurrentKey(repository, t.Name), TimeOf(t.Modified)) {
			todo = append(todo, t.Target)
		}
	}
	return c.needed(r, todo)
}

// blindTo returns a fault that may hide something of a repository, or blobs.
func (c Catalog) blindTo(repository string) error {
	key := layout.RepositoryKey(repository)
	for i := range c.g.Faults {
		f := &c.g.Faults[i]
		elsewhere := strings.HasPrefix(f.Key, layout.Repositories+"/")
		if !elsewhere || strings.HasPrefix(f.Key+"/", key+"/") || strings.HasPrefix(key+"/", f.Key+"/") {
			return fmt.Errorf("%s could not be read", f.Key)
		}
	}
	return nil
}

// needed returns the digests of manifests and of all their references, with the targets of
// aliases in the repository.
func (c Catalog) needed(r *Repository, todo []uint32) (map[layout.AnyDigest]bool, error) {
	stands := map[uint32]uint32{}
	for _, a := range r.Aliases {
		stands[a.ID] = a.Target
	}
	all := map[layout.AnyDigest]bool{}
	seen := map[uint32]bool{}
	manifests := map[uint32]bool{} // those that must have been read
	for _, id := range todo {
		manifests[id] = true
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id == None || seen[id] {
			continue
		}
		seen[id] = true
		all[c.g.AnyOf(id)] = true
		target, alias := stands[id]
		if alias {
			manifests[target] = manifests[id]
			todo = append(todo, target)
		}
		if c.g.IsForeign(id) && (alias || !c.g.Present(id)) {
			continue
		}
		n := c.g.NodeAt(id)
		if n == nil {
			if manifests[id] {
				return nil, fmt.Errorf("the manifest %s could not be read", c.g.NameOf(id))
			}
			continue
		}
		if n.State == walker.ManifestUnread || n.State == walker.ManifestUnreadable || n.State == walker.ManifestArchived {
			return nil, fmt.Errorf("the manifest %s could not be read", c.g.NameOf(id))
		}
		for e := range c.g.In(r, id).References {
			if e.Role() == manifest.Child {
				manifests[e.ID()] = true
			}
			todo = append(todo, e.ID())
		}
		for of := range c.g.In(r, id).Subjects {
			todo = append(todo, of)
		}
	}
	return all, nil
}

// ReachableFrom returns the manifests that a repository keeps as long as it keeps those,
// themselves included: children, referrers, and targets of referrers tags.
func ReachableFrom(g *Graph, r *Repository, todo []uint32) map[uint32]bool {
	tags := g.ReferrersTags(r)
	led := map[uint32]bool{}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if led[id] {
			continue
		}
		led[id] = true
		for e, needed := range g.In(r, id).Needs {
			if e.IsEntry() {
				todo = append(todo, needed)
			}
		}
		for referrer := range g.In(r, id).Referrers {
			todo = append(todo, referrer)
		}
		for _, t := range tags[id] {
			if target := r.Tags[t].Target; target != None {
				todo = append(todo, target)
			}
		}
	}
	return led
}
