package graph

import (
	"slices"

	"regfsck/walker/manifest"
)

// paths is on its way through all repositories.
type paths struct {
	j     *judgement
	id    uint32
	up    bitset // by id: what leads to id, itself too
	yield func(Path) bool

	r       *repo
	ri      uint32
	path    Path
	told    int             // paths in this repository
	circles int             // ways that were cut short since they led back to themselves
	visited map[uint32]bool // manifests that were come by in it
	dead    map[uint32]bool // those of which nothing leads to the digest here
	on      map[uint32]bool // those on the way down
}

// above finds all that leads to the digest in any repository.
func (p *paths) above() {
	j := p.j
	first, from := j.turned()
	todo := []uint32{p.id}
	p.up.add(p.id)
	add := func(id uint32) {
		if p.up.add(id) {
			todo = append(todo, id)
		}
	}
	stands := map[uint32][]uint32{} // the names by other algorithms, by what they stand for
	for i := range j.repos {
		for _, a := range j.repos[i].aliases {
			if a.target != none {
				stands[a.target] = append(stands[a.target], a.id)
			}
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range from[first[id]:first[id+1]] {
			add(j.nodes[n].id)
		}
		for _, alias := range stands[id] {
			add(alias)
		}
		if of := j.subjectOf(id); of != none { // a referrer is kept by what it is about
			add(of)
		}
	}
}

// turned returns the references of all manifests the other way: those of which id
// is a reference are from[first[id]:first[id+1]], by node. Subjects don't count.
func (j *judgement) turned() (first, from []uint32) {
	first = make([]uint32, j.len()+len(j.past)+1)
	each := func(do func(node, id uint32)) {
		for n := range j.nodes {
			for e := range j.in(nil, j.nodes[n].id).references {
				do(uint32(n), e.id())
			}
		}
	}
	each(func(_, id uint32) { first[id+1]++ })
	for id := range len(first) - 1 {
		first[id+1] += first[id]
	}
	from = make([]uint32, first[len(first)-1])
	at := slices.Clone(first)
	each(func(n, id uint32) {
		from[at[id]] = n
		at[id]++
	})
	return first, from
}

// repository tells in which ways one repository keeps the digest. It is false when
// nobody wants to hear more.
func (p *paths) repository(i uint32) bool {
	p.r, p.ri, p.told = &p.j.repos[i], i, 0
	p.visited, p.dead, p.on = map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for t := range p.r.tags {
		for _, id := range p.j.means(p.r, uint32(t)) {
			p.path = Path{Repository: p.r.name, Hold: HoldTag, Tag: p.r.tags[t].name}
			if !p.down(id, RoleManifest) {
				return false
			}
		}
	}
	return p.untagged() && p.mismatches() && p.links()
}

// means returns what a tag leads to: its target, or where that is uncertain all
// that its history names.
func (j *judgement) means(r *repo, t uint32) (ids []uint32) {
	if target := r.tags[t].target; target != none {
		return []uint32{target}
	}
	for _, h := range historyOf(r, t) {
		ids = append(ids, h.id)
	}
	return ids
}

// down goes from a manifest to the digest in all ways there are. What turns out to
// be a dead end is gone into once, however many ways lead there.
func (p *paths) down(id uint32, role Role) (more bool) {
	if p.on[id] {
		p.circles++
	}
	if !p.up.has(id) || p.on[id] || p.dead[id] {
		return true
	}
	told, circles := p.told, p.circles
	p.path.Steps = append(p.path.Steps, p.j.step(id, role))
	p.on[id], p.visited[id] = true, true
	more = p.through(id)
	p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
	delete(p.on, id)
	if p.told == told && p.circles == circles {
		p.dead[id] = true
	}
	return more
}

// through goes on from a manifest on the way.
func (p *paths) through(id uint32) (more bool) {
	if id == p.id && !p.tell() {
		return false
	}
	for e, needed := range p.j.in(p.r, id).needs {
		if !p.reference(e, needed) {
			return false
		}
	}
	for m := range p.j.in(p.r, id).referrers {
		if !p.down(m, RoleReferrer) {
			return false
		}
	}
	return true
}

func (j *judgement) step(id uint32, role Role) Step {
	n := j.nodeAt(id)
	blob := role == RoleConfig || role == RoleLayer
	return Step{Digest: j.nameOf(id), Role: role, Index: n != nil && n.kind == manifest.Index && !blob}
}

// reference follows one reference of a manifest to what it needs.
func (p *paths) reference(e edge, needed uint32) (more bool) {
	switch {
	case e.isEntry():
		return p.down(needed, RoleManifest)
	case needed != p.id:
		return true
	case e.role() == manifest.Config:
		return p.leaf(RoleConfig)
	}
	return p.leaf(RoleLayer)
}

// leaf tells of the digest as a blob of the manifest that was come to.
func (p *paths) leaf(role Role) bool {
	p.path.Steps = append(p.path.Steps, p.j.step(p.id, role))
	more := p.tell()
	p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
	return more
}

func (p *paths) tell() bool {
	p.told++
	told := p.path
	told.Steps = slices.Clone(p.path.Steps)
	return p.yield(told)
}

// alone tells of a link that keeps the digest for itself.
func (p *paths) alone(hold Hold, tag string) bool {
	p.path = Path{Repository: p.r.name, Hold: hold, Tag: tag}
	role := RoleLayer
	if p.j.nodeAt(p.id) != nil {
		role = RoleManifest
	}
	return p.leaf(role)
}
