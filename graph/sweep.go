package graph

import (
	"iter"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// sweep finds what of the repository nothing needs, once it is known what is needed,
// and keeps what stays all the same: for its youth, or because the repository is
// pinned, or because the policy says so.
func (m *marks) sweep() {
	if c := m.cut; c != nil && (c.whole || len(c.tags)+len(c.members) > 0) {
		m.free()
		m.reject()
	}
	for _, a := range m.r.aliases {
		if a.target != none && m.youngAlias(a) {
			m.need(a.target)
		}
	}
	m.keptLink = m.sweepLayers()
	for _, a := range m.r.aliases {
		if m.spareAlias(a) && !m.youngAlias(a) {
			continue
		}
		m.keptLink = true
		m.refer(a.id) // what is stored by that name itself, if anything is
		if a.target != none {
			m.refer(a.target)
		}
	}
	for _, h := range m.r.history {
		if !m.tagGoes(h.tag) && (!m.staleEntry(h) || m.youngEntry(h) || m.Left[finding.TagHistoryStale]) {
			m.refer(h.id)
		}
	}
}

// sweepLayers marks the layer links that nothing needs. It reports whether any link
// is kept for itself.
func (m *marks) sweepLayers() (kept bool) {
	at := m.firstLink[m.ri]
	for _, l := range m.r.layers {
		id := l.id()
		switch {
		case m.needed[id] == m.mark:
		case m.fixed(place{kind: layout.LayerLink, id: id}) || !m.cut.all() && (m.pinned || m.holds(id)):
			kept = true
			m.refer(id)
		default:
			m.spare.add(at)
			if l.young() && m.freesHere(id) {
				m.ripe.add(at)
			} else if l.young() {
				m.refer(id)
			}
		}
		at++
	}
	m.firstLink = append(m.firstLink, at)
	return kept
}

// holds reports whether a layer link stays though nothing needs it: it holds another
// digest than its path says, and stays until that is put right; or nobody knows
// whether its blob is there; or the policy leaves such links alone.
func (m *marks) holds(id uint32) bool {
	return linkMismatches(m.r, id) || !m.present(id) && m.uncertain(id) || m.Left[m.spareID(id)]
}

// spareID tells which finding a layer link is that nothing needs.
func (m *marks) spareID(id uint32) finding.Kind {
	if m.present(id) {
		return finding.LayerLinkUnreferenced
	}
	return finding.LayerLinkDangling
}

// spareAlias reports whether an alias is one that nothing needs and nothing holds.
func (m *marks) spareAlias(a alias) bool {
	wanted := m.needed[a.id] == m.mark || a.target != none && m.needed[a.target] == m.mark
	return !wanted && !m.fixed(place{kind: layout.LayerLink, id: a.id}) &&
		(m.cut.all() || !m.pinned && !m.Left[finding.LayerLinkUnreferenced])
}

// staleEntry reports whether an entry of a tag's history, of a tag that stays, is of a
// manifest that the repository hasn't got, or won't have.
func (m *marks) staleEntry(h history) bool {
	t, p := &m.r.tags[h.tag], place{kind: layout.TagHistory, tag: h.tag, id: h.id}
	return !m.fixed(p) && m.r.odd[p].state != walker.LinkArchived &&
		t.target != none && !m.strays[tagRef{m.ri, h.tag}] && t.target != h.id && m.gone(h.id) && !m.r.badName && !t.badName
}

// gone reports whether the repository hasn't got the revision, or won't have it
// once the plan is carried out.
func (m *marks) gone(id uint32) bool {
	if m.isReached(id) || m.found[id] {
		return false
	}
	return !m.r.hasRevision(id) || m.goes(id) || m.untagged() && m.stateAt(id) == walker.ManifestGood
}

// untaggedGoes reports whether a revision goes because no tag leads to it, and not
// with anything that was named.
func (m *marks) untaggedGoes(id uint32) bool {
	return m.untagged() && !m.pinned && !m.isReached(id) && !m.cut.has(id)
}

// orphan reports whether nothing needs the blob.
func (m *marks) orphan(id uint32) bool { return !m.noOrphans && !m.referenced.has(id) }

// orphans are the ids of the blobs that nothing needs.
func (m *marks) orphans() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if m.noOrphans {
			return
		}
		for id := range uint32(m.len()) {
			if !m.referenced.has(id) && m.dueBlob(id) && !yield(id) {
				return
			}
		}
	}
}

// spareLink is a layer link that nothing needs.
type spareLink struct {
	repo  uint32
	layer layer
	ripe  bool // its youth doesn't keep it
	whole bool // its repository goes
}

// young reports whether it stays for its youth.
func (l spareLink) young() bool { return l.layer.young() && !l.ripe && !l.whole }

// spareLinks are the links that nothing needs, with their blob
// (LayerLinkUnreferenced) or without (LayerLinkDangling), and those of
// repositories that go (RepositoryRemoved).
func (m *marks) spareLinks(id finding.Kind) iter.Seq[spareLink] {
	return func(yield func(spareLink) bool) {
		for ri := range m.repos {
			first, whole := m.firstLink[ri], m.wholes.has(uint32(ri))
			for i, l := range m.repos[ri].layers {
				at := first + uint32(i)
				if !m.spare.has(at) || m.spareIn(whole, l.id()) != id {
					continue
				}
				s := spareLink{uint32(ri), l, m.ripe.has(at), whole}
				if m.dueLink(s, at) && !yield(s) {
					return
				}
			}
		}
	}
}

// spareIn tells which finding a layer link is that nothing needs, by its
// repository.
func (m *marks) spareIn(whole bool, id uint32) finding.Kind {
	if whole {
		return finding.RepositoryRemoved
	}
	return m.spareID(id)
}

// isSpare reports whether a layer link of a repository is one that nothing needs.
func (m *marks) isSpare(repo, id uint32) bool {
	at, _ := slices.BinarySearch(m.repos[repo].layers, newLayer(id, false))
	return m.spare.has(m.firstLink[repo] + uint32(at))
}

// dueBlob reports whether a blob that nothing needs is there because of the removal.
func (m *marks) dueBlob(id uint32) bool {
	switch {
	case m.before == nil:
		return true
	case m.planned != nil:
		_, goes := m.planned[spot{none, place{kind: layout.Blob, id: id}}]
		return goes
	}
	return !m.Removal.TagsOnly && (m.before.referenced.has(id) || m.young.has(id) && m.freed.has(id))
}

// blobGoes reports whether a blob goes with the removal.
func (m *marks) blobGoes(id uint32) bool {
	return id != none && int(id) < m.len() && !m.Left[finding.BlobOrphan] && m.orphan(id) && m.dueBlob(id) && !m.youngBlob(id)
}

// dueLink is dueBlob for a layer link that nothing needs, at its position over all
// repositories.
func (m *marks) dueLink(l spareLink, at uint32) bool {
	switch {
	case m.before == nil || m.planned != nil: // what no plan takes is needed by itself
		return true
	case l.whole:
		return true
	case m.Removal.TagsOnly:
		return false
	}
	return !m.before.spare.has(at) || l.ripe || m.blobGoes(l.layer.id())
}
