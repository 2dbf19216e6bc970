package gc

import (
	"slices"

	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// MarkRepository marks what is kept of one repository.
//
// Its roots are what its tags mean and, unless the policy takes manifests without a
// tag, every manifest that it holds. Where it isn't certain what a tag means, all
// that it may mean is a root. Where something is broken, so that nobody knows what it
// needs, the repository is pinned: all of its manifests are roots.
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
	if !m.certain && !m.Removed.All() { // a tag that is kept may mean any of those that were to be removed
		for v := range m.Current.Manifests() {
			mark.root(v.ID)
		}
	}
	mark.follow()
	if m.Pinned || m.keepsBroken() { // also where something broken came to light only now
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

// marker marks what is kept of one repository once its roots are known, and knows what its
// tags make roots. It reads the graph, and what is to be removed of the repository. What a
// removal takes is no root; all else that it finds is only ever kept. It knows no time and
// no plan.
type marker struct {
	*graph.Graph
	*RepositoryMarks
	cache          bool                  // a pull-through cache: layers may be absent
	tagsOnly       bool                  // the links of tags are removed, and nothing else
	revived        map[uint32][]uint32   // Terms.Revived
	foreignTargets map[graph.TagRef]bool // Marks.ForeignTargets, which it fills

	todo         []uint32          // nodes that are kept, and whose references weren't followed yet
	todoUnserved []uint32          // likewise, of manifests that the repository can't serve
	keptUnserved []uint32          // by node: mark, if its references are kept all the same
	explained    map[uint32]uint32 // by id of a digest that stands for another: mark, if that was followed
}

// pinIf pins the repository if something broken was found of which nobody knows what it
// needs.
func (m *marker) pinIf(broken bool) { m.Pinned = m.Pinned || broken }

// brokenRevisions pins the repository where the manifest of a revision is missing or
// broken.
func (m *marker) brokenRevisions() {
	for _, v := range m.Current.Revisions {
		m.pinIf(m.StateAt(v.ID) != walker.ManifestGood && !m.removesBroken(v.ID))
	}
	m.pinIf(!m.Removed.All() && len(m.Current.LayersUnread) > 0)
}

// tagRoots makes what the tags mean roots. What is broken of it pins.
func (m *marker) tagRoots() {
	m.certain = true
	for i := range m.Current.Tags {
		t := &m.Current.Tags[i]
		switch {
		case m.Removed.Takes(uint32(i)) && !m.tagsOnly:
		case t.Target == graph.None:
			m.certain = false
			for _, h := range graph.HistoryOf(m.Current, uint32(i)) { // it may mean any of these
				m.root(h.ID)
				m.pinIf(m.Uncertain(h.ID) || graph.BrokenState(m.StateAt(h.ID)))
			}
		default:
			m.tagRoot(uint32(i), t)
		}
	}
}

// tagRoot makes what a tag means a root. What was never pushed to the repository is
// kept, and so is what the tag meant before: all of its history.
func (m *marker) tagRoot(i uint32, t *graph.Tag) {
	if m.Current.HasRevision(t.Target) {
		m.root(t.Target)
		return
	}
	if !m.witnessed(i, t) {
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
	m.pinIf(state != walker.ManifestGood && (state != walker.ManifestMissing || m.Uncertain(t.Target)))
}

// witnessed reports whether something of the repository beside the tag's current
// link says that what it means was pushed here: an entry of the tag's history, whose
// path names it, or the links of the manifest or of all that it needs. A target that
// is gone, of a tag without any history, can't be told from one.
func (m *marker) witnessed(i uint32, t *graph.Tag) bool {
	entries := graph.HistoryOf(m.Current, i)
	switch m.StateAt(t.Target) {
	case walker.ManifestGood:
		if m.Current.HasLink(t.Target) || m.In(m.Current, t.Target).Proven() {
			return true
		}
	case walker.ManifestMissing:
		if len(entries) == 0 {
			return true
		}
	}
	return m.cache || m.Uncertain(t.Target) || slices.ContainsFunc(entries, func(h graph.HistoryEntry) bool { return h.ID == t.Target })
}

// badLinkRoots keeps what a mismatching link's content names, and what a link named when
// it was first looked at. What is broken of it pins. Its content alone doesn't prove
// that this was pushed here.
func (m *marker) badLinkRoots() {
	if m.Removed.All() {
		return
	}
	keep := func(id uint32) {
		m.need(id)
		m.keepHere(id)
		m.pinIf(m.Uncertain(id) || graph.BrokenState(m.StateAt(id)))
	}
	for _, o := range m.Current.Bad {
		if o.State == walker.LinkMismatch {
			keep(o.Target)
		}
	}
	for _, id := range m.Current.NamedBefore {
		keep(id)
	}
}

// foundRoots keeps the images that the repository gets back. Of one that a tag of a source
// means it may have the revision link still.
func (m *marker) foundRoots() {
	clear(m.Found)
	for _, id := range m.revived[m.CurrentID] {
		m.keepHere(id)
		m.Found[id] = true
	}
}

// root keeps the manifest under id in the repository, and what it leads to once it is
// followed.
func (m *marker) root(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.Reached[n-1] != m.Mark {
		m.Reached[n-1] = m.Mark
		m.todo = append(m.todo, n-1)
	}
}

// keepUnserved keeps what a manifest refers to without asking whether the repository can
// serve it.
func (m *marker) keepUnserved(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.keptUnserved[n-1] != m.Mark {
		m.keptUnserved[n-1] = m.Mark
		m.todoUnserved = append(m.todoUnserved, n-1)
	}
}

// keepHere keeps a manifest that nothing proves to be the repository's: it is a
// root if the repository has it, and else kept with all that it refers to.
func (m *marker) keepHere(id uint32) {
	if m.Current.Serves(id) {
		m.root(id)
	}
	m.keepUnserved(id)
}

// need marks id as referred to by a kept manifest of the repository.
func (m *marker) need(id uint32) {
	m.Needed[id] = m.Mark
	m.refer(id)
}

// needHere marks id and what it stands for in the repository.
func (m *marker) needHere(id uint32) {
	m.need(id)
	m.need(m.Current.Resolve(id))
}

// needLink keeps the layer link by which the repository has a manifest that is kept.
func (m *marker) needLink(id uint32) {
	if m.Current.IsLayerManifest(id) {
		m.Needed[id] = m.Mark
	}
}

// follow follows the references of all roots: an index's children in this repository,
// config and layers, and whatever has a kept manifest as its subject; and then of what
// is kept without being served, until neither brings up anything new. What of that the
// repository could serve is a root again. What is broken on the way pins.
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

// served keeps one reference of a manifest that the repository serves. uploaded is what
// Uploaded reports of the manifest.
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

// unread keeps what could be meant by a reference that no registry reads. Nothing
// of it is missed, and what is broken of it pins nothing: whoever may push could
// have put any digest there.
func (m *marker) unread(e graph.Edge) {
	id := e.ID()
	m.needHere(id)
	if !e.IsEntry() {
		return
	}
	m.keepHere(id)
	m.keepHere(m.Current.Resolve(id))
}

// blob keeps a config or layer, and what it stands for if it is a digest of another
// algorithm. Where no link says what that is, it may be any blob that the repository
// links: that pins.
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
	case a.Target != graph.None: // else it is reported with the aliases, and pins
		m.blob(a.Target)
	}
}

// claimed keeps a blob that no registry looks for when a manifest is pushed that
// refers to it, or uploaded as a blob. Only a link proves that it was pushed here:
// without one it is another repository's, for all that is known.
func (m *marker) claimed(id uint32) {
	if m.Current.HasLink(id) {
		m.blob(id)
		return
	}
	m.needHere(id)
	m.pinIf(m.StandsFor(m.Current, id) && !m.cache) // it may be any blob that the repository links
}

// child follows an index's entry. Without a revision link here it can't be
// served; what it refers to is kept all the same as long as the index is. An
// entry that may be either is a blob only if its bytes were read and are no
// manifest, or if the repository links it as a blob.
func (m *marker) child(by uint32, e graph.Edge) {
	id, state := e.ID(), m.StateAt(e.ID())
	switch m.In(m.Current, by).Entry(e) {
	case graph.EntryAliased:
		m.blob(id)
		m.aliasedChild(m.Current.AliasOf(id))
	case graph.EntryUnexplained, graph.EntryUncertain: // nothing here can be known of it, nor of what it needs
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

// aliasedChild keeps what a child that is named by another algorithm's digest
// needs, if it is a manifest. A revision of the repository is served by that name too.
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

// referrers keeps the repository's manifests that have id as their subject, and
// what its tags sha256-<hex>… mean.
func (m *marker) referrers(id uint32) {
	for referrer := range m.In(m.Current, id).Referrers {
		if !m.Removed.Names(referrer) {
			m.root(referrer)
		}
	}
	if m.Removed != nil {
		for _, t := range m.Removed.Tied[id] {
			m.tagRoot(t, &m.Current.Tags[t])
		}
	}
}

// removesBroken reports whether what is broken of the manifest under id doesn't pin the
// repository, since it is itself what is removed. It does if it is kept.
func (m *marker) removesBroken(id uint32) bool {
	if !m.Removed.has(id) || !m.Removed.Whole && (m.Uncertain(id) || m.StateAt(id) == walker.ManifestUnread) {
		return false
	}
	m.Removed.broken = append(m.Removed.broken, id)
	return true
}

// rootAll keeps all manifests of the repository, and what its tags mean that are removed.
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
