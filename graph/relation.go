package graph

import (
	"cmp"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// This file says what the references of a manifest mean in a repository. Every walk
// over manifests goes by one of its relations, so that no two of them can disagree:
//
//	                               needs   serves             takes
//	index → child                  yes     if linked here     if linked here
//	manifest → config, layer       yes     yes                –
//	         → layer of a URL      yes     if stored          –
//	a digest that an alias names   both    what it names      what it names
//	manifest → its referrers       yes     – (they are asked  yes
//	                                       for by themselves)
//
// What a manifest needs stays as long as the manifest is kept. It is the largest of the
// three: what is served or taken is needed. "Linked here" is a revision link of the
// repository. A blob is global; whether a repository serves it is decided by its layer
// link, and that link is needed with the blob.
//
// An alias is a layer link whose path names a digest by another algorithm, and which
// holds the digest under which the bytes are stored. A registry follows it for blobs
// and for manifests, so every relation does.

// manifestIn is a manifest as one repository holds it. Without a repository nothing
// is resolved: its references are then only the digests that the manifest states.
type manifestIn struct {
	g  *graph
	r  *repo
	id uint32
}

// in returns the manifest under id as the repository holds it, nil for none.
func (g *graph) in(r *repo, id uint32) manifestIn { return manifestIn{g, r, id} }

// references yields what the manifest refers to, in its order, without its subject;
// nothing where it wasn't read or understood.
func (m manifestIn) references(yield func(edge) bool) {
	n := m.g.nodeAt(m.id)
	if n == nil {
		return
	}
	for _, e := range m.g.refs(n) {
		if e.role() != manifest.Subject && !yield(e) {
			return
		}
	}
}

// needs yields each id that stays as long as the manifest does, and the reference by
// which it does: what the manifest states, whether or not a registry reads that, and
// what the repository's alias for it names. What has the manifest as its subject stays
// too: see referrers.
func (m manifestIn) needs(yield func(edge, uint32) bool) {
	for e := range m.references {
		id := e.id()
		if !yield(e, id) {
			return
		}
		if to := m.r.resolve(id); to != id && !yield(e, to) {
			return
		}
	}
}

// serves yields what a pull of the manifest brings: the reference, the id of what the
// repository gives for it, and whether that is a manifest of its own.
func (m manifestIn) serves(yield func(service) bool) {
	for e := range m.references {
		to, child := m.r.child(e)
		if !child {
			to = m.r.resolve(e.id())
		}
		if (child || e.role() != manifest.Child) && !yield(service{e, to, child}) {
			return
		}
	}
}

// service is what a repository gives for a reference of a manifest.
type service struct {
	edge
	to    uint32
	child bool
}

// takes yields the manifests that go along when the manifest is removed, unless
// something else needs them: those that it serves and a registry reads in it. What has
// the manifest as its subject goes along too: see referrers.
func (m manifestIn) takes(yield func(uint32) bool) {
	for s := range m.serves {
		if s.child && s.read() && !yield(s.to) {
			return
		}
	}
}

// resolve returns what the repository gives for a digest: what its alias names, or
// the digest itself.
func (r *repo) resolve(id uint32) uint32 {
	if r == nil || len(r.aliases) == 0 {
		return id
	}
	if a := r.aliasOf(id); a != nil && a.target != none {
		return a.target
	}
	return id
}

// child returns the manifest that the repository gives for an entry of an index. It
// is false for what is no entry, and where the repository has no revision link to it.
func (r *repo) child(e edge) (id uint32, ok bool) {
	if !e.isEntry() {
		return none, false
	}
	if r.hasRevision(e.id()) {
		return e.id(), true
	}
	id = r.resolve(e.id())
	return id, id != e.id() && r.hasRevision(id)
}

// subject is a manifest that refers to another as its subject.
type subject struct{ of, node uint32 }

// subjects yields the subjects of the manifest. There is one at most where the
// manifest follows its specification. Of several each counts: readers of JSON differ in
// which of two equal keys they take.
func (m manifestIn) subjects(yield func(uint32) bool) {
	n := m.g.nodeAt(m.id)
	if n == nil {
		return
	}
	for _, e := range m.g.refs(n) {
		if e.role() == manifest.Subject && !yield(e.id()) {
			return
		}
	}
}

// sortSubjects makes the list by which referrers are found, where a manifest was read
// since it was last made.
func (g *graph) sortSubjects() {
	if g.subjectsKnown {
		return
	}
	g.subjects, g.subjectsKnown = g.subjects[:0], true
	for i := range g.nodes {
		for of := range g.in(nil, g.nodes[i].id).subjects {
			g.subjects = append(g.subjects, subject{of, uint32(i)})
		}
	}
	slices.SortFunc(g.subjects, func(a, b subject) int {
		return cmp.Or(cmp.Compare(a.of, b.of), g.compareIDs(g.nodes[a.node].id, g.nodes[b.node].id))
	})
}

// referrers yields the manifests that the repository holds and that have the manifest
// as their subject, by digest. What its referrers tags mean are referrers too: see
// referrersTags.
func (m manifestIn) referrers(yield func(uint32) bool) {
	m.g.sortSubjects()
	of := func(s subject, id uint32) int { return cmp.Compare(s.of, id) }
	from, _ := slices.BinarySearchFunc(m.g.subjects, m.id, of)
	for _, s := range m.g.subjects[from:] {
		if s.of != m.id {
			return
		}
		if id := m.g.nodes[s.node].id; m.r.serves(id) && !yield(id) {
			return
		}
	}
}

// referrersTags returns the repository's tags whose names make what they mean
// referrers (sha256-<hex>, with or without an ending), by their subject.
func (g *graph) referrersTags(r *repo) map[uint32][]uint32 {
	var all map[uint32][]uint32
	for t := range r.tags {
		if d, ok := layout.SubjectOf(r.tags[t].name); ok {
			if all == nil {
				all = map[uint32][]uint32{}
			}
			id := g.knownID(d) // known since the links were sealed
			all[id] = append(all[id], uint32(t))
		}
	}
	return all
}

// entry is how a repository holds what an index names.
type entry uint8

const (
	entryServed      entry = iota // it has a revision link to it
	entryAliased                  // an alias names it
	entryUnexplained              // no link explains the digest of another algorithm: it may be any blob of the repository
	entryUncertain                // nobody can say what it is: it could not be read, or is in motion
	entryLayer                    // an entry of no manifest's type, to which it has a layer link
	entryBlob                     // an entry of no manifest's type whose bytes are no manifest
	entryProven                   // its own links prove that the manifest was pushed here: the revision link can be rebuilt
	entryAbsent                   // it hasn't got it
)

// entry says how the repository holds an entry of the index.
func (m manifestIn) entry(e edge) entry {
	g, r, id := m.g, m.r, e.id()
	state, either := g.stateAt(id), e.role() == manifest.Either
	switch {
	case r.aliasOf(id) != nil:
		return entryAliased
	case r.hasRevision(id):
		return entryServed
	case g.standsFor(r, id):
		return entryUnexplained
	case g.uncertain(id):
		return entryUncertain
	case either && r.hasLayer(id):
		return entryLayer
	case either && g.present(id) && (state == walker.ManifestUnparsable || state == walker.ManifestUnread):
		return entryBlob
	case state == walker.ManifestGood && g.in(r, id).proven():
		return entryProven
	}
	return entryAbsent
}

// standsFor reports whether a digest of another algorithm is, in the repository,
// only a name for another: an alias, or nothing that is stored by itself.
func (g *graph) standsFor(r *repo, id uint32) bool {
	return g.isForeign(id) && !r.hasLayer(id) && (r.aliasOf(id) != nil || !g.present(id))
}

// maxProof bounds how many references are followed to prove one manifest.
const maxProof = 10_000

// proven reports whether the repository's own links prove that the manifest was
// pushed to it: every blob that a registry finds referred to in it is linked here, and
// every child of an index is served here or proven likewise. What anybody can push, as
// it is in every second image, proves nothing.
func (m manifestIn) proven() bool {
	rest := maxProof
	return m.provenWithin(&rest)
}

func (m manifestIn) provenWithin(rest *int) bool {
	if m.g.stateAt(m.id) != walker.ManifestGood {
		return false
	}
	evidence := false
	for e := range m.references {
		if *rest--; *rest < 0 {
			return false
		}
		switch {
		case !e.read() || e.role() == manifest.MayBeAbsent:
		case e.isEntry():
			if _, served := m.r.child(e); !served && !m.r.links(e.id()) && !m.g.in(m.r, e.id()).provenWithin(rest) {
				return false
			}
			evidence = true
		case !m.r.links(e.id()):
			return false
		default:
			_, common := wellKnown[m.g.anyOf(m.r.resolve(e.id()))]
			evidence = evidence || !common
		}
	}
	return evidence
}
