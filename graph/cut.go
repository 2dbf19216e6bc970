package graph

import (
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
)

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

// cutOf finds what is to go of the repository being judged.
func (j *judgement) cutOf() *cut {
	if j.Removal == nil {
		return nil
	}
	why, whole := j.Removal.Repositories[j.r.name]
	c := &cut{
		why: why, whole: whole && j.nameable() && j.linksReadable(), tags: map[uint32]string{}, members: map[uint32]member{},
		named: map[uint32]string{}, tied: map[uint32][]uint32{}, subject: map[uint32]uint32{},
	}
	if c.whole {
		j.wholes.add(j.ri)
	}
	switch {
	case j.planned != nil:
		j.cutPlanned(c)
	case c.whole:
		j.cutAll(c)
	default:
		j.cutNamed(c)
	}
	return c
}

// nameable reports whether all names in the repository are ones that a registry
// accepts. What isn't is never touched, and so the whole can't go.
func (j *judgement) nameable() bool {
	deny := func(what string) {
		if j.planned == nil {
			j.denied = append(j.denied, Denial{j.r.name, what + " is no name that a registry accepts, and nothing is touched where a name is odd"})
		}
	}
	if j.r.badName {
		deny("it")
		return false
	}
	for i := range j.r.tags {
		if j.r.tags[i].badName {
			deny("its tag " + j.r.tags[i].name)
			return false
		}
	}
	return true
}

// linksReadable reports whether every link in the repository can be read. Of one in
// an archive nobody knows what it means, so the whole can't go.
func (j *judgement) linksReadable() bool {
	var keys []string
	for p, o := range j.r.odd {
		if o.state == walker.LinkArchived {
			keys = append(keys, j.keyOf(spot{j.ri, p}))
		}
	}
	if len(keys) > 0 && j.planned == nil {
		j.denied = append(j.denied, Denial{j.r.name, slices.Min(keys) + " lies in an archive class, so nobody knows what it means; restore it first"})
	}
	return len(keys) == 0
}

// cutAll takes all of the repository.
func (j *judgement) cutAll(c *cut) {
	for i := range j.r.tags {
		if t := uint32(i); !j.fixed(place{kind: layout.TagCurrent, tag: t}) {
			c.tags[t] = c.why
		}
	}
	for v := range j.r.manifests() {
		c.members[v.id] = member{as: asNamed}
	}
}

// cutNamed takes the tags and manifests that are named, and what goes with them.
func (j *judgement) cutNamed(c *cut) {
	for name, why := range j.Removal.Tags[j.r.name] {
		t, ok := j.r.tagIndex(name)
		if !ok || j.fixed(place{kind: layout.TagCurrent, tag: t}) {
			continue
		}
		if j.r.badName || j.r.tags[t].badName {
			j.denied = append(j.denied, Denial{j.r.name + ":" + name, "its name is none that a registry accepts, and nothing is touched where a name is odd"})
			continue
		}
		if j.r.odd[place{kind: layout.TagCurrent, tag: t}].state == walker.LinkArchived {
			j.denied = append(j.denied, Denial{j.r.name + ":" + name, "its link lies in an archive class, so nobody knows what it means; restore it first"})
			continue
		}
		c.tags[t] = why
	}
	for d, why := range j.Removal.Manifests[j.r.name] {
		if id := j.knownIDOf(d); id != none && j.r.hasRevision(id) {
			c.named[id] = why
		}
	}
	if !j.Removal.TagsOnly && len(c.tags)+len(c.named) > 0 {
		j.close(c)
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
func (j *judgement) loses(id uint32) bool {
	if !j.cut.has(id) || !j.cut.whole && (j.uncertain(id) || j.stateAt(id) == walker.ManifestUnread) {
		return false
	}
	j.cut.broken = append(j.cut.broken, id)
	return true
}

// brokenStays reports whether something broken stays that was to go.
func (j *judgement) brokenStays() bool {
	return j.cut != nil && slices.ContainsFunc(j.cut.broken, j.isReached)
}

// rootAll keeps all manifests of the repository, and what its tags mean that go.
func (j *judgement) rootAll() {
	for v := range j.r.manifests() {
		j.root(v.id)
	}
	if j.cut == nil {
		return
	}
	for id := range j.cut.members {
		j.root(id)
	}
	for t := range j.cut.tags {
		if target := j.r.tags[t].target; target != none {
			j.root(target)
		}
	}
}
