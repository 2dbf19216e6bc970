package gc

import (
	"slices"

	"regfsck/graph"
)

// What is within the grace period is kept though nothing needs it: a push writes blobs
// before the links to them, and links before the manifest. Only this file decides
// what that keeps; graph.Age compares the times.

// RevisionInGrace reports whether a revision is within the grace period: its link, or its blob.
func (m *Marks) RevisionInGrace(v graph.Revision) bool {
	return m.Age.CoversSeconds(v.Modified) || m.InGrace.Has(v.ID)
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

// BlobInGrace reports whether a blob that nothing needs is kept because it is in grace.
func (m *Marks) BlobInGrace(id uint32) bool { return m.InGrace.Has(id) && !m.freed.blobs.Has(id) }

// AliasInGrace reports whether an alias is kept because it is in grace.
func (m *Marks) AliasInGrace(a graph.Alias) bool {
	return m.Age.CoversSeconds(a.Modified) && !m.Removed.All() && !m.freed.here[a.ID] && !m.freed.here[a.Target]
}

// EntryInGrace reports whether an entry of a tag's history is kept because it is in
// grace. Of one whose manifest is removed the age is the manifest's.
func (m *Marks) EntryInGrace(h graph.HistoryEntry) bool {
	return m.Age.CoversSeconds(h.Modified) && !m.RemovesManifest(h.ID)
}

// freed is what the manifests used that a removal takes. That these are in grace keeps
// nothing that only they used: the young push is what is removed. It is less than what
// the removal makes garbage. What a removed tag's history or a pin kept besides has its
// grace period still.
type freed struct {
	blobs graph.Bitset    // by id
	links graph.Bitset    // layer links, by position over all repositories
	here  map[uint32]bool // ids that a young manifest used in the repository that was marked last
}

// free notes what the manifests used that are removed from the repository. A link in
// grace counts as theirs only if they are in grace too: a link that is younger than the
// manifest was written for somebody else.
func (m sweeper) free() {
	m.freed.here = map[uint32]bool{}
	for id := range m.Removed.Dependent {
		if !m.RemovesManifest(id) {
			continue
		}
		m.freed.blobs.Add(id)
		young := m.manifestInGrace(id)
		if m.Current.IsLayerManifest(id) { // its link is removed with it, as a revision link does
			m.freed.use(id, young)
		}
		for _, used := range m.In(m.Current, id).Needs {
			m.freed.use(used, young)
		}
	}
	if m.Removed.Whole {
		m.Current.Named(func(id uint32) {
			m.freed.use(id, true)
			m.freed.use(m.Current.Resolve(id), true)
		})
	}
}

// use notes one digest, and whether a young manifest used it.
func (f *freed) use(id uint32, young bool) {
	f.blobs.Add(id)
	if young {
		f.here[id] = true
	}
}
