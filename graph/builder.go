package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// Builder makes a graph from the listings of a store: blobs, then links and all else, then
// manifests. It amends the graph if a recheck shows something else.
type Builder struct{ *Graph }

// Blobs adds listed blobs. All blobs come before the first link.
func (g Builder) Blobs(blobs []walker.Blob) error {
	for _, b := range blobs {
		if b.Other != "" {
			g.others = append(g.others, other{strings.Clone(b.Other), Seconds(b.Modified), b.Archived, b.Size})
			continue
		}
		g.add(record{b.Digest, Seconds(b.Modified), b.Archived, b.Size})
	}
	return nil
}

// SealBlobs assigns the ids and records by id which blobs are in grace.
func (g Builder) SealBlobs() error {
	for i, name := range g.seal() {
		id := g.First[256] + uint32(i)
		g.foreign[layout.Sum([]byte(name))], g.names[id] = id, name
	}
	if g.Len() >= 1<<(edgeBits-1) {
		return fmt.Errorf("%d blobs are more than one run can hold", g.Len())
	}
	g.InGrace = NewBitset(g.Len())
	for id, s := range g.Modified {
		if g.Age.CoversSeconds(s) {
			g.InGrace.Add(uint32(id))
		}
	}
	return nil
}

// AddManifest sets the result of reading the manifest under id.
func (g Builder) AddManifest(id uint32, m walker.Manifest) {
	if m.State != walker.ManifestMissing && m.State != walker.ManifestUnreadable && !g.Present(id) {
		g.late[id] = m.Size
	}
	g.addNode(id, m)
}

// addNode is AddManifest for any id, stored or not.
func (g Builder) addNode(id uint32, m walker.Manifest) {
	at := g.place(id, g.Len())
	n := &g.Nodes[at]
	g.subjectsKnown = false
	*n = Manifest{ID: id, State: m.State, Kind: m.Manifest.Kind, from: uint32(len(g.edges))}
	if m.Err != nil {
		g.Whys[at] = m.Err
	}
	g.warm(len(m.Manifest.Refs), func(i int) *layout.Digest { return &m.Manifest.Refs[i].Digest })
	for _, r := range m.Manifest.Refs {
		ref := g.idOfAny(layout.AnyDigest{Digest: r.Digest, Other: r.Other})
		g.edges = append(g.edges, newEdge(r, ref))
		if r.Read && r.Size >= 0 && int(ref) < g.Len() && g.Sizes[ref] != r.Size {
			g.Suspects = append(g.Suspects, Suspect{at, ref, r.Size})
		}
		if r.Read && r.Size >= 0 && int(ref) >= g.Len() {
			if known, ok := g.stated[ref]; ok && known != r.Size {
				g.stated[ref] = -1
			} else {
				g.stated[ref] = r.Size
			}
		}
	}
	n.to = uint32(len(g.edges))
	if m.Manifest.Inline {
		g.Carriers[id] = true
	}
}

// repository returns the index of the repository, and adds it if it is new.
func (g Builder) repository(name string) uint32 {
	i, ok := g.RepoID[name]
	if !ok {
		i = uint32(len(g.Repos))
		name = strings.Clone(name)
		bad := !layout.ValidRepository(name)
		g.Repos = append(g.Repos, Repository{Name: name, Pinned: bad, BadName: bad})
		g.RepoID[name] = i
	}
	return i
}

func (r *Repository) tagNamed(name string) uint32 {
	i, ok := r.tagID[name]
	if !ok {
		if r.tagID == nil {
			r.tagID = map[string]uint32{}
		}
		i = uint32(len(r.Tags))
		name = strings.Clone(name)
		bad := !layout.ValidTag(name)
		r.Tags = append(r.Tags, Tag{Name: name, Target: None, BadName: bad})
		r.tagID[name] = i
		r.Pinned = r.Pinned || bad
	}
	return i
}

// Links adds links of one repository.
func (g Builder) Links(name string, links []walker.Link) error {
	r := &g.Repos[g.repository(name)]
	r.Exists = true
	g.warm(len(links), func(i int) *layout.Digest { return &links[i].Path })
	for i := range links {
		g.addLink(r, &links[i])
	}
	return nil
}

