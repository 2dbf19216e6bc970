package graph

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Tagged is a tag as its links say.
type Tagged struct {
	Name    string
	Digest  layout.Digest // of what it means; zero where nobody can say
	Doubt   string        // why that can't be read, isn't certain or can't be removed; "" where it can
	Config  layout.Digest // of its image's config, of an index that of its first image; zero for none
	Pushed  time.Time     // when it came to mean that: whole seconds, rounded up; zero where it has no current link
	Subject layout.Digest // of a tag sha256-<hex>…: what it is about; else zero
}

// Repositories returns the names of all that has a repository's directories, sorted.
func (c *Scan) Repositories() []string {
	var names []string
	for i := range c.Graph.Repos {
		if c.Graph.Repos[i].Exists {
			names = append(names, c.Graph.Repos[i].Name)
		}
	}
	return names
}

// Tags are the tags of a repository, by name; none of one that isn't there.
func (c *Scan) Tags(repository string) iter.Seq[Tagged] {
	return func(yield func(Tagged) bool) {
		at, ok := c.Graph.RepoID[repository]
		if !ok {
			return
		}
		configs := c.Graph.ConfigsOf(&c.Graph.Repos[at])
		for _, t := range c.Graph.Repos[at].Tags {
			is := Tagged{Name: t.Name, Pushed: TimeOf(t.Modified)}
			if t.Target != None {
				is.Digest, is.Doubt = c.Graph.DigestOf(t.Target), c.Graph.DoubtOf(t.Target)
				if c.Graph.IsForeign(t.Target) {
					is.Doubt = cmp.Or(is.Doubt, "its digest is by another algorithm than sha256")
				}
				if config := configs.Of(t.Target); config != None {
					is.Config = c.Graph.DigestOf(config)
				}
			} else {
				is.Doubt = "its target is unknown"
			}
			if c.Graph.Repos[at].BadName || t.BadName {
				is.Doubt = "its name is not one that a registry accepts"
			}
			is.Subject, _ = layout.SubjectOf(t.Name)
			if !yield(is) {
				return
			}
		}
	}
}

// Manifests are the digests of the manifests that a repository has a link to, in
// no promised order, those included that are missing or broken.
func (c *Scan) Manifests(repository string) iter.Seq[string] {
	return func(yield func(string) bool) {
		at, ok := c.Graph.RepoID[repository]
		if !ok {
			return
		}
		for _, v := range c.Graph.Repos[at].Revisions {
			if !yield(c.Graph.AnyOf(v.ID).String()) {
				return
			}
		}
	}
}

// Readable reports whether all could be listed and read so far: if not, what can't
// be found here may be there.
func (c *Scan) Readable() bool {
	if len(c.Graph.Faults) > 0 {
		return false
	}
	for i := range c.Graph.Nodes {
		if c.Graph.Nodes[i].State == walker.ManifestUnreadable {
			return false
		}
	}
	return true
}

// DoubtOf says why the manifest under id isn't known, "" where it is.
func (g *Graph) DoubtOf(id uint32) string {
	switch state := g.StateAt(id); state {
	case walker.ManifestGood:
		return ""
	case walker.ManifestUnread:
		return "its manifest was not read"
	default:
		return "its manifest is " + state.String()
	}
}

// Reachable are the manifests of a repository to which those lead, themselves included.
func (c *Scan) Reachable(repository string, from []layout.Digest) map[layout.Digest]bool {
	led := map[layout.Digest]bool{}
	at, ok := c.Graph.RepoID[repository]
	if !ok {
		return led
	}
	var ids []uint32
	for _, d := range from {
		if id := c.Graph.KnownID(d); id != None {
			ids = append(ids, id)
		}
	}
	for id := range c.Graph.ReachableFrom(&c.Graph.Repos[at], ids) {
		led[c.Graph.DigestOf(id)] = true
	}
	return led
}

// Known reports whether the store speaks of a digest: of any algorithm, of a manifest
// or of a blob.
func (c *Scan) Known(digest string) bool { return c.Graph.KnownIDOf(digest) != None }

// Begun returns the sha256 digests that the store speaks of and that begin with one of
// those hex digits, at least 12 each, by these.
func (c *Scan) Begun(hex []string) map[string][]string {
	const certain = 6 // bytes, of which all that is asked for has at least as many
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
		for b := range c.Graph.Table.digests {
			note(c.Graph.Table.digests[b])
		}
		note(c.Graph.Unlisted)
	}
	return all
}

