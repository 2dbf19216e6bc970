package gc

import (
	"slices"

	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// MarkRepository marks what is kept of one repository.
//
// Its roots are the targets of its tags and, unless the policy removes untagged manifests,
// every manifest that it has. If a tag is ambiguous, all of its possible targets are roots.
// If something is broken, so that its references are unknown, the repository is pinned: all
// of its manifests are roots.
func (m *Marks) MarkRepository(i uint32) {
	m.begin(i)
	mark := m.marker
	m.Pinned = m.Current.Pinned && !m.Removed.All()
	mark.brokenRevisions()
	mark.tagRoots()
	mark.badLinkRoots()
	mark.foundRoots()
	mark.follow()
	m.ByTags = len(m.Followed)

	all := !m.RemovesUntagged() || !m.certain
	for v := range m.Current.Manifests() {
		rest := !m.Removed.has(v.ID) && (all || m.RevisionInGrace(v) || m.UnclearSubject(v.ID) || m.linkKept(v.ID))
		if rest || m.IsKept(m.Current.LinkTo(v.ID)) {
			mark.root(v.ID)
		}
	}
	if !m.certain && !m.Removed.All() { // a kept tag may have any of the manifests to remove as its target
		for v := range m.Current.Manifests() {
			mark.root(v.ID)
		}
	}
	mark.follow()
	if m.Pinned || m.keepsBroken() { // also if something broken was found only now
		m.Pinned = true
		mark.rootAll()
		mark.follow()
	}
	for _, s := range m.Signed[i] {
		if s.kept || !m.Removed.All() {
			m.refer(s.By)
		}
	}
	sweeper{m}.sweep()
	if m.Users != nil && m.Pinned {
		m.Users.Pinned.Add(i)
	}
	if m.Users != nil && !m.certain {
		m.Users.uncertain.Add(i)
	}
}

// marker marks what is kept of one repository. It reads the graph and the removal of the
// repository. What a removal removes is no root; everything else can only be kept. It knows
// no times and no plan.
type marker struct {
	*graph.Graph
	*RepositoryMarks
	cache          bool                  // a pull-through cache: layers may be absent
	tagsOnly       bool                  // the links of tags are removed, and nothing else
	revived        map[uint32][]uint32   // Terms.Revived
	foreignTargets map[graph.TagRef]bool // Marks.ForeignTargets, which it sets

	todo         []uint32          // nodes that are kept and whose references weren't followed
	todoUnserved []uint32          // likewise, manifests that the repository can't serve
	keptUnserved []uint32          // by node: Mark, if its references are kept although it isn't served
	explained    map[uint32]uint32 // by id of an alias: Mark, if it was followed
}

// pinIf pins the repository if something broken with unknown references was found.
func (m *marker) pinIf(broken bool) { m.Pinned = m.Pinned || broken }

// brokenRevisions pins the repository if the manifest of a revision is missing or broken.
func (m *marker) brokenRevisions() {
	for _, v := range m.Current.Revisions {
		m.pinIf(m.StateAt(v.ID) != walker.ManifestGood && !m.removesBroken(v.ID))
	}
	m.pinIf(!m.Removed.All() && len(m.Current.LayersUnread) > 0)
}

// tagRoots makes the targets of tags roots. Broken ones pin.
func (m *marker) tagRoots() {
	m.certain = true
	for i := range m.Current.Tags {
		t := &m.Current.Tags[i]
		switch {
		case m.Removed.Takes(uint32(i)) && !m.tagsOnly:
		case t.Target == graph.None:
			m.certain = false
			for _, h := range graph.HistoryOf(m.Current, uint32(i)) { // any of these may be the target
				m.root(h.ID)
				m.pinIf(m.unclear(h.ID))
			}
		default:
			m.tagRoot(uint32(i), t)
		}
	}
}

// tagRoot makes a tag's target a root. A target that was never pushed to the repository is
// kept, and so is the tag's history.
func (m *marker) tagRoot(i uint32, t *graph.Tag) {
	if m.Current.HasRevision(t.Target) {
		m.root(t.Target)
		return
	}
	if !m.pushedHere(i, t) {
		m.foreignTargets[graph.TagRef{Repo: m.CurrentID, Tag: i}] = true
		for _, h := range graph.HistoryOf(m.Current, i) {
			m.keepHere(h.ID)
		}
		m.keepUnserved(t.Target)
		m.pinIf(true)
		return
	}
	m.root(t.Target)
	state := m.StateAt(t.Target)
	m.pinIf(m.StandsFor(m.Current, t.Target) || state != walker.ManifestGood && (state != walker.ManifestMissing || m.Uncertain(t.Target)))
}

// unclear reports whether it is unknown what a manifest needs, or which manifest the digest of
// another algorithm names.
func (m *marker) unclear(id uint32) bool {
	return m.Uncertain(id) || graph.BrokenState(m.StateAt(id)) || m.StandsFor(m.Current, id)
}

// pushedHere reports whether something of the repository besides the tag's current link shows
// that its target was pushed here: a history entry, or the links of the manifest or of all
// that it needs. A target that is missing, of a tag without history, looks the same.
func (m *marker) pushedHere(i uint32, t *graph.Tag) bool {
	entries, state := graph.HistoryOf(m.Current, i), m.StateAt(t.Target)
	return state == walker.ManifestGood && (m.Current.HasLink(t.Target) || m.In(m.Current, t.Target).Proven()) ||
		state == walker.ManifestMissing && len(entries) == 0 || m.cache || m.Uncertain(t.Target) ||
		slices.ContainsFunc(entries, func(h graph.HistoryEntry) bool { return h.ID == t.Target })
}

// badLinkRoots keeps the content of mismatched links, and targets that a recheck found
// replaced. Broken ones pin. The content alone doesn't prove that this was pushed here.
func (m *marker) badLinkRoots() {
	if m.Removed.All() {
		return
	}
	for id := range m.Current.Mismatched {
		m.need(id)
		m.keepHere(id)
		m.pinIf(m.unclear(id))
	}
}

// foundRoots keeps the images that are restored in the repository. One from a source's tag
// may still have its revision link.
func (m *marker) foundRoots() {
	clear(m.Found)
	for _, id := range m.revived[m.CurrentID] {
		m.keepHere(id)
		m.Found[id] = true
	}
}

// root keeps the manifest under id in the repository; follow keeps its references.
func (m *marker) root(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.Reached[n-1] != m.Mark {
		m.Reached[n-1] = m.Mark
		m.todo = append(m.todo, n-1)
	}
}

// keepUnserved keeps the references of a manifest whether or not the repository can serve it.
func (m *marker) keepUnserved(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.keptUnserved[n-1] != m.Mark {
		m.keptUnserved[n-1] = m.Mark
		m.todoUnserved = append(m.todoUnserved, n-1)
	}
}

// keepHere keeps a manifest that may not be the repository's: it is a root if the repository
// has it; otherwise it is kept with all references.
func (m *marker) keepHere(id uint32) {
	if m.Current.Serves(id) {
		m.root(id)
	}
	m.keepUnserved(id)
}

// need marks id as referenced by a kept manifest of the repository.
func (m *marker) need(id uint32) {
	m.Needed[id] = m.Mark
	m.refer(id)
}

// needHere marks id and the target of its alias in the repository.
func (m *marker) needHere(id uint32) {
	m.need(id)
	m.need(m.Current.Resolve(id))
}

// needLink keeps the layer link of a manifest that is kept.
func (m *marker) needLink(id uint32) {
	if m.Current.IsLayerManifest(id) {
		m.Needed[id] = m.Mark
	}
}

// follow follows the references of all roots: children in this repository, configs, layers
// and referrers; then those of manifests that are kept without being served, until there is
// nothing new. What the repository can serve of them is a root again. Broken manifests pin.
func (m *marker) follow() {
	for len(m.todo)+len(m.todoUnserved) > 0 {
		for len(m.todo) > 0 {
			at := m.todo[len(m.todo)-1]
			m.todo = m.todo[:len(m.todo)-1]
			m.Followed = append(m.Followed, followed{at, true})
			id := m.Nodes[at].ID
			uploaded := m.Uploaded(id)
			for e := range m.In(m.Current, id).References {
				m.served(id, e, uploaded)
			}
			m.referrers(id)
		}
		for len(m.todoUnserved) > 0 {
			at := m.todoUnserved[len(m.todoUnserved)-1]
			m.todoUnserved = m.todoUnserved[:len(m.todoUnserved)-1]
			m.Followed = append(m.Followed, followed{at, false})
			id := m.Nodes[at].ID
			for e := range m.In(m.Current, id).References {
				m.unserved(e)
			}
			m.referrers(id)
		}
	}
}

// served keeps one reference of a manifest that the repository serves. uploaded is Uploaded
// of the manifest.
func (m *marker) served(by uint32, e graph.Edge, uploaded bool) {
	switch role := e.Role(); {
	case !e.Read():
		m.unread(e)
	case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
		m.claimed(e.ID())
	case role == manifest.Config, role == manifest.Layer:
		m.blob(e.ID())
	case role == manifest.MayBeAbsent: // kept if it is there
		m.needHere(e.ID())
	case e.IsEntry():
		m.child(by, e)
	}
}

// unread keeps the possible targets of a reference that no registry reads. Missing ones
// aren't damage, and broken ones pin nothing: anyone who may push could have written any
// digest there.
func (m *marker) unread(e graph.Edge) {
	id := e.ID()
	m.needHere(id)
	if !e.IsEntry() {
		return
	}
	m.keepHere(id)
	m.keepHere(m.Current.Resolve(id))
}

// blob keeps a config or layer, and its alias's target. A digest of another algorithm without
// an alias may be any blob that the repository links: that pins.
func (m *marker) blob(id uint32) {
	m.need(id)
	if !m.StandsFor(m.Current, id) || m.explained[id] == m.Mark {
		return
	}
	m.explained[id] = m.Mark
	a := m.Current.AliasOf(id)
	switch {
	case a == nil:
		m.pinIf(!m.cache)
	case a.Target != graph.None: // otherwise it is reported with the aliases, and pins
		m.blob(a.Target)
	}
}

// claimed keeps a blob that registries don't look for when a manifest is pushed or uploaded
// as a blob. Only a link proves that it was pushed here; without one it is not known to
// belong to this repository.
func (m *marker) claimed(id uint32) {
	if m.Current.HasLink(id) {
		m.blob(id)
		return
	}
	m.needHere(id)
	m.pinIf(m.StandsFor(m.Current, id) && !m.cache) // it may be any blob that the repository links
}

// child follows an index's entry. Without a revision link it can't be served; its references
// are kept as long as the index is. An entry that may be a manifest or a blob is a blob only
// if its bytes were read and are no manifest, or if the repository links it as a blob.
func (m *marker) child(by uint32, e graph.Edge) {
	id, state := e.ID(), m.StateAt(e.ID())
	switch m.In(m.Current, by).Entry(e) {
	case graph.EntryAliased:
		m.blob(id)
		m.aliasedChild(m.Current.AliasOf(id))
	case graph.EntryUnexplained, graph.EntryUncertain: // its references are unknown
		m.need(id)
		m.pinIf(true)
	case graph.EntryServed:
		m.root(id)
		if e.Role() == manifest.Either && m.Current.HasLayer(id) {
			m.need(id)
		}
	case graph.EntryLayer:
		m.keepUnserved(id)
		m.blob(id)
		m.pinIf(state == walker.ManifestCorrupt || state == walker.ManifestArchived)
	case graph.EntryBlob:
		m.claimed(id)
	case graph.EntryProven:
		m.root(id)
	default:
		m.keepUnserved(id)
		m.pinIf(graph.BrokenState(state))
	}
}

// aliasedChild keeps what a child with an alias needs, if it is a manifest. A revision is
// served by that digest too.
func (m *marker) aliasedChild(a *graph.Alias) {
	if a.Target == graph.None {
		return
	}
	m.keepHere(a.Target)
	state := m.StateAt(a.Target)
	m.pinIf(m.Uncertain(a.Target) || graph.BrokenState(state) && state != walker.ManifestUnparsable)
}

// unserved keeps one reference of a manifest that is kept without being served.
func (m *marker) unserved(e graph.Edge) {
	if !e.Read() {
		m.unread(e)
		return
	}
	id := e.ID()
	m.needHere(id)
	switch {
	case m.StandsFor(m.Current, id) && !m.Current.HasRevision(id): // as in blob and child
		if a := m.Current.AliasOf(id); a == nil {
			m.pinIf(e.Role() != manifest.MayBeAbsent)
		} else if e.IsEntry() {
			m.aliasedChild(a)
		}
	case e.IsEntry():
		m.keepHere(id)
		state := m.StateAt(id)
		m.pinIf(graph.BrokenState(state) && (e.Role() == manifest.Child || state != walker.ManifestUnparsable))
	}
}

// referrers keeps the repository's manifests with id as their subject, and the targets of its
// referrers tags.
func (m *marker) referrers(id uint32) {
	for referrer := range m.In(m.Current, id).Referrers {
		if !m.Removed.Names(referrer) {
			m.root(referrer)
		}
	}
	if m.Removed != nil {
		for _, t := range m.Removed.ReferrersTags[id] {
			m.tagRoot(t, &m.Current.Tags[t])
		}
	}
}

// removesBroken reports whether a broken manifest doesn't pin the repository, because it is
// itself removed. It pins if it is kept.
func (m *marker) removesBroken(id uint32) bool {
	if !m.Removed.has(id) || !m.Removed.Whole && (m.Uncertain(id) || m.StateAt(id) == walker.ManifestUnread) {
		return false
	}
	m.Removed.broken = append(m.Removed.broken, id)
	return true
}

// rootAll keeps all manifests of the repository, and the targets of removed tags.
func (m *marker) rootAll() {
	for v := range m.Current.Manifests() {
		m.root(v.ID)
	}
	if m.Removed == nil {
		return
	}
	for id := range m.Removed.Dependent {
		m.root(id)
	}
	for t := range m.Removed.Tags {
		if target := m.Current.Tags[t].Target; target != graph.None {
			m.root(target)
		}
	}
}