func (g Builder) addLink(r *Repository, l *walker.Link) {
	young := g.Age.Covers(l.Modified)
	r.InGrace = r.InGrace || young
	g.LinkDates.Note(Seconds(l.Modified))
	if l.Kind == layout.TagCurrent || l.Kind == layout.TagHistory {
		g.addTagLink(r, l)
		return
	}
	if l.IsAlias() {
		g.addAlias(r, l)
		return
	}
	id := g.idOfPath(l)
	if young {
		g.InGrace.Add(id)
	}
	if int(id) < g.Len() {
		g.LastPushes.note(id, Seconds(l.Modified), g.Modified[id])
	}
	if l.Kind == layout.Revision {
		r.Revisions = append(r.Revisions, Revision{id, Seconds(l.Modified)})
	} else {
		r.Layers = append(r.Layers, NewLayerLink(id, young))
	}
	g.note(r, Link{Kind: l.Kind, ID: id}, l)
}

// idOfPath returns the id of the digest in a link's path.
func (g Builder) idOfPath(l *walker.Link) uint32 {
	return g.idOfAny(layout.AnyDigest{Digest: l.Path, Other: l.Alias})
}

func (g Builder) addTagLink(r *Repository, l *walker.Link) {
	t := r.tagNamed(l.Tag)
	p := Link{Kind: l.Kind, Tag: t}
	if l.Kind == layout.TagHistory {
		p.ID = g.idOfPath(l)
		if g.Age.Covers(l.Modified) {
			g.InGrace.Add(p.ID)
		}
		r.History = append(r.History, HistoryEntry{t, p.ID, Seconds(l.Modified)})
		g.note(r, p, l)
		return
	}
	r.Tags[t].Current, r.Tags[t].Modified, r.Tags[t].Target = true, Seconds(l.Modified), None
	if l.State == walker.LinkGood {
		r.Tags[t].Target = g.idOfAny(l.Target)
		if g.Age.Covers(l.Modified) {
			g.InGrace.Add(r.Tags[t].Target)
		}
	}
	g.note(r, p, l)
}

func (g Builder) addAlias(r *Repository, l *walker.Link) {
	a := Alias{ID: g.idOfName(l.Alias), Target: None, Modified: Seconds(l.Modified), tarsum: strings.Clone(l.Version)}
	if l.State == walker.LinkGood {
		a.Target = g.idOfAny(l.Target)
		if g.Age.Covers(l.Modified) {
			g.InGrace.Add(a.Target)
		}
	} else {
		r.Pinned = true
	}
	r.Aliases = append(r.Aliases, a)
	g.note(r, Link{Kind: layout.LayerLink, ID: a.ID}, l)
}

// note records what is wrong with a link's content, in place of what was recorded before.
func (g Builder) note(r *Repository, p Link, l *walker.Link) {
	if g.namesUnknown(l) {
		r.Pinned = true
	}
	if l.State == walker.LinkArchived { // it may have any target
		r.Pinned, g.unreadLinks = true, true
	}
	if l.State == walker.LinkGood {
		delete(r.Bad, p)
		return
	}
	if r.Bad == nil {
		r.Bad = map[Link]BadLink{}
	}
	o := BadLink{State: l.State, Why: l.Why, Target: None, Body: string(l.Body)}
	if l.State == walker.LinkMismatch {
		o.Target = g.idOfAny(l.Target)
	}
	r.Bad[p] = o
}

// namesUnknown reports whether a link's target has an unknown algorithm: it may be a manifest
// with unknown references.
func (g Builder) namesUnknown(l *walker.Link) bool {
	unknown := func(d layout.AnyDigest) bool { return !d.Provable() }
	return unknown(l.Target) || !l.IsAlias() && unknown(layout.AnyDigest{Other: l.Alias})
}

// addLayer inserts a link into the sorted ones.
func (r *Repository) addLayer(id uint32, young bool) {
	at, _ := slices.BinarySearch(r.Layers, NewLayerLink(id, false))
	if !r.HasLayer(id) {
		r.Layers = slices.Insert(r.Layers, at, NewLayerLink(id, young))
	}
}

