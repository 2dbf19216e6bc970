package gc

import (
	"iter"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// sweeper finds what of the current repository nothing needs.
type sweeper struct{ *Marks }

// sweep finds what of the repository nothing needs, once marking is complete, and keeps what
// is in grace, pinned, or kept by the policy.
func (m sweeper) sweep() {
	m.freed.here = nil
	if c := m.Removed; c != nil && (c.Whole || len(c.Tags)+len(c.Dependent) > 0) {
		m.free()
		explain := explainer{m.Graph, &m.RepositoryMarks}
		m.WhyKept = explain.whyKept()
		if m.Planned == nil {
			m.Rejected = append(m.Rejected, explain.rejections()...)
		}
	}
	for _, a := range m.Current.Aliases {
		if a.Target != graph.None && m.AliasInGrace(a) {
			m.marker.need(a.Target)
		}
	}
	m.KeptLink = m.sweepLayers()
	for _, a := range m.Current.Aliases {
		if m.UnreferencedAlias(a) && !m.AliasInGrace(a) {
			continue
		}
		m.KeptLink = true
		m.refer(a.ID) // the blob stored under that digest, if there is one
		if a.Target != graph.None {
			m.refer(a.Target)
		}
	}
	for _, h := range m.Current.History {
		if !m.RemovesTag(h.Tag) && (!m.StaleEntry(h) || m.EntryInGrace(h) || m.Skip[finding.TagHistoryStale]) {
			m.refer(h.ID)
		}
	}
}

// sweepLayers marks the layer links that nothing needs. It reports whether any link is kept
// for its own sake.
func (m sweeper) sweepLayers() (kept bool) {
	at := m.FirstLink[m.CurrentID]
	for _, l := range m.Current.Layers {
		id := l.ID()
		switch {
		case m.Needed[id] == m.Mark:
		case m.IsKept(graph.Link{Kind: layout.LayerLink, ID: id}) || !m.Removed.All() && (m.Pinned || m.keepsUnneeded(id)):
			kept = true
			m.refer(id)
		default:
			m.Unreferenced.Add(at)
			switch {
			case !l.InGrace():
			case m.freed.here[id]:
				m.freed.links.Add(at)
			default:
				m.refer(id)
			}
		}
		at++
	}
	m.FirstLink = append(m.FirstLink, at)
	return kept
}

// keepsUnneeded reports whether a layer link is kept though nothing needs it: its content is
// another digest and must be repaired, or the state of its blob is unknown, or the policy
// doesn't fix such links.
func (m sweeper) keepsUnneeded(id uint32) bool {
	return graph.LinkMismatches(m.Current, id) || !m.Present(id) && m.Uncertain(id) || m.Skip[m.unreferencedKind(false, id)]
}

// unreferencedKind returns the kind of finding of a layer link that nothing needs; whole
// means that its repository is removed.
func (m *Marks) unreferencedKind(whole bool, id uint32) finding.Kind {
	switch {
	case whole:
		return finding.RepositoryRemoved
	case m.Present(id):
		return finding.LayerLinkUnreferenced
	}
	return finding.LayerLinkDangling
}

// UnreferencedAlias reports whether nothing needs or keeps an alias.
func (m *Marks) UnreferencedAlias(a graph.Alias) bool {
	wanted := m.Needed[a.ID] == m.Mark || a.Target != graph.None && m.Needed[a.Target] == m.Mark
	return !wanted && !m.IsKept(graph.Link{Kind: layout.LayerLink, ID: a.ID}) &&
		(m.Removed.All() || !m.Pinned && !m.Skip[finding.LayerLinkUnreferenced])
}

// StaleEntry reports whether the manifest of an entry of a kept tag's history is missing, or
// is removed.
func (m *Marks) StaleEntry(h graph.HistoryEntry) bool {
	t, p := &m.Current.Tags[h.Tag], graph.Link{Kind: layout.TagHistory, Tag: h.Tag, ID: h.ID}
	return !m.IsKept(p) && m.Current.Bad[p].State != walker.LinkArchived &&
		t.Target != graph.None && !m.ForeignTargets[graph.TagRef{Repo: m.CurrentID, Tag: h.Tag}] && t.Target != h.ID && sweeper{m}.missing(h.ID) && !m.Current.BadName && !t.BadName
}

// missing reports whether the repository lacks the revision, or will after the plan.
func (m sweeper) missing(id uint32) bool {
	if m.IsReached(id) || m.Found[id] {
		return false
	}
	return !m.Current.HasRevision(id) || m.RemovesManifest(id) || m.RemovesUntagged() && m.StateAt(id) == walker.ManifestGood
}

// IsUntaggedGarbage reports whether a revision is removed because it is untagged, and not
// with a request.
func (m *Marks) IsUntaggedGarbage(id uint32) bool {
	return m.RemovesUntagged() && !m.Pinned && !m.IsReached(id) && !m.Removed.has(id)
}

// Orphan reports whether nothing needs the blob.
func (m *Marks) Orphan(id uint32) bool { return !m.NoOrphans && !m.Referenced.Has(id) }

// Orphans yields the ids of the blobs that nothing needs.
func (m *Marks) Orphans() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if m.NoOrphans {
			return
		}
		for id := range uint32(m.Len()) {
			if !m.Referenced.Has(id) && m.isNewGarbage(id) && !yield(id) {
				return
			}
		}
	}
}

