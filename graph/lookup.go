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
	Doubt   string        // why that can't be read, isn't certain or can't go; "" where it can
	Config  layout.Digest // of its image's config, of an index that of its first image; zero for none
	Pushed  time.Time     // when it came to mean that: whole seconds, rounded up; zero where it has no current link
	Subject layout.Digest // of a tag sha256-<hex>…: what it is about; else zero
}

// Repositories returns the names of all that has a repository's folders, sorted.
func (c *Scan) Repositories() []string {
	var names []string
	for i := range c.g.repos {
		if c.g.repos[i].exists {
			names = append(names, c.g.repos[i].name)
		}
	}
	return names
}

// Tags are the tags of a repository, by name; none of one that isn't there.
func (c *Scan) Tags(repository string) iter.Seq[Tagged] {
	return func(yield func(Tagged) bool) {
		at, ok := c.g.repoID[repository]
		if !ok {
			return
		}
		configs := c.g.configsOf(&c.g.repos[at])
		for _, t := range c.g.repos[at].tags {
			is := Tagged{Name: t.name, Pushed: timeOf(t.modified)}
			if t.target != none {
				is.Digest, is.Doubt = c.g.digestOf(t.target), c.g.doubtOf(t.target)
				if c.g.isForeign(t.target) {
					is.Doubt = cmp.Or(is.Doubt, "its digest is by another algorithm than sha256")
				}
				if config := configs.of(t.target); config != none {
					is.Config = c.g.digestOf(config)
				}
			} else {
				is.Doubt = "nobody can say what it means"
			}
			if c.g.repos[at].badName || t.badName {
				is.Doubt = "nothing is touched where a name is none that a registry accepts"
			}
			is.Subject, _ = layout.SubjectOf(t.name)
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
		at, ok := c.g.repoID[repository]
		if !ok {
			return
		}
		for _, v := range c.g.repos[at].revisions {
			if !yield(c.g.anyOf(v.id).String()) {
				return
			}
		}
	}
}

// Readable reports whether all could be listed and read so far: if not, what can't
// be found here may be there.
func (c *Scan) Readable() bool {
	if len(c.g.faults) > 0 {
		return false
	}
	for i := range c.g.nodes {
		if c.g.nodes[i].state == walker.ManifestUnreadable {
			return false
		}
	}
	return true
}

// doubtOf says why the manifest under id isn't known, "" where it is.
func (g *graph) doubtOf(id uint32) string {
	switch state := g.stateAt(id); state {
	case walker.ManifestGood:
		return ""
	case walker.ManifestUnread:
		return "its manifest was not read"
	default:
		return "its manifest is " + state.String()
	}
}

// Led are the manifests of a repository to which those lead, themselves included.
func (c *Scan) Led(repository string, from []layout.Digest) map[layout.Digest]bool {
	led := map[layout.Digest]bool{}
	at, ok := c.g.repoID[repository]
	if !ok {
		return led
	}
	var ids []uint32
	for _, d := range from {
		if id := c.g.knownID(d); id != none {
			ids = append(ids, id)
		}
	}
	for id := range c.g.ledTo(&c.g.repos[at], ids) {
		led[c.g.digestOf(id)] = true
	}
	return led
}

// Known reports whether the store speaks of a digest: of any algorithm, of a manifest
// or of a blob.
func (c *Scan) Known(digest string) bool { return c.g.knownIDOf(digest) != none }

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
		for b := range c.g.table.digests {
			note(c.g.table.digests[b])
		}
		note(c.g.past)
	}
	return all
}

// Related are the manifests of a repository that have to do with one of those digests,
// which may be of configs and other blobs too: they are it, lead to it by whatever they
// need, or are what it names as an index. Each comes with the digest; the first of
// several counts.
func (c *Scan) Related(repository string, digests []string) map[layout.Digest]string {
	related := map[layout.Digest]string{}
	at, ok := c.g.repoID[repository]
	if !ok {
		return related
	}
	r := &c.g.repos[at]
	up, down := map[uint32]string{}, map[uint32]string{}
	for _, d := range digests {
		id := c.g.knownIDOf(d)
		if id == none {
			continue
		}
		for todo := []uint32{id, r.resolve(id)}; len(todo) > 0; {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if _, met := down[id]; met {
				continue
			}
			down[id] = d
			for e, needed := range c.g.in(r, id).needs {
				if e.isEntry() {
					todo = append(todo, needed)
				}
			}
		}
		for _, id := range []uint32{id, r.resolve(id)} {
			if _, met := up[id]; !met {
				up[id] = d
			}
		}
	}
	var manifests []uint32
	for _, v := range r.revisions {
		manifests = append(manifests, v.id)
	}
	for _, t := range r.tags {
		if t.target != none {
			manifests = append(manifests, t.target)
		}
	}
	for found := len(up) > 0; found; { // an index of indexes takes a round more
		found = false
		for _, id := range manifests {
			if _, met := up[id]; met {
				continue
			}
			for _, needed := range c.g.in(r, id).needs {
				if d, leads := up[needed]; leads {
					up[id], found = d, true
					break
				}
			}
		}
	}
	for _, id := range manifests {
		if d, ok := up[id]; ok {
			related[c.g.digestOf(id)] = d
		} else if d, ok := down[id]; ok {
			related[c.g.digestOf(id)] = d
		}
	}
	delete(related, layout.Digest{}) // of digests by other algorithms, which stay for that
	return related
}

