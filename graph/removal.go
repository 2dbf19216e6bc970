package graph

import (
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// untagged reports whether the manifests of the repository go to which
// no tag leads. A removal asks for that where it names something.
func (m *marks) untagged() bool {
	if r := m.Removal; m.Untagged && r != nil {
		return r.Planned == nil && r.names(m.r.name)
	}
	return m.Untagged
}

// fixed reports whether a link of the repository stays whatever needs
// it: the policy keeps it, or there is a plan that doesn't take it away. Of a
// link that isn't a tag's the tag is 0.
func (m *marks) fixed(p place) bool {
	s := spot{m.ri, p}
	if m.kept[s] {
		return true
	}
	_, goes := m.planned[s]
	return m.planned != nil && !goes
}

// fixedKey is fixed for what is no link.
func (m *marks) fixedKey(key string) bool {
	if m.Keep[key] {
		return true
	}
	return m.planned != nil && !m.plans(key)
}

// cut is what is to go of one repository. The nil cut is nothing.
type cut struct {
	why     string              // of a whole repository: the reason
	whole   bool                // all of it
	tags    map[uint32]string   // tags that go, with their reasons
	members map[uint32]member   // manifests that go unless something that stays leads to them
	named   map[uint32]string   // of these, those that are named themselves, with their reasons
	tied    map[uint32][]uint32 // by member: its tags sha256-<hex>…, which go with it
	subject map[uint32]uint32   // by such a tag: the member
	broken  []uint32            // members that pin the repository if they stay
}

// member is why a manifest is to go: by is what it goes with.
type member struct {
	as membership
	by uint32
}

// membership is what a manifest is to what it goes with.
type membership uint8

const (
	asNamed     membership = iota // to nothing: it is named itself
	asTarget                      // a tag means it: by is the tag's index
	asChild                       // an index names it
	asReferrer                    // it refers to its subject
	asSignature                   // its tag says so
)

// cutOf finds what is to go of the repository.
func (m *marks) cutOf() *cut {
	if m.Removal == nil {
		return nil
	}
	why, whole := m.Removal.Repositories[m.r.name]
	c := &cut{
		why: why, whole: whole && m.nameable() && m.linksReadable(), tags: map[uint32]string{}, members: map[uint32]member{},
		named: map[uint32]string{}, tied: map[uint32][]uint32{}, subject: map[uint32]uint32{},
	}
	if c.whole {
		m.wholes.add(m.ri)
	}
	switch {
	case m.planned != nil:
		m.cutPlanned(c)
	case c.whole:
		m.cutAll(c)
	default:
		m.cutNamed(c)
	}
	return c
}

// nameable reports whether all names in the repository are ones that a registry
// accepts. What isn't is never touched, and so the whole can't go.
func (m *marks) nameable() bool {
	deny := func(what string) {
		if m.planned == nil {
			m.denied = append(m.denied, Denial{m.r.name, what + " is no name that a registry accepts, and nothing is touched where a name is odd"})
		}
	}
	if m.r.badName {
		deny("it")
		return false
	}
	for i := range m.r.tags {
		if m.r.tags[i].badName {
			deny("its tag " + m.r.tags[i].name)
			return false
		}
	}
	return true
}

// linksReadable reports whether every link in the repository can be read. Of one in
// an archive nobody knows what it means, so the whole can't go.
func (m *marks) linksReadable() bool {
	var keys []string
	for p, o := range m.r.odd {
		if o.state == walker.LinkArchived {
			keys = append(keys, m.keyOf(spot{m.ri, p}))
		}
	}
	if len(keys) > 0 && m.planned == nil {
		m.denied = append(m.denied, Denial{m.r.name, slices.Min(keys) + " lies in an archive class, so nobody knows what it means; restore it first"})
	}
	return len(keys) == 0
}

// cutAll takes all of the repository.
func (m *marks) cutAll(c *cut) {
	for i := range m.r.tags {
		if t := uint32(i); !m.fixed(place{kind: layout.TagCurrent, tag: t}) {
			c.tags[t] = c.why
		}
	}
	for v := range m.r.manifests() {
		c.members[v.id] = member{as: asNamed}
	}
}

// cutNamed takes the tags and manifests that are named, and what goes with them.
func (m *marks) cutNamed(c *cut) {
	for name, why := range m.Removal.Tags[m.r.name] {
		t, ok := m.r.tagIndex(name)
		if !ok || m.fixed(place{kind: layout.TagCurrent, tag: t}) {
			continue
		}
		if m.r.badName || m.r.tags[t].badName {
			m.denied = append(m.denied, Denial{m.r.name + ":" + name, "its name is none that a registry accepts, and nothing is touched where a name is odd"})
			continue
		}
		if m.r.odd[place{kind: layout.TagCurrent, tag: t}].state == walker.LinkArchived {
			m.denied = append(m.denied, Denial{m.r.name + ":" + name, "its link lies in an archive class, so nobody knows what it means; restore it first"})
			continue
		}
		c.tags[t] = why
	}
	for d, why := range m.Removal.Manifests[m.r.name] {
		if id := m.knownIDOf(d); id != none && m.r.hasRevision(id) {
			c.named[id] = why
		}
	}
	if !m.Removal.TagsOnly && len(c.tags)+len(c.named) > 0 {
		m.close(c)
	}
}

// has reports whether a manifest goes unless something that stays leads to it.
func (c *cut) has(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.members[id]
	return ok
}

// names reports whether a manifest is named itself.
func (c *cut) names(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.named[id]
	return ok
}

// all reports whether the whole repository goes.
func (c *cut) all() bool { return c != nil && c.whole }

// takes reports whether a tag goes, or goes with its subject.
func (c *cut) takes(t uint32) bool {
	if c == nil {
		return false
	}
	_, goes := c.tags[t]
	_, tied := c.subject[t]
	return goes || tied
}

// loses reports whether what is broken of the manifest under id doesn't pin the
// repository, since it is itself what goes. It does if it stays.
func (m *marks) loses(id uint32) bool {
	if !m.cut.has(id) || !m.cut.whole && (m.uncertain(id) || m.stateAt(id) == walker.ManifestUnread) {
		return false
	}
	m.cut.broken = append(m.cut.broken, id)
	return true
}

// brokenStays reports whether something broken stays that was to go.
func (m *marks) brokenStays() bool {
	return m.cut != nil && slices.ContainsFunc(m.cut.broken, m.isReached)
}

// rootAll keeps all manifests of the repository, and what its tags mean that go.
func (m *marks) rootAll() {
	for v := range m.r.manifests() {
		m.root(v.id)
	}
	if m.cut == nil {
		return
	}
	for id := range m.cut.members {
		m.root(id)
	}
	for t := range m.cut.tags {
		if target := m.r.tags[t].target; target != none {
			m.root(target)
		}
	}
}

// close adds what goes with what is named: children, referrers, and what the
// tags sha256-<hex>… mean, until nothing new is found.
func (m *marks) close(c *cut) {
	signing := m.signing(c)
	var todo []uint32
	add := func(id uint32, m member) {
		if _, known := c.members[id]; !known {
			c.members[id] = m
			todo = append(todo, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.named)) {
		add(id, member{as: asNamed})
	}
	for _, t := range slices.Sorted(maps.Keys(c.tags)) {
		if target := m.r.tags[t].target; target != none {
			add(target, member{asTarget, t})
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for child := range m.in(m.r, id).takes {
			add(child, member{asChild, id})
		}
		for referrer := range m.in(m.r, id).referrers {
			add(referrer, member{asReferrer, id})
		}
		for _, t := range signing[id] {
			c.tied[id], c.subject[t] = append(c.tied[id], t), id
			add(m.r.tags[t].target, member{asSignature, id})
		}
	}
}

// signing are the tags sha256-<hex>… of the repository, by the subject that their
// names give; not those that go anyway or stay, nor one of which nobody can say what
// it means.
func (m *marks) signing(c *cut) map[uint32][]uint32 {
	all := m.referrersTags(m.r)
	for id, tags := range all {
		all[id] = slices.DeleteFunc(tags, func(i uint32) bool {
			t := &m.r.tags[i]
			_, goes := c.tags[i]
			return goes || t.target == none || t.badName || m.fixed(place{kind: layout.TagCurrent, tag: i})
		})
	}
	return all
}

// findPlanned finds the places that a plan's keys name.
func (m *marks) findPlanned() {
	if m.Removal == nil || m.Removal.Planned == nil {
		return
	}
	m.planned = make(map[spot]finding.Kind, len(m.Removal.Planned))
	for key, id := range m.Removal.Planned {
		if s, ok := m.spotOf(key); ok {
			m.planned[s] = id
		}
	}
}

// plans reports whether a plan takes a key away.
func (m *marks) plans(key string) bool {
	_, goes := m.Removal.Planned[key]
	return goes
}

// cutPlanned takes what a plan takes. A tag goes with all of its history, or not
// at all; of one without a current link a run that was broken off may have taken
// that.
func (m *marks) cutPlanned(c *cut) {
	for i := range m.r.tags {
		t := uint32(i)
		folder := !m.r.tags[i].current && (c.whole || m.plans(layout.TagKey(m.r.name, m.r.tags[i].name)+"/"))
		if m.fixed(place{kind: layout.TagCurrent, tag: t}) && !folder || slices.ContainsFunc(historyOf(m.r, t), func(h history) bool {
			return m.fixed(place{layout.TagHistory, t, h.id})
		}) {
			continue
		}
		if m.plannedTag(t) == finding.TagUnneeded {
			d, _ := layout.SubjectOf(m.r.tags[t].name)
			if id := m.knownID(d); id != none && m.r.tags[t].target != none {
				c.tied[id], c.subject[t], c.members[id] = append(c.tied[id], t), id, member{asTarget, t}
				m.cutTarget(c, t)
			}
			continue
		}
		c.tags[t] = ""
		m.cutTarget(c, t)
	}
	for v := range m.r.manifests() {
		id, goes := m.planned[spot{m.ri, m.r.placeOf(v.id)}]
		if goes {
			c.members[v.id] = member{as: asNamed}
		}
		if id == finding.ManifestRemoved {
			c.named[v.id] = ""
		}
	}
}

// cutTarget takes what a tag means where the repository has no link to it, of
// which a plan could speak.
func (m *marks) cutTarget(c *cut, t uint32) {
	if target := m.r.tags[t].target; target != none && !m.r.hasRevision(target) {
		c.members[target] = member{asTarget, t}
	}
}

// plannedTag tells as what a tag goes by a plan.
func (m *marks) plannedTag(t uint32) finding.Kind {
	if id, ok := m.planned[spot{m.ri, place{kind: layout.TagCurrent, tag: t}}]; ok {
		return id
	}
	return m.Removal.Planned[layout.TagKey(m.r.name, m.r.tags[t].name)+"/"]
}

// goes reports whether a manifest of the repository being judged goes: it was to,
// and nothing that stays leads to it.
func (m *marks) goes(id uint32) bool {
	return m.cut.has(id) && m.nodeOf[id] != 0 && !m.isReached(id)
}

// tagGoes reports whether a tag of the repository being judged goes, once it is
// known what stays.
func (m *marks) tagGoes(t uint32) bool {
	if m.cut == nil {
		return false
	}
	subject, tied := m.cut.subject[t]
	_, goes := m.cut.tags[t]
	return goes || tied && m.goes(subject)
}

// reject says of what was named and stays why it can't go.
func (m *marks) reject() {
	m.stays = m.keepers()
	for _, id := range slices.SortedFunc(maps.Keys(m.cut.named), m.compareIDs) {
		if !m.goes(id) && m.planned == nil {
			m.denied = append(m.denied, Denial{m.r.name + "@" + m.nameOf(id), m.stays[id]})
		}
	}
}

// keepers says of the manifests that were to go of the repository,
// and stay, what keeps them: what pins the repository, the first tag, an index,
// their subject.
func (m *marks) keepers() map[uint32]string {
	who := map[uint32]string{}
	asked := map[uint32]bool{}
	for t := range m.cut.tags {
		asked[m.r.tags[t].target] = true
	}
	for id := range m.cut.named {
		asked[id] = true
	}
	keep := func(id uint32, why string) {
		if _, told := who[id]; !told && asked[id] && m.isKnown(id) && m.isReached(id) {
			who[id] = why
		}
	}
	for i := range m.r.tags {
		if t := &m.r.tags[i]; t.target != none && !m.tagGoes(uint32(i)) {
			keep(t.target, "the tag "+t.name+" means it")
		}
	}
	for _, v := range m.r.revisions {
		if !m.isReached(v.id) {
			continue
		}
		for e, id := range m.in(m.r, v.id).needs {
			if e.isEntry() {
				keep(id, "the index "+m.nameOf(v.id)+" names it")
			}
		}
		for referrer := range m.in(m.r, v.id).referrers {
			keep(referrer, "it is about "+m.nameOf(v.id)+", which stays")
		}
	}
	last, pin := m.mayMean(), ""
	if m.pinned {
		pin = m.pin(m.r, m.tagGoes) + ", and as long as that is so nothing but tags goes here"
	}
	for _, id := range slices.Collect(maps.Keys(asked)) {
		if m.pinned && id != none {
			who[id] = pin
		}
		keep(id, last)
	}
	return who
}

// mayMean says what keeps a manifest that nothing certain leads to.
func (m *marks) mayMean() string {
	for i := range m.r.tags {
		if t := &m.r.tags[i]; t.target == none && !m.tagGoes(uint32(i)) {
			return m.pin(m.r, m.tagGoes)
		}
	}
	return "something that stays leads to it"
}

// isKnown reports whether an id is a manifest that was looked for.
func (m *marks) isKnown(id uint32) bool { return id != none && m.nodeOf[id] != 0 }
