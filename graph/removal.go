package graph

import (
	"maps"
	"slices"
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Removal says what is to go, whatever refers to it. Its texts are reasons, for
// people. What is named here and isn't in the store is passed over.
//
// With a tag goes the manifest that it means, with that its children in an
// index, whatever has it as its subject and the targets of its tags
// sha256-<hex>…: all of it that nothing leads to any more that stays. Roots are
// the other tags and the manifests that no tag led to before. A pin keeps all
// but the links of tags, unless what is broken is what goes.
type Removal struct {
	Repositories map[string]string            // whole repositories, whatever is in them
	Tags         map[string]map[string]string // by repository
	Manifests    map[string]map[string]string // by repository and digest, of any algorithm; what stays and needs one is a Denial
	TagsOnly     bool                         // the links of tags go, and nothing else

	// Planned are the keys that a plan of this removal takes away, and why; nil
	// while there is none. Of what is named exactly these go, where they still
	// may, and every other link stays and is a root.
	Planned map[string]finding.Kind
}

// Denial is why something can't go that was named.
type Denial struct {
	Ref string // "repo", "repo:tag" or "repo@sha256:…"
	Why string // a clause
}

// names reports whether anything of a repository is named.
func (r *Removal) names(repository string) bool {
	_, whole := r.Repositories[repository]
	return whole || len(r.Tags[repository])+len(r.Manifests[repository]) > 0
}

// untagged reports whether the manifests of the repository being judged go to which
// no tag leads. A removal asks for that where it names something.
func (j *judgement) untagged() bool {
	if r := j.Removal; j.Untagged && r != nil {
		return r.Planned == nil && r.names(j.r.name)
	}
	return j.Untagged
}

// fixed reports whether a link of the repository being judged stays whatever needs
// it: the policy keeps it, or there is a plan that doesn't take it away. Of a
// link that isn't a tag's the tag is 0.
func (j *judgement) fixed(p place) bool {
	s := spot{j.ri, p}
	if j.kept[s] {
		return true
	}
	_, goes := j.planned[s]
	return j.planned != nil && !goes
}

// fixedKey is fixed for what is no link.
func (j *judgement) fixedKey(key string) bool {
	if j.Keep[key] {
		return true
	}
	return j.planned != nil && !j.plans(key)
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

// close adds what goes with what is named: children, referrers, and what the
// tags sha256-<hex>… mean, until nothing new is found.
func (j *judgement) close(c *cut) {
	signing := j.signing(c)
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
		if target := j.r.tags[t].target; target != none {
			add(target, member{asTarget, t})
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for child := range j.in(j.r, id).takes {
			add(child, member{asChild, id})
		}
		for referrer := range j.in(j.r, id).referrers {
			add(referrer, member{asReferrer, id})
		}
		for _, t := range signing[id] {
			c.tied[id], c.subject[t] = append(c.tied[id], t), id
			add(j.r.tags[t].target, member{asSignature, id})
		}
	}
}

// signing are the tags sha256-<hex>… of the repository, by the subject that their
// names give; not those that go anyway or stay, nor one of which nobody can say what
// it means.
func (j *judgement) signing(c *cut) map[uint32][]uint32 {
	all := j.referrersTags(j.r)
	for id, tags := range all {
		all[id] = slices.DeleteFunc(tags, func(i uint32) bool {
			t := &j.r.tags[i]
			_, goes := c.tags[i]
			return goes || t.target == none || t.badName || j.fixed(place{kind: layout.TagCurrent, tag: i})
		})
	}
	return all
}

// findPlanned finds the places that a plan's keys name.
func (j *judgement) findPlanned() {
	if j.Removal == nil || j.Removal.Planned == nil {
		return
	}
	j.planned = make(map[spot]finding.Kind, len(j.Removal.Planned))
	for key, id := range j.Removal.Planned {
		if s, ok := j.spotOf(key); ok {
			j.planned[s] = id
		}
	}
}

// plans reports whether a plan takes a key away.
func (j *judgement) plans(key string) bool {
	_, goes := j.Removal.Planned[key]
	return goes
}

// cutPlanned takes what a plan takes. A tag goes with all of its history, or not
// at all; of one without a current link a run that was broken off may have taken
// that.
func (j *judgement) cutPlanned(c *cut) {
	for i := range j.r.tags {
		t := uint32(i)
		folder := !j.r.tags[i].current && (c.whole || j.plans(layout.TagKey(j.r.name, j.r.tags[i].name)+"/"))
		if j.fixed(place{kind: layout.TagCurrent, tag: t}) && !folder || slices.ContainsFunc(historyOf(j.r, t), func(h history) bool {
			return j.fixed(place{layout.TagHistory, t, h.id})
		}) {
			continue
		}
		if j.plannedTag(t) == finding.TagUnneeded {
			d, _ := layout.SubjectOf(j.r.tags[t].name)
			if id := j.knownID(d); id != none && j.r.tags[t].target != none {
				c.tied[id], c.subject[t], c.members[id] = append(c.tied[id], t), id, member{asTarget, t}
				j.cutTarget(c, t)
			}
			continue
		}
		c.tags[t] = ""
		j.cutTarget(c, t)
	}
	for v := range j.r.manifests() {
		id, goes := j.planned[spot{j.ri, j.r.placeOf(v.id)}]
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
func (j *judgement) cutTarget(c *cut, t uint32) {
	if target := j.r.tags[t].target; target != none && !j.r.hasRevision(target) {
		c.members[target] = member{asTarget, t}
	}
}

// plannedTag tells as what a tag goes by a plan.
func (j *judgement) plannedTag(t uint32) finding.Kind {
	if id, ok := j.planned[spot{j.ri, place{kind: layout.TagCurrent, tag: t}}]; ok {
		return id
	}
	return j.Removal.Planned[layout.TagKey(j.r.name, j.r.tags[t].name)+"/"]
}

// spotOf finds the place of a blob or link; false where the graph hasn't heard of
// what the key names. The tag of a link that is no tag's is 0.
func (g *graph) spotOf(name string) (s spot, ok bool) {
	key, err := layout.Parse(name)
	if err != nil {
		return s, false
	}
	s.repo, s.kind, s.id = none, key.Kind, none
	if key.Kind == layout.Tarsum {
		s.kind, key.Algorithm = layout.LayerLink, "tarsum."+key.Version+"+"+key.Algorithm
	}
	if d, ok := key.Digest(); ok {
		s.id = g.knownID(d)
	} else {
		s.id = g.knownIDOf(key.Algorithm + ":" + key.Hex)
	}
	if key.Kind == layout.Blob {
		return s, s.id != none
	}
	if s.repo, ok = g.repoID[key.Repository]; !ok {
		return s, false
	}
	switch s.kind {
	case layout.TagCurrent, layout.TagHistory:
		if s.tag, ok = g.repos[s.repo].tagIndex(key.Tag); !ok {
			return s, false
		}
		if s.kind == layout.TagCurrent {
			s.id = 0
		}
	case layout.Revision, layout.LayerLink:
	default:
		return s, false
	}
	return s, s.id != none
}

// tagIndex returns the index of a tag, once the repository is sealed.
func (r *repo) tagIndex(name string) (uint32, bool) {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	return uint32(at), ok
}
