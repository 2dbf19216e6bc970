package graph

import (
	"slices"
)

// What is within the grace period stays though nothing needs it: a push writes blobs
// before the links to them, and links before the manifest. Only this file decides
// what is.

// isYoung reports whether a revision is within the grace period: its link, or its blob.
func (m *marks) isYoung(v revision) bool {
	return newer(v.modified, m.youngAfter) || m.young.has(v.id)
}

// heldYoung reports whether a manifest of the repository is within the grace period,
// or the link by which the repository holds it. Of one without a link nobody can tell.
func (m *marks) heldYoung(id uint32) bool {
	if at, ok := slices.BinarySearchFunc(m.r.revisions, id, compareRevision); ok {
		return m.isYoung(m.r.revisions[at])
	}
	if at, _ := slices.BinarySearch(m.r.layers, newLayer(id, false)); at < len(m.r.layers) && m.r.layers[at].id() == id {
		return m.r.layers[at].young() || m.young.has(id)
	}
	return true
}

// youngBlob reports whether a blob that nothing needs stays for its youth.
func (m *marks) youngBlob(id uint32) bool { return m.young.has(id) && !m.freed.has(id) }

// youngAlias reports whether an alias is kept for its youth.
func (m *marks) youngAlias(a alias) bool {
	return m.writtenYoung(a) && !m.cut.all() && !m.freesHere(a.id) && (a.target == none || !m.freesHere(a.target))
}

// writtenYoung reports whether an alias was written within the grace period.
func (m *marks) writtenYoung(a alias) bool { return newer(a.modified, m.youngAfter) }

// youngEntry reports whether an entry of a tag's history is kept for its youth. That
// of one whose manifest goes is the manifest's.
func (m *marks) youngEntry(h history) bool { return m.recordedYoung(h) && !m.goes(h.id) }

// recordedYoung reports whether an entry was written within the grace period.
func (m *marks) recordedYoung(h history) bool { return newer(h.modified, m.youngAfter) }

// free notes what the manifests that go have used: its youth is theirs, and
// doesn't keep it. A young link to it counts as theirs only if they are young too:
// one that was written since somebody else asked for.
func (m *marks) free() {
	if m.freeing == nil {
		m.freeing = make([]uint32, len(m.needed))
	}
	for id := range m.cut.members {
		if !m.goes(id) {
			continue
		}
		m.freed.add(id)
		mark := uint32(0)
		if m.heldYoung(id) {
			mark = m.mark
		}
		if m.r.isLayerManifest(id) { // its link goes with it, as a revision link does
			m.frees(id, mark)
		}
		for _, used := range m.in(m.r, id).needs {
			m.frees(used, mark)
		}
	}
	if m.cut.whole {
		m.r.named(func(id uint32) {
			m.frees(id, m.mark)
			m.frees(m.r.resolve(id), m.mark)
		})
	}
}

// frees notes one digest.
func (m *marks) frees(id, mark uint32) {
	m.freed.add(id)
	m.freeing[id] = max(m.freeing[id], mark)
}

// freesHere reports whether the youth of a layer link of the repository doesn't keep it.
func (m *marks) freesHere(id uint32) bool { return m.freeing != nil && m.freeing[id] == m.mark }