// Related are the manifests of a repository that have to do with one of those digests,
// which may be of configs and other blobs too: they are it, lead to it by whatever they
// need, are the subject of what does, or are what it names as an index. Each comes with
// the digest; of several with the one that stands first in digests.
func (c *Scan) Related(repository string, digests []string) map[layout.Digest]string {
	related := map[layout.Digest]string{}
	at, ok := c.Graph.RepoID[repository]
	if !ok {
		return related
	}
	r := &c.Graph.Repos[at]
	up, down := map[uint32]int{}, map[uint32]int{} // places in digests, the first of each
	for place, d := range digests {
		id := c.Graph.KnownIDOf(d)
		if id == None {
			continue
		}
		for todo := []uint32{id, r.Resolve(id)}; len(todo) > 0; {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if !lower(down, id, place) {
				continue
			}
			for e, needed := range c.Graph.In(r, id).Needs {
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
	for _, t := range r.Tags {
		if t.Target != None {
			manifests = append(manifests, t.Target)
		}
	}
	subjects := c.Graph.subjectsIn(r, manifests)
	for changed := len(up) > 0; changed; { // an index of indexes takes a round more
		changed = false
		for id, all := range subjects {
			for _, of := range all {
				if place, leads := up[id]; leads && lower(up, of, place) {
					changed = true
				}
			}
		}
		for _, id := range manifests {
			for _, needed := range c.Graph.In(r, id).Needs {
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
			related[c.Graph.DigestOf(id)] = digests[place]
		}
	}
	delete(related, layout.Digest{}) // of digests by other algorithms, which are kept for that
	return related
}

// subjectsIn returns the subjects of manifests in a repository, by referrer: those that
// it states, and those that the names of referrers tags tell.
func (g *Graph) subjectsIn(r *Repository, manifests []uint32) map[uint32][]uint32 {
	all := map[uint32][]uint32{}
	for _, id := range manifests {
		for of := range g.In(r, id).Subjects {
			all[id] = append(all[id], of)
		}
	}
	for of, tags := range g.ReferrersTags(r) {
		for _, t := range tags {
			if id := r.Tags[t].Target; id != None && of != None {
				all[id] = append(all[id], of)
			}
		}
	}
	return all
}

// lower makes place that of id, and reports whether there was none yet or a later one.
func lower(places map[uint32]int, id uint32, place int) bool {
	if was, met := places[id]; met && was <= place {
		return false
	}
	places[id] = place
	return true
}

// ReachableFrom are the manifests that are kept in a repository as long as those are, themselves
// included: what an index names, what has one as its subject, and what a referrers tag
// says is about one.
func (g *Graph) ReachableFrom(r *Repository, todo []uint32) map[uint32]bool {
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

// Object is a file that is about a digest: the blob itself, or a link to it.
type Object struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// ObjectsOf returns the files of the store that are about a digest, the newest first.
// It looks at each, since a graph has no times of layer links.
func (c *Scan) ObjectsOf(ctx context.Context, digest string) ([]Object, error) {
	d, ok := layout.ParseAnyDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Object{{Key: d.BlobKey()}}
	if id := c.Graph.KnownIDOf(digest); id != None {
		for i := range c.Graph.Repos {
			for _, s := range c.Graph.spotsOf(uint32(i), id) {
				places = append(places, Object{Key: c.Graph.KeyOf(s), Repository: c.Graph.Repos[i].Name})
			}
		}
	}
	there := places[:0:0]
	err := c.w.Look(ctx, len(places), func(i int) string { return places[i].Key }, func(i int, l walker.Look) error {
		if !l.Absent && l.Err == nil {
			places[i].Modified = TimeOf(Seconds(l.Modified))
			there = append(there, places[i])
		}
		return nil
	})
	slices.SortFunc(there, func(a, b Object) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Key, b.Key))
	})
	return there, err
}

// spotsOf returns the links of a repository that name id by their paths, or, of
// tags, that mean it.
func (g *Graph) spotsOf(repository, id uint32) (spots []Ref) {
	r := &g.Repos[repository]
	add := func(kind layout.Kind, tag uint32) {
		spots = append(spots, Ref{repository, Link{Kind: kind, Tag: tag, ID: id}})
	}
	if r.HasLayer(id) {
		add(layout.LayerLink, 0)
	}
	if r.HasRevision(id) {
		add(layout.Revision, 0)
	}
	for t := range r.Tags {
		if r.Tags[t].Target == id {
			add(layout.TagCurrent, uint32(t))
		}
	}
	for _, h := range r.History {
		if h.ID == id {
			add(layout.TagHistory, h.Tag)
		}
	}
	return spots
}

// NeededBy returns the digests that revisions and tags of a repository need: that of each
// revision and each tag's target whose link counts, and all that those manifests name,
// through indexes too. counts is asked with the time of the link, in whole seconds
// rounded up. The error says why nobody can tell what they need.
func (c *Scan) NeededBy(repository string, counts func(key string, written time.Time) bool) (map[layout.AnyDigest]bool, error) {
	if err := c.Graph.blindTo(repository); err != nil {
		return nil, err
	}
	at, ok := c.Graph.RepoID[repository]
	if !ok {
		return nil, nil
	}
	r := &c.Graph.Repos[at]
	var todo []uint32
	for _, v := range r.Revisions {
		if counts(layout.RevisionKey(repository, c.Graph.DigestOf(v.ID)), TimeOf(v.Modified)) {
			todo = append(todo, v.ID)
		}
	}
	for _, t := range r.Tags {
		if t.Target != None && counts(layout.CurrentKey(repository, t.Name), TimeOf(t.Modified)) {
			todo = append(todo, t.Target)
		}
	}
	return c.Graph.needed(r, todo)
}

// blindTo returns what could not be read and may hide something of a repository,
// or blobs.
func (g *Graph) blindTo(repository string) error {
	key := layout.RepositoryKey(repository)
	for i := range g.Faults {
		f := &g.Faults[i]
		elsewhere := strings.HasPrefix(f.Key, layout.Repositories+"/")
		if !elsewhere || strings.HasPrefix(f.Key+"/", key+"/") || strings.HasPrefix(key+"/", f.Key+"/") {
			return fmt.Errorf("%s could not be read", f.Key)
		}
	}
	return nil
}

// needed returns the digests of manifests and of all that they name, with what
// digests of other algorithms stand for in the repository.
func (g *Graph) needed(r *Repository, todo []uint32) (map[layout.AnyDigest]bool, error) {
	stands := map[uint32]uint32{}
	for _, a := range r.Aliases {
		stands[a.ID] = a.Target
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
		if id == None || seen[id] {
			continue
		}
		seen[id] = true
		all[g.AnyOf(id)] = true
		target, alias := stands[id]
		if alias {
			manifests[target] = manifests[id]
			todo = append(todo, target)
		}
		if g.IsForeign(id) && (alias || !g.Present(id)) {
			continue
		}
		n := g.NodeAt(id)
		if n == nil {
			if manifests[id] {
				return nil, fmt.Errorf("the manifest %s could not be read", g.NameOf(id))
			}
			continue
		}
		if n.State == walker.ManifestUnread || n.State == walker.ManifestUnreadable || n.State == walker.ManifestArchived {
			return nil, fmt.Errorf("the manifest %s could not be read", g.NameOf(id))
		}
		for e := range g.In(r, id).References {
			if e.Role() == manifest.Child {
				manifests[e.ID()] = true
			}
			todo = append(todo, e.ID())
		}
		for of := range g.In(r, id).Subjects {
			todo = append(todo, of)
		}
	}
	return all, nil
}

// FindRef finds the place of a blob or link; false where the graph hasn't heard of
// what the key names. The tag of a link that is no tag's is 0.
func (g *Graph) FindRef(name string) (s Ref, ok bool) {
	key, err := layout.Parse(name)
	if err != nil {
		return s, false
	}
	s.Repo, s.Kind, s.ID = None, key.Kind, None
	if key.Kind == layout.Tarsum {
		s.Kind, key.Algorithm = layout.LayerLink, "tarsum."+key.Version+"+"+key.Algorithm
	}
	if d, ok := key.Digest(); ok {
		s.ID = g.KnownID(d)
	} else {
		s.ID = g.KnownIDOf(key.Algorithm + ":" + key.Hex)
	}
	if key.Kind == layout.Blob {
		return s, s.ID != None
	}
	if s.Repo, ok = g.RepoID[key.Repository]; !ok {
		return s, false
	}
	switch s.Kind {
	case layout.TagCurrent, layout.TagHistory:
		if s.Tag, ok = g.Repos[s.Repo].FindTag(key.Tag); !ok {
			return s, false
		}
		if s.Kind == layout.TagCurrent {
			s.ID = 0
		}
	case layout.Revision, layout.LayerLink:
	default:
		return s, false
	}
	return s, s.ID != None
}
