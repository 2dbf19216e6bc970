package gc

import (
	"slices"

	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// followed is a manifest whose references were kept, by its node.
type followed struct {
	Node   uint32
	Served bool // the repository serves it, so that what keeps it from being pulled is damage
}

// MarkRepository marks what is kept of one repository.
//
// Its roots are what its tags mean and, unless the policy takes manifests without a
// tag, every manifest that it holds. Where it isn't certain what a tag means, all
// that it may mean is a root. Where something is broken, so that nobody knows what it
// needs, the repository is pinned: all of its manifests are roots.
func (m *Marks) MarkRepository(i uint32) {
	m.Current, m.CurrentID, m.Mark = &m.Repos[i], i, i+1
	m.Followed = m.Followed[:0]
	m.Removed = remover{m}.removedOf()
	m.Pinned = m.Current.Pinned && !m.Removed.All()
	m.Pinned = m.brokenRevisions() || m.Pinned
	m.Pinned = m.tagRoots() || m.Pinned
	m.Pinned = m.badLinkRoots() || m.Pinned
	m.foundRoots()
	m.Pinned = m.follow() || m.Pinned
	m.ByTags = len(m.Followed)

	all := !m.RemovesUntagged() || !m.certain
	for v := range m.Current.Manifests() {
		rest := !m.Removed.has(v.ID) && (all || m.RevisionInGrace(v) || m.UnclearSubject(v.ID) || m.linkKept(v.ID))
		if rest || m.IsKept(m.Current.LinkTo(v.ID)) {
			m.root(v.ID)
		}
	}
	if !m.certain && !m.Removed.All() { // a tag that is kept may mean any of those that were to be removed
		for v := range m.Current.Manifests() {
			m.root(v.ID)
		}
	}
	m.Pinned = m.follow() || m.Pinned
	if m.Pinned || m.keepsBroken() { // also where something broken came to light only now
		m.Pinned = true
		m.rootAll()
		m.follow()
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

// brokenRevisions reports whether a revision pins the repository: its manifest is
// missing or broken.
func (m *Marks) brokenRevisions() (pinned bool) {
	for _, v := range m.Current.Revisions {
		pinned = m.StateAt(v.ID) != walker.ManifestGood && !m.removesBroken(v.ID) || pinned
	}
	return pinned || !m.Removed.All() && len(m.Current.LayersUnread) > 0
}

// tagRoots makes what the tags mean roots, and reports whether something broken of it
// pins the repository.
func (m *Marks) tagRoots() (pinned bool) {
	m.certain = true
	for i := range m.Current.Tags {
		t := &m.Current.Tags[i]
		switch {
		case m.Removed.Takes(uint32(i)) && !m.Removal.TagsOnly:
		case t.Target == graph.None:
			m.certain = false
			for _, h := range graph.HistoryOf(m.Current, uint32(i)) { // it may mean any of these
				m.root(h.ID)
				pinned = pinned || m.Uncertain(h.ID) || graph.BrokenState(m.StateAt(h.ID))
			}
		default:
			pinned = m.tagRoot(uint32(i), t) || pinned
		}
	}
	return pinned
}

// tagRoot makes what a tag means a root. What was never pushed to the repository is
// kept, and so is what the tag meant before: all of its history.
func (m *Marks) tagRoot(i uint32, t *graph.Tag) (pinned bool) {
	if m.Current.HasRevision(t.Target) {
		m.root(t.Target)
		return false
	}
	if !m.witnessed(i, t) {
		m.ForeignTargets[graph.TagRef{Repo: m.CurrentID, Tag: i}] = true
		for _, h := range graph.HistoryOf(m.Current, i) {
			m.keepHere(h.ID)
		}
		m.keepUnserved(t.Target)
		return true
	}
	m.root(t.Target)
	switch m.StateAt(t.Target) {
	case walker.ManifestGood:
		return false
	case walker.ManifestMissing:
		return m.Uncertain(t.Target)
	}
	return true
}

// witnessed reports whether something of the repository beside the tag's current
// link says that what it means was pushed here: an entry of the tag's history, whose
// path names it, or the links of the manifest or of all that it needs. A target that
// is gone, of a tag without any history, can't be told from one.
func (m *Marks) witnessed(i uint32, t *graph.Tag) bool {
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
	return m.Cache || m.Uncertain(t.Target) || slices.ContainsFunc(entries, func(h graph.HistoryEntry) bool { return h.ID == t.Target })
}

// badLinkRoots keeps what a mismatching link's content names, and what a link named when
// it was first looked at. What is broken of it pins. Its content alone doesn't prove
// that this was pushed here.
func (m *Marks) badLinkRoots() (pinned bool) {
	if m.Removed.All() {
		return false
	}
	keep := func(id uint32) {
		m.need(id)
		m.keepHere(id)
		pinned = pinned || m.Uncertain(id) || graph.BrokenState(m.StateAt(id))
	}
	for _, o := range m.Current.Bad {
		if o.State == walker.LinkMismatch {
			keep(o.Target)
		}
	}
	for _, id := range m.Current.NamedBefore {
		keep(id)
	}
	return pinned
}

// foundRoots keeps the images that the repository gets back. Of one that a tag of a source
// means it may have the revision link still.
func (m *Marks) foundRoots() {
	clear(m.Found)
	for _, id := range m.Revived[m.CurrentID] {
		m.keepHere(id)
		m.Found[id] = true
	}
}

// root keeps the manifest under id in the repository, and what it leads to once it is
// followed.
func (m *Marks) root(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.Reached[n-1] != m.Mark {
		m.Reached[n-1] = m.Mark
		m.todo = append(m.todo, n-1)
	}
}

// keepUnserved keeps what a manifest refers to without asking whether the repository can
// serve it.
func (m *Marks) keepUnserved(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.NodeOf[id]; n != 0 && m.keptUnserved[n-1] != m.Mark {
		m.keptUnserved[n-1] = m.Mark
		m.todoUnserved = append(m.todoUnserved, n-1)
	}
}

// keepHere keeps a manifest that nothing proves to be the repository's: it is a
// root if the repository has it, and else kept with all that it refers to.
func (m *Marks) keepHere(id uint32) {
	if m.Current.Serves(id) {
		m.root(id)
	}
	m.keepUnserved(id)
}

// IsReached reports whether the manifest under id is kept in the repository.
func (m *Marks) IsReached(id uint32) bool {
	n := m.NodeOf[id]
	return n != 0 && m.Reached[n-1] == m.Mark
}

// need marks id as referred to by a kept manifest of the repository.
func (m *Marks) need(id uint32) {
	m.Needed[id] = m.Mark
	m.refer(id)
}

// needHere marks id and what it stands for in the repository.
func (m *Marks) needHere(id uint32) {
	m.need(id)
	m.need(m.Current.Resolve(id))
}

// needLink keeps the layer link by which the repository has a manifest that is kept.
func (m *Marks) needLink(id uint32) {
	if m.Current.IsLayerManifest(id) {
		m.Needed[id] = m.Mark
	}
}

// follow follows the references of all roots: an index's children in this repository,
// config and layers, and whatever has a kept manifest as its subject; and then of what
// is kept without being served, until neither brings up anything new. What of that the
// repository could serve is a root again. It reports whether something on the way pins
// the repository.
func (m *Marks) follow() (pinned bool) {
	for len(m.todo)+len(m.todoUnserved) > 0 {
		for len(m.todo) > 0 {
			at := m.todo[len(m.todo)-1]
			m.todo = m.todo[:len(m.todo)-1]
			m.Followed = append(m.Followed, followed{at, true})
			id := m.Nodes[at].ID
			uploaded := m.Uploaded(id)
			for e := range m.In(m.Current, id).References {
				pinned = m.served(id, e, uploaded) || pinned
			}
			pinned = m.referrers(id) || pinned
		}
		for len(m.todoUnserved) > 0 {
			at := m.todoUnserved[len(m.todoUnserved)-1]
			m.todoUnserved = m.todoUnserved[:len(m.todoUnserved)-1]
			m.Followed = append(m.Followed, followed{at, false})
			id := m.Nodes[at].ID
			for e := range m.In(m.Current, id).References {
				pinned = m.unserved(e) || pinned
			}
			pinned = m.referrers(id) || pinned
		}
	}
	return pinned
}

// served keeps one reference of a manifest that the repository serves. uploaded
// reports of the manifest what marks.uploaded does.
func (m *Marks) served(by uint32, e graph.Edge, uploaded bool) (pinned bool) {
	if !e.Read() {
		m.unread(e)
		return false
	}
	switch role := e.Role(); {
	case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
		return m.claimed(e.ID())
	case role == manifest.Config, role == manifest.Layer:
		return m.blob(e.ID())
	case role == manifest.MayBeAbsent: // kept if it is there
		m.needHere(e.ID())
	case e.IsEntry():
		return m.child(by, e)
	}
	return false
}

// unread keeps what could be meant by a reference that no registry reads. Nothing
// of it is missed, and what is broken of it pins nothing: whoever may push could
// have put any digest there.
func (m *Marks) unread(e graph.Edge) {
	id := e.ID()
	m.needHere(id)
	if !e.IsEntry() {
		return
	}
	m.keepHere(id)
	m.keepHere(m.Current.Resolve(id))
}

// Uploaded reports whether the repository has a manifest by a layer link alone, and no
// tag. Any bytes can be uploaded as a blob, and no registry looks for what a manifest
// in them refers to; a tag is only written for one that it has looked through.
func (m *Marks) Uploaded(id uint32) bool {
	return m.Current.IsLayerManifest(id) && len(m.TagsOn(m.CurrentID, id)) == 0
}

// blob keeps a config or layer, and what it stands for if it is a digest of another
// algorithm. Where no link says what that is, it may be any blob that the repository
// links: that pins.
func (m *Marks) blob(id uint32) (pinned bool) {
	m.need(id)
	if !m.StandsFor(m.Current, id) || m.explained[id] == m.Mark {
		return false
	}
	m.explained[id] = m.Mark
	a := m.Current.AliasOf(id)
	switch {
	case a == nil:
		return !m.Cache
	case a.Target != graph.None: // else it is reported with the aliases, and pins
		return m.blob(a.Target)
	}
	return false
}

// claimed keeps a blob that no registry looks for when a manifest is pushed that
// refers to it, or uploaded as a blob. Only a link proves that it was pushed here:
// without one it is another repository's, for all that is known.
func (m *Marks) claimed(id uint32) (pinned bool) {
	if m.Current.HasLink(id) {
		return m.blob(id)
	}
	m.needHere(id)
	return m.StandsFor(m.Current, id) && !m.Cache // it may be any blob that the repository links
}

// child follows an index's entry. Without a revision link here it can't be
// served; what it refers to is kept all the same as long as the index is. An
// entry that may be either is a blob only if its bytes were read and are no
// manifest, or if the repository links it as a blob.
func (m *Marks) child(by uint32, e graph.Edge) (pinned bool) {
	id, state := e.ID(), m.StateAt(e.ID())
	switch m.In(m.Current, by).Entry(e) {
	case graph.EntryAliased:
		pinned = m.blob(id)
		return m.aliasedChild(m.Current.AliasOf(id)) || pinned
	case graph.EntryUnexplained: // nothing here can be known of it, nor of what it needs
		m.need(id)
		return true
	case graph.EntryServed:
		m.root(id)
		if e.Role() == manifest.Either && m.Current.HasLayer(id) {
			m.need(id)
		}
		return false
	case graph.EntryUncertain:
		m.need(id)
		return true
	case graph.EntryLayer:
		m.keepUnserved(id)
		pinned = m.blob(id)
		return pinned || state == walker.ManifestCorrupt || state == walker.ManifestArchived
	case graph.EntryBlob:
		return m.claimed(id)
	case graph.EntryProven:
		m.root(id)
		return false
	}
	m.keepUnserved(id)
	return graph.BrokenState(state)
}

// aliasedChild keeps what a child that is named by another algorithm's digest
// needs, if it is a manifest. A revision of the repository is served by that name too.
func (m *Marks) aliasedChild(a *graph.Alias) (pinned bool) {
	if a.Target == graph.None {
		return false
	}
	m.keepHere(a.Target)
	state := m.StateAt(a.Target)
	return m.Uncertain(a.Target) || graph.BrokenState(state) && state != walker.ManifestUnparsable
}

// unserved keeps one reference of a manifest that is kept without being served.
func (m *Marks) unserved(e graph.Edge) (pinned bool) {
	id := e.ID()
	if !e.Read() {
		m.unread(e)
		return false
	}
	m.needHere(id)
	if m.StandsFor(m.Current, id) && !m.Current.HasRevision(id) { // as in blob and child
		a := m.Current.AliasOf(id)
		if a != nil && e.IsEntry() {
			return m.aliasedChild(a)
		}
		return a == nil && e.Role() != manifest.MayBeAbsent
	}
	if !e.IsEntry() {
		return false
	}
	m.keepHere(id)
	return graph.BrokenState(m.StateAt(id)) && (e.Role() == manifest.Child || m.StateAt(id) != walker.ManifestUnparsable)
}

// referrers keeps the repository's manifests that have id as their subject, and
// what its tags sha256-<hex>… mean. It reports whether what such a tag means pins
// the repository.
func (m *Marks) referrers(id uint32) (pinned bool) {
	for referrer := range m.In(m.Current, id).Referrers {
		if !m.Removed.Names(referrer) {
			m.root(referrer)
		}
	}
	if m.Removed != nil {
		for _, t := range m.Removed.Tied[id] {
			pinned = m.tagRoot(t, &m.Current.Tags[t]) || pinned
		}
	}
	return pinned
}

// linkKept reports whether the repository has a manifest by a layer link alone, and that
// holds another digest: it is kept until it is put right, and the manifest with it.
func (m *Marks) linkKept(id uint32) bool {
	return m.Current.IsLayerManifest(id) && graph.LinkMismatches(m.Current, id)
}

// UnclearSubject reports whether a manifest refers to its subject by another
// algorithm's digest: nobody can say which one it belongs to.
func (m *Marks) UnclearSubject(id uint32) bool {
	for of := range m.In(m.Current, id).Subjects {
		if m.IsForeign(of) {
			return true
		}
	}
	return false
}