// addRevision inserts a link into the sorted ones.
func (r *Repository) addRevision(id, modified uint32) {
	at, ok := slices.BinarySearchFunc(r.Revisions, id, CompareRevision)
	if !ok {
		r.Revisions = slices.Insert(r.Revisions, at, Revision{id, modified})
	}
}

// addHistory inserts an entry of a tag's history into the sorted ones.
func (r *Repository) addHistory(h HistoryEntry) {
	at, ok := slices.BinarySearchFunc(r.History, h, func(a, b HistoryEntry) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.ID, b.ID))
	})
	if !ok {
		r.History = slices.Insert(r.History, at, h)
	}
}

// SealLinks sorts the repositories and their links.
func (g Builder) SealLinks() {
	slices.SortFunc(g.Repos, func(a, b Repository) int { return cmp.Compare(a.Name, b.Name) })
	for i := range g.Repos {
		g.RepoID[g.Repos[i].Name] = uint32(i)
		r := &g.Repos[i]
		r.seal()
		for t := range r.Tags {
			if d, ok := layout.SubjectOf(r.Tags[t].Name); ok {
				g.IDOf(d)
			}
		}
	}
}

func (r *Repository) seal() {
	slices.Sort(r.Layers)
	slices.Reverse(r.Layers) // if a link was listed twice, keep the one in grace
	r.Layers = slices.CompactFunc(r.Layers, func(a, b LayerLink) bool { return a.ID() == b.ID() })
	slices.Reverse(r.Layers)
	slices.SortFunc(r.Revisions, func(a, b Revision) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(b.Modified, a.Modified))
	})
	r.Revisions = slices.CompactFunc(r.Revisions, func(a, b Revision) bool { return a.ID == b.ID })
	r.sealAliases()
	r.sealTags()
	slices.SortFunc(r.History, func(a, b HistoryEntry) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.ID, b.ID))
	})
	r.tagID = nil
	r.Layers, r.Revisions, r.History = exact(r.Layers), exact(r.Revisions), exact(r.History)
}

// exact returns s in an array without spare capacity.
func exact[T any](s []T) []T {
	if cap(s)-len(s) <= len(s)/8 {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}

// sealTags sorts the tags and updates their indexes elsewhere.
func (r *Repository) sealTags() {
	order := make([]uint32, len(r.Tags))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(r.Tags[a].Name, r.Tags[b].Name) })
	number := make([]uint32, len(order))
	tags := make([]Tag, len(order))
	for to, from := range order {
		number[from] = uint32(to)
		tags[to] = r.Tags[from]
	}
	r.Tags = tags
	for i := range r.History {
		r.History[i].Tag = number[r.History[i].Tag]
	}
	r.renumber(number)
}

func (r *Repository) renumber(number []uint32) {
	if len(r.Bad) == 0 {
		return
	}
	was := r.Bad
	r.Bad = make(map[Link]BadLink, len(was))
	for p, o := range was {
		if p.Kind == layout.TagCurrent || p.Kind == layout.TagHistory {
			p.Tag = number[p.Tag]
		}
		r.Bad[p] = o
	}
}

func (r *Repository) sealAliases() {
	slices.SortFunc(r.Aliases, func(a, b Alias) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.tarsum, b.tarsum))
	})
}

// pushes are the last blobs that were pushed together with a link, oldest first. The zero
// pair is none.
type pushes [3]pair

// pair is a blob and the time since which both it and a link to it exist.
type pair struct{ id, At uint32 }

// note adds a link to id, by when it and the blob were written.
func (p *pushes) note(id, link, blob uint32) {
	is := pair{id, min(link, blob)}
	for i := range p {
		if p[i].id == id && p[i].At >= is.At {
			return
		}
	}
	for i := range p {
		if is.At <= p[i].At {
			return
		}
		if i > 0 {
			p[i-1] = p[i]
		}
		p[i] = is
	}
}

// dates are the first and last of some times. The zero dates are of none.
type dates struct{ First, Last uint32 }

func (d *dates) Note(t uint32) {
	if *d == (dates{}) {
		d.First = t
	}
	d.First, d.Last = min(d.First, t), max(d.Last, t)
}
