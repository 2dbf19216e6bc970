package gc

import (
	"slices"

	"regfsck/graph"
)

// What is in grace is kept though nothing needs it: a push writes blobs before their links,
// and links before the manifest. Only this file decides what that keeps; graph.Age compares
// the times.

// RevisionInGrace reports whether a revision's link or blob is in grace.
func (m *Marks) RevisionInGrace(v graph.Revision) bool {
	return m.Age.CoversSeconds(v.Modified) || m.InGrace.Has(v.ID)
}

// manifestInGrace reports whether a manifest of the repository, or its link, is in grace.
// Without a link its age is unknown.
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

// EntryInGrace reports whether an entry of a tag's history is kept because it is in grace. If
// its manifest is removed, the manifest's age counts.
func (m *Marks) EntryInGrace(h graph.HistoryEntry) bool {
	return m.Age.CoversSeconds(h.Modified) && !m.RemovesManifest(h.ID)
}

// freed is what the manifests of a removal referred to. Grace doesn't keep what only they
// needed: the young push is what is removed. It is less than the garbage of the removal: what
// a removed tag's history or a pin kept besides is still in grace.
type freed struct {
	blobs graph.Bitset    // by id
	links graph.Bitset    // layer links, by position over all repositories
	here  map[uint32]bool // ids that a manifest in grace referred to in the current repository
}

// free records what the removed manifests of the repository referred to. A link in grace
// counts as theirs only if they are in grace too: a link newer than the manifest was written
// by another push.
func (m sweeper) free() {
	m.freed.here = map[uint32]bool{}
	for id := range m.Removed.Dependent {
		if !m.RemovesManifest(id) {
			continue
		}
		m.freed.blobs.Add(id)
		young := m.manifestInGrace(id)
		if m.Current.IsLayerManifest(id) { // its link is removed with it, as a revision link is
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

// use records a digest, and whether a manifest in grace referred to it.
func (f *freed) use(id uint32, young bool) {
	f.blobs.Add(id)
	if young {
		f.here[id] = true
	}
}
