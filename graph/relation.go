package graph

import (
	"cmp"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// This file defines what the references of a manifest mean in a repository. Every walk
// over manifests uses one of its relations, so that no two of them can disagree:
//
//	                               needs   serves             takes
//	index → child                  yes     if linked here     if linked here
//	manifest → config, layer       yes     yes                –
//	         → layer of a URL      yes     if stored          –
//	a digest that an alias names   both    what it names      what it names
//	manifest → its referrers       yes     – (they are asked  yes
//	                                       for by themselves)
//
// What a manifest needs is kept as long as the manifest is kept. It is the largest of the
// three: what is served or taken is needed. "Linked here" is a revision link of the
// repository. A blob is global; whether a repository serves it is decided by its layer
// link, and that link is needed with the blob.
//
// An alias is a layer link whose path has a digest of another algorithm, and whose content is
// the digest under which the bytes are stored. A registry follows it for blobs and manifests,
// so every relation does.

// ManifestIn is a manifest in one repository. Without a repository, references are the
// digests that the manifest states, and nothing is resolved.
type ManifestIn struct {
	g  *Graph
	R  *Repository
	ID uint32
}

// In returns the manifest under id in the repository, nil for none.
func (g *Graph) In(r *Repository, id uint32) ManifestIn { return ManifestIn{g, r, id} }

// References yields the manifest's references in order, without its subject; none if it
// wasn't read or parsed.
func (m ManifestIn) References(yield func(Edge) bool) {
	n := m.g.NodeAt(m.ID)
	if n == nil {
		return
	}
	for _, e := range m.g.refs(n) {
		if e.Role() != manifest.Subject && !yield(e) {
			return
		}
	}
}

// Needs yields each id that is kept as long as the manifest is, and the reference: what the
// manifest states, whether a registry reads it or not, and the target of the repository's
// alias. Referrers are kept too: see Referrers.
func (m ManifestIn) Needs(yield func(Edge, uint32) bool) {
	for e := range m.References {
		id := e.ID()
		if !yield(e, id) {
			return
		}
		if to := m.R.Resolve(id); to != id && !yield(e, to) {
			return
		}
	}
}

// Serves yields what a pull of the manifest is served: the reference, the id that the
// repository serves for it, and whether that is a manifest.
func (m ManifestIn) Serves(yield func(Service) bool) {
	for e := range m.References {
		to, child := m.R.Child(e)
		if !child {
			to = m.R.Resolve(e.ID())
		}
		if (child || e.Role() != manifest.Child) && !yield(Service{e, to, child}) {
			return
		}
	}
}

// Service is what a repository serves for a reference.
type Service struct {
	Edge
	To    uint32
	Child bool
}

// Takes yields the manifests that are removed with the manifest unless something else needs
// them: children that it serves and a registry reads. Its referrers are removed too: see
// Referrers.
func (m ManifestIn) Takes(yield func(uint32) bool) {
	for s := range m.Serves {
		if s.Child && s.Read() && !yield(s.To) {
			return
		}
	}
}

// Resolve returns the id that the repository serves for a digest: its alias's target, or the
// digest itself.
func (r *Repository) Resolve(id uint32) uint32 {
	if r == nil || len(r.Aliases) == 0 {
		return id
	}
	if a := r.AliasOf(id); a != nil && a.Target != None {
		return a.Target
	}
	return id
}

// Child returns the manifest that the repository serves for an entry of an index; ok is false
// if e is no entry, or there is no revision link.
func (r *Repository) Child(e Edge) (id uint32, ok bool) {
	if !e.IsEntry() {
		return None, false
	}
	if r.HasRevision(e.ID()) {
		return e.ID(), true
	}
	id = r.Resolve(e.ID())
	return id, id != e.ID() && r.HasRevision(id)
}

// Subjects yields the subjects of the manifest, at most one if it follows its specification.
// If JSON keys are repeated, each counts, since parsers differ in which one they use.
func (m ManifestIn) Subjects(yield func(uint32) bool) {
	n := m.g.NodeAt(m.ID)
	if n == nil {
		return
	}
	for _, e := range m.g.refs(n) {
		if e.Role() == manifest.Subject && !yield(e.ID()) {
			return
		}
	}
}

// Referrers yields the manifests of the repository whose subject is the manifest, by digest.
// Targets of its referrers tags are referrers too: see ReferrersTags.
func (m ManifestIn) Referrers(yield func(uint32) bool) {
	m.g.sortSubjects()
	of := func(s subject, id uint32) int { return cmp.Compare(s.of, id) }
	from, _ := slices.BinarySearchFunc(m.g.subjects, m.ID, of)
	for _, s := range m.g.subjects[from:] {
		if s.of != m.ID {
			return
		}
		if id := m.g.Nodes[s.node].ID; m.R.Serves(id) && !yield(id) {
			return
		}
	}
}

// ReferrersTags returns the repository's referrers tags (sha256-<hex>, with or without a
// suffix), by subject.
func (g *Graph) ReferrersTags(r *Repository) map[uint32][]uint32 {
	var all map[uint32][]uint32
	for t := range r.Tags {
		if d, ok := layout.SubjectOf(r.Tags[t].Name); ok {
			if all == nil {
				all = map[uint32][]uint32{}
			}
			id := g.KnownID(d) // known since the links were sealed
			all[id] = append(all[id], uint32(t))
		}
	}
	return all
}

// EntryState is the state of an index's entry in a repository.
type EntryState uint8

const (
	EntryServed      EntryState = iota // it has a revision link
	EntryAliased                       // it is an alias
	EntryUnexplained                   // the digest of another algorithm has no alias: it may be any blob of the repository
	EntryUncertain                     // unknown: it could not be read, or is being changed
	EntryLayer                         // an entry without a manifest's type that has a layer link
	EntryBlob                          // an entry without a manifest's type whose bytes are no manifest
	EntryProven                        // the repository's links prove that it was pushed here: the revision link can be rebuilt
	entryAbsent                        // the repository doesn't have it
)

// Entry returns the state of an entry of the index in the repository.
func (m ManifestIn) Entry(e Edge) EntryState {
	g, r, id := m.g, m.R, e.ID()
	state, either := g.StateAt(id), e.Role() == manifest.Either
	switch {
	case r.AliasOf(id) != nil:
		return EntryAliased
	case r.HasRevision(id):
		return EntryServed
	case g.StandsFor(r, id):
		return EntryUnexplained
	case g.Uncertain(id):
		return EntryUncertain
	case either && r.HasLayer(id):
		return EntryLayer
	case either && g.Present(id) && (state == walker.ManifestUnparsable || state == walker.ManifestUnread):
		return EntryBlob
	case state == walker.ManifestGood && g.In(r, id).Proven():
		return EntryProven
	}
	return entryAbsent
}

// StandsFor reports whether a digest of another algorithm is only a name in the repository:
// it is an alias, or isn't stored.
func (g *Graph) StandsFor(r *Repository, id uint32) bool {
	return g.IsForeign(id) && !r.HasLayer(id) && (r.AliasOf(id) != nil || !g.Present(id))
}

// maxProof is the most references to follow in one proof.
const maxProof = 10_000

// Proven reports whether the repository's own links prove that the manifest was pushed to it:
// every blob that a registry reads in it is linked here, and every child is served here or
// proven. Blobs that are in many images prove nothing.
func (m ManifestIn) Proven() bool {
	rest := maxProof
	return m.provenWithin(&rest)
}

func (m ManifestIn) provenWithin(rest *int) bool {
	if m.g.StateAt(m.ID) != walker.ManifestGood {
		return false
	}
	evidence := false
	for e := range m.References {
		if *rest--; *rest < 0 {
			return false
		}
		switch {
		case !e.Read() || e.Role() == manifest.MayBeAbsent:
		case e.IsEntry():
			if _, served := m.R.Child(e); !served && !m.R.HasLink(e.ID()) && !m.g.In(m.R, e.ID()).provenWithin(rest) {
				return false
			}
			evidence = true
		case !m.R.HasLink(e.ID()):
			return false
		default:
			_, common := WellKnown[m.g.AnyOf(m.R.Resolve(e.ID()))]
			evidence = evidence || !common
		}
	}
	return evidence
}
