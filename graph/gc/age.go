package gc

import (
	"slices"

	"regfsck/graph"
)

// What is within the grace period stays though nothing needs it: a push writes blobs
// before the links to them, and links before the manifest. Only this file decides
// what is.

// RevisionInGrace reports whether a revision is within the grace period: its link, or its blob.
func (m *Marks) RevisionInGrace(v graph.Revision) bool {
	return graph.Newer(v.Modified, m.GraceFrom) || m.InGrace.Has(v.ID)
}

// manifestInGrace reports whether a manifest of the repository is within the grace period,
// or the link by which the repository holds it. Of one without a link nobody can tell.
func (m *Marks) manifestInGrace(id uint32) bool {
	if at, ok := slices.BinarySearchFunc(m.Current.Revisions, id, graph.CompareRevision); ok {
		return m.RevisionInGrace(m.Current.Revisions[at])
	}
	if at, _ := slices.BinarySearch(m.Current.Layers, graph.NewLayerLink(id, false)); at < len(m.Current.Layers) && m.Current.Layers[at].ID() == id {
		return m.Current.Layers[at].InGrace() || m.InGrace.Has(id)
	}
	return true
}

// BlobInGrace reports whether a blob that nothing needs stays for its youth.
func (m *Marks) BlobInGrace(id uint32) bool { return m.InGrace.Has(id) && !m.freed.Has(id) }

// AliasInGrace reports whether an alias is kept for its youth.
func (m *Marks) AliasInGrace(a graph.Alias) bool {
	return m.writtenInGrace(a) && !m.Removed.All() && !m.freesHere(a.ID) && (a.Target == graph.None || !m.freesHere(a.Target))
}

// writtenInGrace reports whether an alias was written within the grace period.
func (m *Marks) writtenInGrace(a graph.Alias) bool { return graph.Newer(a.Modified, m.GraceFrom) }

// EntryInGrace reports whether an entry of a tag's history is kept for its youth. That
// of one whose manifest goes is the manifest's.
func (m *Marks) EntryInGrace(h graph.HistoryEntry) bool {
	return m.recordedInGrace(h) && !m.RemovesManifest(h.ID)
}

// recordedInGrace reports whether an entry was written within the grace period.
func (m *Marks) recordedInGrace(h graph.HistoryEntry) bool {
	return graph.Newer(h.Modified, m.GraceFrom)
}

// free notes what the manifests that go have used: its youth is theirs, and
// doesn't keep it. A young link to it counts as theirs only if they are young too:
// one that was written since somebody else asked for.
func (m *Marks) free() {
	if m.freeing == nil {
		m.freeing = make([]uint32, len(m.Needed))
	}
	for id := range m.Removed.Dependent {
		if !m.RemovesManifest(id) {
			continue
		}
		m.freed.Add(id)
		mark := uint32(0)
		if m.manifestInGrace(id) {
			mark = m.Mark
		}
		if m.Current.IsLayerManifest(id) { // its link goes with it, as a revision link does
			m.frees(id, mark)
		}
		for _, used := range m.In(m.Current, id).Needs {
			m.frees(used, mark)
		}
	}
	if m.Removed.Whole {
		m.Current.Named(func(id uint32) {
			m.frees(id, m.Mark)
			m.frees(m.Current.Resolve(id), m.Mark)
		})
	}
}

// frees notes one digest.
func (m *Marks) frees(id, mark uint32) {
	m.freed.Add(id)
	m.freeing[id] = max(m.freeing[id], mark)
}

// freesHere reports whether the youth of a layer link of the repository doesn't keep it.
func (m *Marks) freesHere(id uint32) bool { return m.freeing != nil && m.freeing[id] == m.Mark }