// UnreferencedLink is a layer link that nothing needs.
type UnreferencedLink struct {
	Repo  uint32
	Layer graph.LayerLink
	freed bool // the removal removes what it was pushed with, so grace doesn't keep it
	whole bool // its repository is removed
}

// InGrace reports whether the grace period keeps it.
func (l UnreferencedLink) InGrace() bool { return l.Layer.InGrace() && !l.freed && !l.whole }

// UnreferencedLinks yields the links that nothing needs: with a blob (LayerLinkUnreferenced),
// without (LayerLinkDangling), or of removed repositories (RepositoryRemoved).
func (m *Marks) UnreferencedLinks(id finding.Kind) iter.Seq[UnreferencedLink] {
	return func(yield func(UnreferencedLink) bool) {
		for ri := range m.Repos {
			first, whole := m.FirstLink[ri], m.Wholes.Has(uint32(ri))
			for i, l := range m.Repos[ri].Layers {
				at := first + uint32(i)
				if !m.Unreferenced.Has(at) || m.unreferencedKind(whole, l.ID()) != id {
					continue
				}
				s := UnreferencedLink{uint32(ri), l, m.freed.links.Has(at), whole}
				if m.isNewGarbageLink(s, at) && !yield(s) {
					return
				}
			}
		}
	}
}

// IsUnreferenced reports whether nothing needs a layer link of a repository.
func (m *Marks) IsUnreferenced(repo, id uint32) bool {
	at, _ := slices.BinarySearch(m.Repos[repo].Layers, graph.NewLayerLink(id, false))
	return m.Unreferenced.Has(m.FirstLink[repo] + uint32(at))
}

// isNewGarbage reports whether the removal makes an orphan of a blob: it is needed without
// the removal, or removed manifests referred to it while it was in grace.
func (m *Marks) isNewGarbage(id uint32) bool {
	switch {
	case m.before == nil:
		return true
	case m.Planned != nil:
		_, planned := m.Planned[graph.Ref{Repo: graph.None, Link: graph.Link{Kind: layout.Blob, ID: id}}]
		return planned
	}
	return !m.Removal.TagsOnly && (m.before.Referenced.Has(id) || m.InGrace.Has(id) && m.freed.blobs.Has(id))
}

// RemovesBlob reports whether the removal removes a blob.
func (m *Marks) RemovesBlob(id uint32) bool {
	return id != graph.None && int(id) < m.Len() && !m.Skip[finding.BlobOrphan] && m.Orphan(id) && m.isNewGarbage(id) && !m.BlobInGrace(id)
}

// isNewGarbageLink is isNewGarbage for a layer link, at its position over all repositories.
func (m *Marks) isNewGarbageLink(l UnreferencedLink, at uint32) bool {
	switch {
	case m.before == nil || m.Planned != nil: // what no plan removes is needed
		return true
	case l.whole:
		return true
	case m.Removal.TagsOnly:
		return false
	}
	return !m.before.Unreferenced.Has(at) || l.freed || m.RemovesBlob(l.Layer.ID())
}
