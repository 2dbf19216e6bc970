package gc

import (
	"maps"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// RemovesUntagged reports whether the manifests of the repository are removed to which
// no tag leads. A removal asks for that where it names something.
func (m *Marks) RemovesUntagged() bool {
	if r := m.Removal; m.Untagged && r != nil {
		return r.Planned == nil && r.names(m.Current.Name)
	}
	return m.Untagged
}

// IsKept reports whether a link of the repository is kept whatever needs
// it: the policy keeps it, or there is a plan that doesn't take it away. Of a
// link that isn't a tag's the tag is 0.
func (m *Marks) IsKept(p graph.Link) bool {
	s := graph.Ref{Repo: m.CurrentID, Link: p}
	if m.kept[s] {
		return true
	}
	_, goes := m.Planned[s]
	return m.Planned != nil && !goes
}

// keepsKey is fixed for what is no link.
func (m *Marks) keepsKey(key string) bool {
	if m.Keep[key] {
		return true
	}
	return m.Planned != nil && !m.Plans(key)
}

// Removed is what is to be removed of one repository. The nil Removed is nothing.
type Removed struct {
	Why       string              // of a whole repository: the reason
	Whole     bool                // all of it
	Tags      map[uint32]string   // tags that are removed, with their reasons
	Dependent map[uint32]Member   // manifests that are removed unless something that is kept leads to them
	Requested map[uint32]string   // of these, those that are named themselves, with their reasons
	Tied      map[uint32][]uint32 // by member: its tags sha256-<hex>…, which are removed with it
	Subject   map[uint32]uint32   // by such a tag: the member
	broken    []uint32            // members that pin the repository if they are kept
}

// Member is why a manifest is to be removed: by is what it is removed with.
type Member struct {
	As membership
	By uint32
}

// membership is what a manifest is to what it is removed with.
type membership uint8

const (
	AsNamed     membership = iota // to nothing: it is named itself
	AsTarget                      // a tag means it: by is the tag's index
	AsChild                       // an index names it
	AsReferrer                    // it refers to its subject
	asSignature                   // its tag says so
)

// remover finds what a removal takes of the repository that is being marked.
type remover struct{ *Marks }

// removedOf finds what is to be removed of the repository.
func (m remover) removedOf() *Removed {
	if m.Removal == nil {
		return nil
	}
	why, whole := m.Removal.Repositories[m.Current.Name]
	c := &Removed{
		Why: why, Whole: whole && m.nameable() && m.linksReadable(), Tags: map[uint32]string{}, Dependent: map[uint32]Member{},
		Requested: map[uint32]string{}, Tied: map[uint32][]uint32{}, Subject: map[uint32]uint32{},
	}
	if c.Whole {
		m.Wholes.Add(m.CurrentID)
	}
	switch {
	case m.Planned != nil:
		m.removePlanned(c)
	case c.Whole:
		m.removeAll(c)
	default:
		m.removeRequested(c)
	}
	return c
}

// nameable reports whether all names in the repository are ones that a registry
// accepts. What isn't is never touched, and so the whole can't be removed.
func (m remover) nameable() bool {
	deny := func(what string) {
		if m.Planned == nil {
			m.Rejected = append(m.Rejected, Rejection{m.Current.Name, what + " is not a name that a registry accepts, and nothing is changed there"})
		}
	}
	if m.Current.BadName {
		deny("it")
		return false
	}
	for i := range m.Current.Tags {
		if m.Current.Tags[i].BadName {
			deny("its tag " + m.Current.Tags[i].Name)
			return false
		}
	}
	return true
}

// linksReadable reports whether every link in the repository can be read. Of one in
// an archive nobody knows what it means, so the whole can't be removed.
func (m remover) linksReadable() bool {
	var keys []string
	for p, o := range m.Current.Bad {
		if o.State == walker.LinkArchived {
			keys = append(keys, m.KeyOf(graph.Ref{Repo: m.CurrentID, Link: p}))
		}
	}
	if len(keys) > 0 && m.Planned == nil {
		m.Rejected = append(m.Rejected, Rejection{m.Current.Name, slices.Min(keys) + " is in an archive storage class, so its target is unknown; restore it first"})
	}
	return len(keys) == 0
}

// removeAll takes all of the repository.
func (m remover) removeAll(c *Removed) {
	for i := range m.Current.Tags {
		if t := uint32(i); !m.IsKept(graph.Link{Kind: layout.TagCurrent, Tag: t}) {
			c.Tags[t] = c.Why
		}
	}
	for v := range m.Current.Manifests() {
		c.Dependent[v.ID] = Member{As: AsNamed}
	}
}

// removeRequested takes the tags and manifests that are named, and what is removed with them.
func (m remover) removeRequested(c *Removed) {
	for name, why := range m.Removal.Tags[m.Current.Name] {
		t, ok := m.Current.FindTag(name)
		if !ok || m.IsKept(graph.Link{Kind: layout.TagCurrent, Tag: t}) {
			continue
		}
		if m.Current.BadName || m.Current.Tags[t].BadName {
			m.Rejected = append(m.Rejected, Rejection{m.Current.Name + ":" + name, "its name is not one that a registry accepts, and nothing is changed there"})
			continue
		}
		if m.Current.Bad[graph.Link{Kind: layout.TagCurrent, Tag: t}].State == walker.LinkArchived {
			m.Rejected = append(m.Rejected, Rejection{m.Current.Name + ":" + name, "its link is in an archive storage class, so its target is unknown; restore it first"})
			continue
		}
		c.Tags[t] = why
	}
	for d, why := range m.Removal.Manifests[m.Current.Name] {
		if id := m.KnownIDOf(d); id != graph.None && m.Current.HasRevision(id) {
			c.Requested[id] = why
		}
	}
	if !m.Removal.TagsOnly && len(c.Tags)+len(c.Requested) > 0 {
		m.addDependents(c)
	}
}

// has reports whether a manifest is removed unless something that is kept leads to it.
func (c *Removed) has(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.Dependent[id]
	return ok
}

// Names reports whether a manifest is named itself.
func (c *Removed) Names(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.Requested[id]
	return ok
}

// All reports whether the whole repository is removed.
func (c *Removed) All() bool { return c != nil && c.Whole }

// Takes reports whether a tag is removed, or is removed with its subject.
func (c *Removed) Takes(t uint32) bool {
	if c == nil {
		return false
	}
	_, goes := c.Tags[t]
	_, tied := c.Subject[t]
	return goes || tied
}

// removesBroken reports whether what is broken of the manifest under id doesn't pin the
// repository, since it is itself what is removed. It does if it is kept.
func (m *Marks) removesBroken(id uint32) bool {
	if !m.Removed.has(id) || !m.Removed.Whole && (m.Uncertain(id) || m.StateAt(id) == walker.ManifestUnread) {
		return false
	}
	m.Removed.broken = append(m.Removed.broken, id)
	return true
}

// keepsBroken reports whether something broken is kept that was to be removed.
func (m *Marks) keepsBroken() bool {
	return m.Removed != nil && slices.ContainsFunc(m.Removed.broken, m.IsReached)
}

// rootAll keeps all manifests of the repository, and what its tags mean that are removed.
func (m *Marks) rootAll() {
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

// addDependents adds what is removed with what is named: children, referrers, and what the
// tags sha256-<hex>… mean, until nothing new is found.
func (m remover) addDependents(c *Removed) {
	signing := m.signing(c)
	var todo []uint32
	add := func(id uint32, m Member) {
		if _, known := c.Dependent[id]; !known {
			c.Dependent[id] = m
			todo = append(todo, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Requested)) {
		add(id, Member{As: AsNamed})
	}
	for _, t := range slices.Sorted(maps.Keys(c.Tags)) {
		if target := m.Current.Tags[t].Target; target != graph.None {
			add(target, Member{AsTarget, t})
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for child := range m.In(m.Current, id).Takes {
			add(child, Member{AsChild, id})
		}
		for referrer := range m.In(m.Current, id).Referrers {
			add(referrer, Member{AsReferrer, id})
		}
		for _, t := range signing[id] {
			c.Tied[id], c.Subject[t] = append(c.Tied[id], t), id
			add(m.Current.Tags[t].Target, Member{asSignature, id})
		}
	}
}

// signing are the tags sha256-<hex>… of the repository, by the subject that their
// names give; not those that are removed anyway or stay, nor one of which nobody can say what
// it means.
func (m remover) signing(c *Removed) map[uint32][]uint32 {
	all := m.ReferrersTags(m.Current)
	for id, tags := range all {
		all[id] = slices.DeleteFunc(tags, func(i uint32) bool {
			t := &m.Current.Tags[i]
			_, goes := c.Tags[i]
			return goes || t.Target == graph.None || t.BadName || m.IsKept(graph.Link{Kind: layout.TagCurrent, Tag: i})
		})
	}
	return all
}

// findPlanned finds the places that a plan's keys name.
func (m *Marks) findPlanned() {
	if m.Removal == nil || m.Removal.Planned == nil {
		return
	}
	m.Planned = make(map[graph.Ref]finding.Kind, len(m.Removal.Planned))
	for key, id := range m.Removal.Planned {
		if s, ok := m.FindRef(key); ok {
			m.Planned[s] = id
		}
	}
}

// Plans reports whether a plan takes a key away.
func (m *Marks) Plans(key string) bool {
	_, goes := m.Removal.Planned[key]
	return goes
}

// removePlanned takes what a plan takes. A tag is removed with all of its history, or not
// at all; of one without a current link a run that was interrupted may have taken
// that.
func (m remover) removePlanned(c *Removed) {
	for i := range m.Current.Tags {
		t := uint32(i)
		directory := !m.Current.Tags[i].Current && (c.Whole || m.Plans(layout.TagKey(m.Current.Name, m.Current.Tags[i].Name)+"/"))
		if m.IsKept(graph.Link{Kind: layout.TagCurrent, Tag: t}) && !directory || slices.ContainsFunc(graph.HistoryOf(m.Current, t), func(h graph.HistoryEntry) bool {
			return m.IsKept(graph.Link{Kind: layout.TagHistory, Tag: t, ID: h.ID})
		}) {
			continue
		}
		if m.plannedTag(t) == finding.TagUnneeded {
			d, _ := layout.SubjectOf(m.Current.Tags[t].Name)
			if id := m.KnownID(d); id != graph.None && m.Current.Tags[t].Target != graph.None {
				c.Tied[id], c.Subject[t], c.Dependent[id] = append(c.Tied[id], t), id, Member{AsTarget, t}
				m.removeTarget(c, t)
			}
			continue
		}
		c.Tags[t] = ""
		m.removeTarget(c, t)
	}
	for v := range m.Current.Manifests() {
		id, goes := m.Planned[graph.Ref{Repo: m.CurrentID, Link: m.Current.LinkTo(v.ID)}]
		if goes {
			c.Dependent[v.ID] = Member{As: AsNamed}
		}
		if id == finding.ManifestRemoved {
			c.Requested[v.ID] = ""
		}
	}
}

// removeTarget takes what a tag means where the repository has no link to it, of
// which a plan could speak.
func (m remover) removeTarget(c *Removed, t uint32) {
	if target := m.Current.Tags[t].Target; target != graph.None && !m.Current.HasRevision(target) {
		c.Dependent[target] = Member{AsTarget, t}
	}
}

// plannedTag returns as what a tag goes by a plan.
func (m remover) plannedTag(t uint32) finding.Kind {
	if id, ok := m.Planned[graph.Ref{Repo: m.CurrentID, Link: graph.Link{Kind: layout.TagCurrent, Tag: t}}]; ok {
		return id
	}
	return m.Removal.Planned[layout.TagKey(m.Current.Name, m.Current.Tags[t].Name)+"/"]
}

// RemovesManifest reports whether a manifest of the repository being judged goes: it was to,
// and nothing that is kept leads to it.
func (m *Marks) RemovesManifest(id uint32) bool {
	return m.Removed.has(id) && m.NodeOf[id] != 0 && !m.IsReached(id)
}

// RemovesTag reports whether a tag of the repository being judged goes, once it is
// known what is kept.
func (m *Marks) RemovesTag(t uint32) bool {
	if m.Removed == nil {
		return false
	}
	subject, tied := m.Removed.Subject[t]
	_, goes := m.Removed.Tags[t]
	return goes || tied && m.RemovesManifest(subject)
}

// explainer says of the repository that was marked last why something of it is kept.
type explainer struct{ *Marks }

// reject says of what was named and is kept why it can't be removed.
func (m explainer) reject() {
	m.WhyKept = m.whyKept()
	for _, id := range slices.SortedFunc(maps.Keys(m.Removed.Requested), m.CompareIDs) {
		if !m.RemovesManifest(id) && m.Planned == nil {
			m.Rejected = append(m.Rejected, Rejection{m.Current.Name + "@" + m.NameOf(id), m.WhyKept[id]})
		}
	}
}

// whyKept says of the manifests that were to be removed of the repository,
// and stay, what keeps them: what pins the repository, the first tag, an index,
// their subject.
func (m explainer) whyKept() map[uint32]string {
	who := map[uint32]string{}
	asked := map[uint32]bool{}
	for t := range m.Removed.Tags {
		asked[m.Current.Tags[t].Target] = true
	}
	for id := range m.Removed.Requested {
		asked[id] = true
	}
	keep := func(id uint32, why string) {
		if _, told := who[id]; !told && asked[id] && m.isKnown(id) && m.IsReached(id) {
			who[id] = why
		}
	}
	for i := range m.Current.Tags {
		if t := &m.Current.Tags[i]; t.Target != graph.None && !m.RemovesTag(uint32(i)) {
			keep(t.Target, "the tag "+t.Name+" points to it")
		}
	}
	for _, v := range m.Current.Revisions {
		if !m.IsReached(v.ID) {
			continue
		}
		for e, id := range m.In(m.Current, v.ID).Needs {
			if e.IsEntry() {
				keep(id, "the index "+m.NameOf(v.ID)+" names it")
			}
		}
		for referrer := range m.In(m.Current, v.ID).Referrers {
			keep(referrer, "its subject "+m.NameOf(v.ID)+" stays")
		}
	}
	last, pin := m.mayMean(), ""
	if m.Pinned {
		pin = m.pin(m.Current, m.RemovesTag) + ", and until that is fixed only tags are removed here"
	}
	for _, id := range slices.Collect(maps.Keys(asked)) {
		if m.Pinned && id != graph.None {
			who[id] = pin
		}
		keep(id, last)
	}
	return who
}

// mayMean says what keeps a manifest that nothing certain leads to.
func (m explainer) mayMean() string {
	for i := range m.Current.Tags {
		if t := &m.Current.Tags[i]; t.Target == graph.None && !m.RemovesTag(uint32(i)) {
			return m.pin(m.Current, m.RemovesTag)
		}
	}
	return "something that stays references it"
}

// isKnown reports whether an id is a manifest that was looked for.
func (m explainer) isKnown(id uint32) bool { return id != graph.None && m.NodeOf[id] != 0 }

// isNewGarbage reports whether the removal makes a blob garbage that nothing needs: the
// store as it is needs it, or what is removed used it while it was in grace.
func (m *Marks) isNewGarbage(id uint32) bool {
	switch {
	case m.before == nil:
		return true
	case m.Planned != nil:
		_, goes := m.Planned[graph.Ref{Repo: graph.None, Link: graph.Link{Kind: layout.Blob, ID: id}}]
		return goes
	}
	return !m.Removal.TagsOnly && (m.before.Referenced.Has(id) || m.InGrace.Has(id) && m.freed.blobs.Has(id))
}

// RemovesBlob reports whether a blob is removed with the removal.
func (m *Marks) RemovesBlob(id uint32) bool {
	return id != graph.None && int(id) < m.Len() && !m.Skip[finding.BlobOrphan] && m.Orphan(id) && m.isNewGarbage(id) && !m.BlobInGrace(id)
}

// isNewGarbageLink is isNewGarbage for a layer link, at its position over all
// repositories.
func (m *Marks) isNewGarbageLink(l UnreferencedLink, at uint32) bool {
	switch {
	case m.before == nil || m.Planned != nil: // what no plan takes is needed by itself
		return true
	case l.whole:
		return true
	case m.Removal.TagsOnly:
		return false
	}
	return !m.before.Unreferenced.Has(at) || l.freed || m.RemovesBlob(l.Layer.ID())
}
