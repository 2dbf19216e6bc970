package graph

import (
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// policy is a Policy and what the store itself asks for.
type policy struct {
	Policy
	cache     bool                // a pull-through cache: layers may be absent
	noOrphans bool                // never say of a blob that nothing needs it
	revived   map[uint32][]uint32 // lost images that get a tag again, by repository
}

// policyOf adds to a policy what the store itself asks for.
func policyOf(s *Scan, p Policy) policy {
	return policy{Policy: p, cache: s.Cache, noOrphans: s.inDB != ""}
}

// marks says what a policy keeps of a store. Repositories are marked one after the
// other; of the last one it is known how it came to that, too.
type marks struct {
	*graph
	policy
	referenced bitset                // by id: something kept needs it
	spare      bitset                // layer links that nothing needs, by position over all repositories
	ripe       bitset                // of these, those that go though they are young
	firstLink  []uint32              // by repository: the position of its first layer link
	kept       map[spot]bool         // the policy's Keep
	planned    map[spot]finding.Kind // what the plan of a removal takes; nil while there is none
	before     *marks                // of the store as it is, where something is to be removed; else nil
	freed      bitset                // by id: what goes used it, so that its youth doesn't keep it
	wholes     bitset                // repositories that go as a whole
	denied     []Denial              // what can't go that was named
	signed     map[uint32][]signed   // by repository: what legacy signatures that stay refer to
	strays     map[tagRef]bool       // tags whose target was never pushed to their repository
	usage      *usage                // nil unless it is asked for

	// The repository that was marked last.
	r         *repo
	ri        uint32
	mark      uint32            // ri + 1, what stands in the arrays for "in this repository"
	cut       *cut              // what is to go of it
	certain   bool              // it is known what each of its tags means
	pinned    bool              // nothing goes of it but its tags' links
	keptLink  bool              // a layer link is kept for itself
	found     map[uint32]bool   // lost images that it gets back
	stays     map[uint32]string // of what was to go and stays: why
	followed  []followed        // its manifests, in the order in which they were followed
	byTags    int               // so many of these are led to by its tags
	needed    []uint32          // by id: mark, if a kept manifest refers to it
	reached   []uint32          // by node: mark, if kept
	dimmed    []uint32          // by node: mark, if its references are kept all the same
	freeing   []uint32          // by id: mark, if a young manifest that goes refers to it
	explained map[uint32]uint32 // by id of a digest that stands for another: mark, if that was followed
	todo      []uint32          // nodes that are kept, and whose references weren't followed yet
	dim       []uint32          // likewise, of manifests that the repository can't serve
	tagsBy    struct {          // the tags of a repository by their target
		of   uint32 // its index plus one
		tags map[uint32][]uint32
	}
}

// followed is a manifest whose references were kept, by its node.
type followed struct {
	node   uint32
	served bool // the repository serves it, so that what keeps it from being pulled is damage
}

// newMarks returns the marks of a graph before any of its repositories is marked.
// before are those of the store as it is, where the policy has a Removal.
func newMarks(g *graph, p policy, before *marks) *marks {
	g.applyHeals(&p.Policy)
	ids := g.len() + len(g.past)
	g.nodeOf = append(g.nodeOf, make([]uint32, ids-len(g.nodeOf))...)
	m := &marks{
		graph: g, policy: p, before: before,
		referenced: newBitset(ids),
		needed:     make([]uint32, ids),
		reached:    make([]uint32, len(g.nodes)),
		dimmed:     make([]uint32, len(g.nodes)),
		explained:  map[uint32]uint32{},
		strays:     map[tagRef]bool{},
		found:      map[uint32]bool{},
		firstLink:  make([]uint32, 1, len(g.repos)+1),
	}
	for id := m.table.first[256]; int(id) < m.len(); id++ {
		if !m.provable(id) {
			m.referenced.add(id)
		}
	}
	m.noOrphans = m.noOrphans || g.blind()
	m.Untagged = m.Untagged && !m.Left[finding.ManifestUntagged]
	m.findKept()
	m.findPlanned()
	m.findSigned()
	if p.Usage {
		m.usage = newUsage(ids, len(g.repos))
	}
	return m
}

// release gives up what is known of the repository that was marked last.
func (m *marks) release() { m.needed, m.reached, m.dimmed = nil, nil, nil }

// findKept finds the places that the policy's keys name.
func (m *marks) findKept() {
	m.kept = map[spot]bool{}
	for name := range m.Keep {
		s, ok := m.spotOf(name)
		switch {
		case !ok:
		case s.kind == layout.Blob:
			m.referenced.add(s.id)
		default:
			m.kept[s] = true
		}
	}
}

// signed is what a legacy signature refers to.
type signed struct {
	by    uint32
	fixed bool // it stays though its repository goes
}

// findSigned finds what the legacy signatures that stay refer to.
func (m *marks) findSigned() {
	m.signed = map[uint32][]signed{}
	for i := range m.entries {
		e := &m.entries[i]
		if e.Kind != walker.EntrySignature {
			continue
		}
		fixed := m.fixedKey(e.Key)
		if !fixed && e.Modified <= m.youngAfter && !m.Left[finding.SignatureLegacy] {
			continue
		}
		if key, err := layout.Parse(e.Key); err == nil {
			if d, ok := layout.ParseHex(key.SignatureHex); ok && m.knownID(d) != none {
				repo := m.repoID[e.Repository]
				m.signed[repo] = append(m.signed[repo], signed{m.knownID(d), fixed})
			}
		}
	}
}

// repository marks what stays of one repository.
//
// Its roots are what its tags mean and, unless the policy takes manifests without a
// tag, every manifest that it holds. Where it isn't certain what a tag means, all
// that it may mean is a root. Where something is broken, so that nobody knows what it
// needs, the repository is pinned: all of its manifests are roots.
func (m *marks) repository(i uint32) {
	m.r, m.ri, m.mark = &m.repos[i], i, i+1
	m.followed = m.followed[:0]
	m.cut = m.cutOf()
	m.pinned = m.r.pinned && !m.cut.all()
	m.pinned = m.brokenRevisions() || m.pinned
	m.pinned = m.tagRoots() || m.pinned
	m.pinned = m.heldRoots() || m.pinned
	m.foundRoots()
	m.pinned = m.follow() || m.pinned
	m.byTags = len(m.followed)

	all := !m.untagged() || !m.certain
	for v := range m.r.manifests() {
		rest := !m.cut.has(v.id) && (all || m.isYoung(v) || m.unclearSubject(v.id))
		if rest || m.fixed(m.r.placeOf(v.id)) {
			m.root(v.id)
		}
	}
	if !m.certain && !m.cut.all() { // a tag that stays may mean any of those that were to go
		for v := range m.r.manifests() {
			m.root(v.id)
		}
	}
	m.pinned = m.follow() || m.pinned
	if m.pinned || m.brokenStays() { // also where something broken came to light only now
		m.pinned = true
		m.rootAll()
		m.follow()
	}
	for _, s := range m.signed[i] {
		if s.fixed || !m.cut.all() {
			m.refer(s.by)
		}
	}
	m.sweep()
	if m.usage != nil && m.pinned {
		m.usage.pinned.add(i)
	}
	if m.usage != nil && !m.certain {
		m.usage.uncertain.add(i)
	}
}

// brokenRevisions reports whether a revision pins the repository: its manifest is
// missing or broken.
func (m *marks) brokenRevisions() (pinned bool) {
	for _, v := range m.r.revisions {
		pinned = m.stateAt(v.id) != walker.ManifestGood && !m.loses(v.id) || pinned
	}
	return pinned || !m.cut.all() && len(m.r.layersUnread) > 0
}

// tagRoots makes what the tags mean roots, and reports whether something broken of it
// pins the repository.
func (m *marks) tagRoots() (pinned bool) {
	m.certain = true
	for i := range m.r.tags {
		t := &m.r.tags[i]
		switch {
		case m.cut.takes(uint32(i)) && !m.Removal.TagsOnly:
		case t.target == none:
			m.certain = false
			for _, h := range historyOf(m.r, uint32(i)) { // it may mean any of these
				m.root(h.id)
				pinned = pinned || m.uncertain(h.id) || brokenState(m.stateAt(h.id))
			}
		default:
			pinned = m.tagRoot(uint32(i), t) || pinned
		}
	}
	return pinned
}

// tagRoot makes what a tag means a root. What was never pushed to the repository is
// kept, and so is what the tag meant before: all of its history.
func (m *marks) tagRoot(i uint32, t *tag) (pinned bool) {
	if m.r.hasRevision(t.target) {
		m.root(t.target)
		return false
	}
	if !m.witnessed(i, t) {
		m.strays[tagRef{m.ri, i}] = true
		for _, h := range historyOf(m.r, i) {
			m.keepHere(h.id)
		}
		m.keepDim(t.target)
		return true
	}
	m.root(t.target)
	switch m.stateAt(t.target) {
	case walker.ManifestGood:
		return false
	case walker.ManifestMissing:
		return m.uncertain(t.target)
	}
	return true
}

// witnessed reports whether something of the repository beside the tag's current
// link says that what it means was pushed here: an entry of the tag's history, whose
// path names it, or the links of the manifest or of all that it needs. A target that
// is gone, of a tag without any history, can't be told from one.
func (m *marks) witnessed(i uint32, t *tag) bool {
	entries := historyOf(m.r, i)
	switch m.stateAt(t.target) {
	case walker.ManifestGood:
		if m.r.links(t.target) || m.in(m.r, t.target).proven() {
			return true
		}
	case walker.ManifestMissing:
		if len(entries) == 0 {
			return true
		}
	}
	return m.cache || m.uncertain(t.target) || slices.ContainsFunc(entries, func(h history) bool { return h.id == t.target })
}

// heldRoots keeps what a mismatching link's content names, and what a link named when
// it was first looked at. What is broken of it pins. Its content alone doesn't prove
// that this was pushed here.
func (m *marks) heldRoots() (pinned bool) {
	if m.cut.all() {
		return false
	}
	keep := func(id uint32) {
		m.need(id)
		m.keepHere(id)
		pinned = pinned || m.uncertain(id) || brokenState(m.stateAt(id))
	}
	for _, o := range m.r.odd {
		if o.state == walker.LinkMismatch {
			keep(o.target)
		}
	}
	for _, id := range m.r.held {
		keep(id)
	}
	return pinned
}

// foundRoots keeps the lost images that the repository gets back.
func (m *marks) foundRoots() {
	clear(m.found)
	for _, id := range m.revived[m.ri] {
		m.keepDim(id)
		m.found[id] = true
	}
}

// root keeps the manifest under id in the repository, and what it leads to once it is
// followed.
func (m *marks) root(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.nodeOf[id]; n != 0 && m.reached[n-1] != m.mark {
		m.reached[n-1] = m.mark
		m.todo = append(m.todo, n-1)
	}
}

// keepDim keeps what a manifest refers to without asking whether the repository can
// serve it.
func (m *marks) keepDim(id uint32) {
	m.refer(id)
	m.needLink(id)
	if n := m.nodeOf[id]; n != 0 && m.dimmed[n-1] != m.mark {
		m.dimmed[n-1] = m.mark
		m.dim = append(m.dim, n-1)
	}
}

// keepHere keeps a manifest that nothing proves to be the repository's: it is a
// root if the repository has it, and else kept with all that it refers to.
func (m *marks) keepHere(id uint32) {
	if m.r.serves(id) {
		m.root(id)
	}
	m.keepDim(id)
}

// isReached reports whether the manifest under id is kept in the repository.
func (m *marks) isReached(id uint32) bool {
	n := m.nodeOf[id]
	return n != 0 && m.reached[n-1] == m.mark
}

// need marks id as referred to by a kept manifest of the repository.
func (m *marks) need(id uint32) {
	m.needed[id] = m.mark
	m.refer(id)
}

// needHere marks id and what it stands for in the repository.
func (m *marks) needHere(id uint32) {
	m.need(id)
	m.need(m.r.resolve(id))
}

// needLink keeps the layer link by which the repository has a manifest that is kept.
func (m *marks) needLink(id uint32) {
	if m.r.isLayerManifest(id) {
		m.needed[id] = m.mark
	}
}

// follow follows the references of all roots: an index's children in this repository,
// config and layers, and whatever has a kept manifest as its subject; and then of what
// is kept without being served, until neither brings up anything new. What of that the
// repository could serve is a root again. It reports whether something on the way pins
// the repository.
func (m *marks) follow() (pinned bool) {
	for len(m.todo)+len(m.dim) > 0 {
		for len(m.todo) > 0 {
			at := m.todo[len(m.todo)-1]
			m.todo = m.todo[:len(m.todo)-1]
			m.followed = append(m.followed, followed{at, true})
			id := m.nodes[at].id
			uploaded := m.uploaded(id)
			for e := range m.in(m.r, id).references {
				pinned = m.served(id, e, uploaded) || pinned
			}
			pinned = m.referrers(id) || pinned
		}
		for len(m.dim) > 0 {
			at := m.dim[len(m.dim)-1]
			m.dim = m.dim[:len(m.dim)-1]
			m.followed = append(m.followed, followed{at, false})
			id := m.nodes[at].id
			for e := range m.in(m.r, id).references {
				pinned = m.dimmer(e) || pinned
			}
			pinned = m.referrers(id) || pinned
		}
	}
	return pinned
}

// served keeps one reference of a manifest that the repository serves. uploaded
// reports of the manifest what marks.uploaded does.
func (m *marks) served(by uint32, e edge, uploaded bool) (pinned bool) {
	if !e.read() {
		m.unread(e)
		return false
	}
	switch role := e.role(); {
	case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
		return m.claimed(e.id())
	case role == manifest.Config, role == manifest.Layer:
		return m.blob(e.id())
	case role == manifest.MayBeAbsent: // kept if it is there
		m.needHere(e.id())
	case e.isEntry():
		return m.child(by, e)
	}
	return false
}

// unread keeps what could be meant by a reference that no registry reads. Nothing
// of it is missed, and what is broken of it pins nothing: whoever may push could
// have put any digest there.
func (m *marks) unread(e edge) {
	id := e.id()
	m.needHere(id)
	if !e.isEntry() {
		return
	}
	m.keepHere(id)
	m.keepHere(m.r.resolve(id))
}

// uploaded reports whether the repository has a manifest by a layer link alone, and no
// tag. Any bytes can be uploaded as a blob, and no registry looks for what a manifest
// in them refers to; a tag is only written for one that it has looked through.
func (m *marks) uploaded(id uint32) bool {
	return m.r.isLayerManifest(id) && len(m.tagsOn(m.ri, id)) == 0
}

// tagsOn returns the tags of a repository whose target is id.
func (m *marks) tagsOn(repo, id uint32) []uint32 {
	if m.tagsBy.of != repo+1 {
		m.tagsBy.of, m.tagsBy.tags = repo+1, map[uint32][]uint32{}
		for i := range m.repos[repo].tags {
			if to := m.repos[repo].tags[i].target; to != none {
				m.tagsBy.tags[to] = append(m.tagsBy.tags[to], uint32(i))
			}
		}
	}
	return m.tagsBy.tags[id]
}

// blob keeps a config or layer, and what it stands for if it is a digest of another
// algorithm. Where no link says what that is, it may be any blob that the repository
// links: that pins.
func (m *marks) blob(id uint32) (pinned bool) {
	m.need(id)
	if !m.standsFor(m.r, id) || m.explained[id] == m.mark {
		return false
	}
	m.explained[id] = m.mark
	a := m.r.aliasOf(id)
	switch {
	case a == nil:
		return !m.cache
	case a.target != none: // else it is reported with the aliases, and pins
		return m.blob(a.target)
	}
	return false
}

// claimed keeps a blob that no registry looks for when a manifest is pushed that
// refers to it, or uploaded as a blob. Only a link proves that it was pushed here:
// without one it is another repository's, for all that is known.
func (m *marks) claimed(id uint32) (pinned bool) {
	if m.r.links(id) {
		return m.blob(id)
	}
	m.needHere(id)
	return m.isForeign(id) && !m.cache // it may be any blob that the repository links
}

// child follows an index's entry. Without a revision link here it can't be
// served; what it refers to is kept all the same as long as the index is. An
// entry that may be either is a blob only if its bytes were read and are no
// manifest, or if the repository links it as a blob.
func (m *marks) child(by uint32, e edge) (pinned bool) {
	id, state := e.id(), m.stateAt(e.id())
	switch m.in(m.r, by).entry(e) {
	case entryAliased:
		pinned = m.blob(id)
		return m.aliasedChild(m.r.aliasOf(id)) || pinned
	case entryUnexplained: // nothing here can be known of it, nor of what it needs
		m.need(id)
		return true
	case entryServed:
		m.root(id)
		if e.role() == manifest.Either && m.r.hasLayer(id) {
			m.need(id)
		}
		return false
	case entryUncertain:
		m.need(id)
		return true
	case entryLayer:
		m.keepDim(id)
		pinned = m.blob(id)
		return pinned || state == walker.ManifestCorrupt || state == walker.ManifestArchived
	case entryBlob:
		return m.claimed(id)
	case entryProven:
		m.root(id)
		return false
	}
	m.keepDim(id)
	return brokenState(state)
}

// aliasedChild keeps what a child that is named by another algorithm's digest
// needs, if it is a manifest. A revision of the repository is served by that name too.
func (m *marks) aliasedChild(a *alias) (pinned bool) {
	if a.target == none {
		return false
	}
	m.keepHere(a.target)
	state := m.stateAt(a.target)
	return m.uncertain(a.target) || brokenState(state) && state != walker.ManifestUnparsable
}

// dimmer keeps one reference of a manifest that is kept without being served.
func (m *marks) dimmer(e edge) (pinned bool) {
	id := e.id()
	if !e.read() {
		m.unread(e)
		return false
	}
	m.needHere(id)
	if m.standsFor(m.r, id) && !m.r.hasRevision(id) { // as in blob and child
		a := m.r.aliasOf(id)
		if a != nil && e.isEntry() {
			return m.aliasedChild(a)
		}
		return a == nil && e.role() != manifest.MayBeAbsent
	}
	if !e.isEntry() {
		return false
	}
	m.keepHere(id)
	return brokenState(m.stateAt(id)) && (e.role() == manifest.Child || m.stateAt(id) != walker.ManifestUnparsable)
}

// referrers keeps the repository's manifests that have id as their subject, and
// what its tags sha256-<hex>… mean. It reports whether what such a tag means pins
// the repository.
func (m *marks) referrers(id uint32) (pinned bool) {
	for referrer := range m.in(m.r, id).referrers {
		if !m.cut.names(referrer) {
			m.root(referrer)
		}
	}
	if m.cut != nil {
		for _, t := range m.cut.tied[id] {
			pinned = m.tagRoot(t, &m.r.tags[t]) || pinned
		}
	}
	return pinned
}

// unclearSubject reports whether a manifest refers to its subject by another
// algorithm's digest: nobody can say which one it belongs to.
func (m *marks) unclearSubject(id uint32) bool {
	for of := range m.in(m.r, id).subjects {
		if m.isForeign(of) {
			return true
		}
	}
	return false
}
