package gc

import (
	"cmp"
	"maps"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Removed is what to remove of one repository. The nil Removed is nothing.
type Removed struct {
	Why           string              // of a whole repository
	Whole         bool                // all of it
	Tags          map[uint32]string   // with their reasons
	Dependent     map[uint32]Member   // manifests that are removed unless something kept leads to them
	Requested     map[uint32]string   // those of them that were requested, with their reasons
	ReferrersTags map[uint32][]uint32 // by manifest: its referrers tags, which are removed with it
	Subject       map[uint32]uint32   // by referrers tag: its subject
	broken        []uint32            // broken manifests, which pin the repository if they are kept
}

// Member is why a manifest is to be removed; by is what it is removed with.
type Member struct {
	As membership
	By uint32
}

// membership is the relation of a manifest to what it is removed with.
type membership uint8

const (
	AsNamed     membership = iota // it was requested
	AsTarget                      // by is the index of a tag with this target
	AsChild                       // by is an index
	AsReferrer                    // by is its subject
	asSignature                   // by is the subject of its referrers tag
)

// remover finds what a removal removes of one repository. It follows only what is removed.
type remover struct {
	*graph.Graph
	*fixed
	removal  *Removal
	current  *graph.Repository
	id       uint32      // of the repository
	rejected []Rejection // requests of it that can't be met
}

// removedOf returns what to remove of the repository.
func (m *remover) removedOf() *Removed {
	why, whole := m.removal.Repositories[m.current.Name]
	c := &Removed{
		Why: why, Whole: whole && m.nameable() && m.linksReadable(), Tags: map[uint32]string{}, Dependent: map[uint32]Member{},
		Requested: map[uint32]string{}, ReferrersTags: map[uint32][]uint32{}, Subject: map[uint32]uint32{},
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

// nameable reports whether a registry accepts all names in the repository. Objects with other
// names are never changed, so the repository can't be removed.
func (m *remover) nameable() bool {
	deny := func(what string) {
		if m.Planned == nil {
			m.rejected = append(m.rejected, Rejection{m.current.Name, what + " is not a name that a registry accepts, and nothing is changed there"})
		}
	}
	if m.current.BadName {
		deny("it")
		return false
	}
	for i := range m.current.Tags {
		if m.current.Tags[i].BadName {
			deny("its tag " + m.current.Tags[i].Name)
			return false
		}
	}
	return true
}

// linksReadable reports whether every link in the repository can be read. The target of an
// archived link is unknown, so the repository can't be removed.
func (m *remover) linksReadable() bool {
	var keys []string
	for p, o := range m.current.Bad {
		if o.State == walker.LinkArchived {
			keys = append(keys, m.KeyOf(graph.Ref{Repo: m.id, Link: p}))
		}
	}
	if len(keys) > 0 && m.Planned == nil {
		m.rejected = append(m.rejected, Rejection{m.current.Name, slices.Min(keys) + " is in an archive storage class, so its target is unknown; restore it first"})
	}
	return len(keys) == 0
}

// removeAll removes the whole repository.
func (m *remover) removeAll(c *Removed) {
	for i := range m.current.Tags {
		if t := uint32(i); !m.keepsLink(graph.Link{Kind: layout.TagCurrent, Tag: t}) {
			c.Tags[t] = c.Why
		}
	}
	for v := range m.current.Manifests() {
		c.Dependent[v.ID] = Member{As: AsNamed}
	}
}

// removeRequested removes the requested tags and manifests with their dependents.
func (m *remover) removeRequested(c *Removed) {
	for name, why := range m.removal.Tags[m.current.Name] {
		t, ok := m.current.FindTag(name)
		if !ok || m.keepsLink(graph.Link{Kind: layout.TagCurrent, Tag: t}) {
			continue
		}
		if m.current.BadName || m.current.Tags[t].BadName {
			m.rejected = append(m.rejected, Rejection{m.current.Name + ":" + name, "its name is not one that a registry accepts, and nothing is changed there"})
			continue
		}
		if m.current.Bad[graph.Link{Kind: layout.TagCurrent, Tag: t}].State == walker.LinkArchived {
			m.rejected = append(m.rejected, Rejection{m.current.Name + ":" + name, "its link is in an archive storage class, so its target is unknown; restore it first"})
			continue
		}
		c.Tags[t] = why
	}
	for d, why := range m.removal.Manifests[m.current.Name] {
		if id := m.KnownIDOf(d); id != graph.None && m.current.HasRevision(id) {
			c.Requested[id] = why
		}
	}
	if !m.removal.TagsOnly && len(c.Tags)+len(c.Requested) > 0 {
		m.addDependents(c)
	}
}

// has reports whether a manifest is removed unless something kept leads to it.
func (c *Removed) has(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.Dependent[id]
	return ok
}

// Names reports whether a manifest was requested.
func (c *Removed) Names(id uint32) bool {
	if c == nil {
		return false
	}
	_, ok := c.Requested[id]
	return ok
}

// All reports whether the whole repository is removed.
func (c *Removed) All() bool { return c != nil && c.Whole }

// Takes reports whether a tag is removed, by itself or with its subject.
func (c *Removed) Takes(t uint32) bool {
	if c == nil {
		return false
	}
	_, removed := c.Tags[t]
	_, tied := c.Subject[t]
	return removed || tied
}

// addDependents adds the dependent manifests: children, referrers, and targets of referrers
// tags, until there are no new ones.
func (m *remover) addDependents(c *Removed) {
	signing := m.referrersTags(c)
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
		if target := m.current.Tags[t].Target; target != graph.None {
			add(target, Member{AsTarget, t})
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for child := range m.In(m.current, id).Takes {
			add(child, Member{AsChild, id})
		}
		for referrer := range m.In(m.current, id).Referrers {
			add(referrer, Member{AsReferrer, id})
		}
		for _, t := range signing[id] {
			c.ReferrersTags[id], c.Subject[t] = append(c.ReferrersTags[id], t), id
			add(m.current.Tags[t].Target, Member{asSignature, id})
		}
	}
}

// referrersTags returns the repository's referrers tags by subject, without those that are removed
// anyway, kept, or ambiguous.
func (m *remover) referrersTags(c *Removed) map[uint32][]uint32 {
	all := m.ReferrersTags(m.current)
	for id, tags := range all {
		all[id] = slices.DeleteFunc(tags, func(i uint32) bool {
			t := &m.current.Tags[i]
			_, removed := c.Tags[i]
			return removed || t.Target == graph.None || t.BadName || m.keepsLink(graph.Link{Kind: layout.TagCurrent, Tag: i})
		})
	}
	return all
}

// removePlanned removes what a plan removes. A tag is removed with all of its history, or not
// at all. If its current link is missing, an interrupted run may have removed that.
func (m *remover) removePlanned(c *Removed) {
	for i := range m.current.Tags {
		t, tag := uint32(i), &m.current.Tags[i]
		key := layout.TagKey(m.current.Name, tag.Name) + "/"
		directory := !tag.Current && (c.Whole || m.Plans(key))
		if m.keepsLink(graph.Link{Kind: layout.TagCurrent, Tag: t}) && !directory || slices.ContainsFunc(graph.HistoryOf(m.current, t), func(h graph.HistoryEntry) bool {
			return m.keepsLink(graph.Link{Kind: layout.TagHistory, Tag: t, ID: h.ID})
		}) {
			continue
		}
		current := graph.Ref{Repo: m.id, Link: graph.Link{Kind: layout.TagCurrent, Tag: t}}
		if cmp.Or(m.Planned[current], m.removal.Planned[key]) == finding.TagUnneeded {
			d, _ := layout.SubjectOf(tag.Name)
			if id := m.KnownID(d); id != graph.None && tag.Target != graph.None {
				c.ReferrersTags[id], c.Subject[t], c.Dependent[id] = append(c.ReferrersTags[id], t), id, Member{AsTarget, t}
				m.removeTarget(c, t)
			}
			continue
		}
		c.Tags[t] = ""
		m.removeTarget(c, t)
	}
	for v := range m.current.Manifests() {
		id, removed := m.Planned[graph.Ref{Repo: m.id, Link: m.current.LinkTo(v.ID)}]
		if removed {
			c.Dependent[v.ID] = Member{As: AsNamed}
		}
		if id == finding.ManifestRemoved {
			c.Requested[v.ID] = ""
		}
	}
}

// removeTarget removes a tag's target that has no link in the repository, so that no plan can
// have it.
func (m *remover) removeTarget(c *Removed, t uint32) {
	if target := m.current.Tags[t].Target; target != graph.None && !m.current.HasRevision(target) {
		c.Dependent[target] = Member{AsTarget, t}
	}
}

// keepsLink reports whether a link of the repository is kept whatever needs it.
func (m *remover) keepsLink(p graph.Link) bool { return m.keepsRef(graph.Ref{Repo: m.id, Link: p}) }