// ledTo are the manifests that stay in a repository as long as those do, themselves
// included: what an index names, what has one as its subject, and what a referrers tag
// says is about one.
func (g *graph) ledTo(r *repo, todo []uint32) map[uint32]bool {
	tags := g.referrersTags(r)
	led := map[uint32]bool{}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if led[id] {
			continue
		}
		led[id] = true
		for e, needed := range g.in(r, id).needs {
			if e.isEntry() {
				todo = append(todo, needed)
			}
		}
		for referrer := range g.in(r, id).referrers {
			todo = append(todo, referrer)
		}
		for _, t := range tags[id] {
			if target := r.tags[t].target; target != none {
				todo = append(todo, target)
			}
		}
	}
	return led
}

// tagAt returns the index of a tag, none if there is none of that name.
func (r *repo) tagAt(name string) uint32 {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	if !ok {
		return none
	}
	return uint32(at)
}

// Place is a file that is about a digest: the blob itself, or a link to it.
type Place struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// Places returns the files of the store that are about a digest, the newest first.
// It looks at each, since a graph has no times of layer links.
func (c *Scan) Places(ctx context.Context, digest string) ([]Place, error) {
	d, ok := layout.ParseAnyDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Place{{Key: d.BlobKey()}}
	if id := c.g.knownIDOf(digest); id != none {
		for i := range c.g.repos {
			for _, s := range c.g.spotsOf(uint32(i), id) {
				places = append(places, Place{Key: c.g.keyOf(s), Repository: c.g.repos[i].name})
			}
		}
	}
	there := places[:0:0]
	err := c.w.Look(ctx, len(places), func(i int) string { return places[i].Key }, func(i int, l walker.Look) error {
		if !l.Absent && l.Err == nil {
			places[i].Modified = timeOf(seconds(l.Modified))
			there = append(there, places[i])
		}
		return nil
	})
	slices.SortFunc(there, func(a, b Place) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Key, b.Key))
	})
	return there, err
}

// spotsOf returns the links of a repository that name id by their paths, or, of
// tags, that mean it.
func (g *graph) spotsOf(repository, id uint32) (spots []spot) {
	r := &g.repos[repository]
	add := func(kind layout.Kind, tag uint32) {
		spots = append(spots, spot{repository, place{kind: kind, tag: tag, id: id}})
	}
	if r.hasLayer(id) {
		add(layout.LayerLink, 0)
	}
	if r.hasRevision(id) {
		add(layout.Revision, 0)
	}
	for t := range r.tags {
		if r.tags[t].target == id {
			add(layout.TagCurrent, uint32(t))
		}
	}
	for _, h := range r.history {
		if h.id == id {
			add(layout.TagHistory, h.tag)
		}
	}
	return spots
}

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
		for of := range g.in(r, id).subjects {
			todo = append(todo, of)
		}
	}
	return all, nil
}

// spotOf finds the place of a blob or link; false where the graph hasn't heard of
// what the key names. The tag of a link that is no tag's is 0.
func (g *graph) spotOf(name string) (s spot, ok bool) {
	key, err := layout.Parse(name)
	if err != nil {
		return s, false
	}
	s.repo, s.kind, s.id = none, key.Kind, none
	if key.Kind == layout.Tarsum {
		s.kind, key.Algorithm = layout.LayerLink, "tarsum."+key.Version+"+"+key.Algorithm
	}
	if d, ok := key.Digest(); ok {
		s.id = g.knownID(d)
	} else {
		s.id = g.knownIDOf(key.Algorithm + ":" + key.Hex)
	}
	if key.Kind == layout.Blob {
		return s, s.id != none
	}
	if s.repo, ok = g.repoID[key.Repository]; !ok {
		return s, false
	}
	switch s.kind {
	case layout.TagCurrent, layout.TagHistory:
		if s.tag, ok = g.repos[s.repo].tagIndex(key.Tag); !ok {
			return s, false
		}
		if s.kind == layout.TagCurrent {
			s.id = 0
		}
	case layout.Revision, layout.LayerLink:
	default:
		return s, false
	}
	return s, s.id != none
}

// placeOf returns the key of what a spot names.
func (g *graph) placeOf(s spot) string {
	switch {
	case s.repo == none:
		return g.blobKey(s.id)
	case s.kind == 0:
		return layout.RepositoryKey(g.repos[s.repo].name)
	}
	return g.keyOf(s)
}
