package graph

import (
	"iter"
	"slices"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Hold says what a Path begins with.
type Hold string

// The holds. All but the first are without a tag.
const (
	HoldTag       Hold = "tag"
	HoldUntagged  Hold = "untagged"  // a revision that no tag leads to, and that isn't to go
	HoldYoung     Hold = "young"     // a link within the grace period
	HoldPinned    Hold = "pinned"    // a link of a repository of which nothing goes, because something in it is broken
	HoldMismatch  Hold = "mismatch"  // a link that holds this digest, and another stands in its path
	HoldHistory   Hold = "history"   // a tag's history
	HoldSignature Hold = "signature" // a signature of the first schema
)

// Path is one way in which a repository keeps a digest.
type Path struct {
	Repository string
	Hold       Hold
	Tag        string // of HoldTag and HoldHistory
	Steps      []Step // from the manifest at the top to the digest; it alone if a link keeps it for itself
}

// Step is one thing on a Path; its role is to the one before it.
type Step struct {
	Digest string
	Role   Role
	Index  bool // it is a manifest that names others
}

// Match returns the digests that the store speaks of and that begin with the hex
// digits, up to a limit, sorted.
func (u *Usage) Match(hex string, limit int) (digests []string) {
	j := u.j
	for id := range uint32(j.len() + len(j.past)) {
		if _, foreign := j.names[id]; !foreign && strings.HasPrefix(j.digestOf(id).Hex(), hex) {
			digests = append(digests, j.nameOf(id))
		}
	}
	slices.Sort(digests)
	return digests[:min(limit, len(digests))]
}

// Paths are all ways in which repositories keep a digest: by repository, and there
// by tag, then what keeps it without one. With the name of a repository they are
// that one's alone. There is one exactly if the judgement keeps the blob.
func (u *Usage) Paths(digest, repository string) iter.Seq[Path] {
	return func(yield func(Path) bool) {
		d, ok := layout.ParseDigest(digest)
		if !ok || u.j.knownID(d) == none {
			return
		}
		id := u.j.knownID(d)
		p := &paths{j: u.j, id: id, yield: yield}
		p.above()
		for i := range u.j.repos {
			if r := &u.j.repos[i]; (repository == "" || r.name == repository) && !p.repository(uint32(i)) {
				return
			}
		}
	}
}

// paths is on its way through all repositories.
type paths struct {
	j     *judgement
	id    uint32
	up    bitset // by id: what leads to id, itself too
	yield func(Path) bool

	r       *repo
	ri      uint32
	path    Path
	found   bool            // in this repository
	visited map[uint32]bool // manifests that were come by in it
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
		if n := j.nodeAt(id); n != nil { // a referrer is kept by what it is about
			for _, e := range j.refs(n) {
				if e.role() == manifest.Subject {
					add(e.id())
				}
			}
		}
	}
}

// turned returns the references of all manifests the other way: those of which id
// is a reference are from[first[id]:first[id+1]], by node. Subjects don't count.
func (j *judgement) turned() (first, from []uint32) {
	first = make([]uint32, j.len()+len(j.past)+1)
	each := func(do func(node, id uint32)) {
		for n := range j.nodes {
			for _, e := range j.refs(&j.nodes[n]) {
				if e.role() != manifest.Subject {
					do(uint32(n), e.id())
				}
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
	p.r, p.ri, p.found = &p.j.repos[i], i, false
	p.visited, p.on = map[uint32]bool{}, map[uint32]bool{}
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

// down goes from a manifest to the digest in all ways there are.
func (p *paths) down(id uint32, role Role) (more bool) {
	if !p.up.has(id) || p.on[id] {
		return true
	}
	p.path.Steps = append(p.path.Steps, p.j.step(id, role))
	p.on[id], p.visited[id] = true, true
	defer func() {
		p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
		delete(p.on, id)
	}()
	if id == p.id && !p.tell() {
		return false
	}
	if n := p.j.nodeAt(id); n != nil {
		for _, e := range p.j.refs(n) {
			if e.role() != manifest.Subject && !p.reference(e) {
				return false
			}
		}
	}
	for m := range p.j.about(id) {
		if p.r.hasRevision(m) && !p.down(m, RoleReferrer) {
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

// reference follows one reference of a manifest.
func (p *paths) reference(e edge) (more bool) {
	ids := []uint32{e.id()}
	if a := p.r.aliasOf(e.id()); a != nil && a.target != none {
		ids = append(ids, a.target)
	}
	for _, id := range ids {
		switch {
		case e.role() == manifest.Child || e.role() == manifest.Either:
			more = p.down(id, RoleManifest)
		case id == p.id:
			more = p.leaf(map[bool]Role{true: RoleConfig, false: RoleLayer}[e.role() == manifest.Config])
		default:
			more = true
		}
		if !more {
			return false
		}
	}
	return true
}

// leaf tells of the digest as a blob of the manifest that was come to.
func (p *paths) leaf(role Role) bool {
	p.path.Steps = append(p.path.Steps, p.j.step(p.id, role))
	more := p.tell()
	p.path.Steps = p.path.Steps[:len(p.path.Steps)-1]
	return more
}

func (p *paths) tell() bool {
	p.found = true
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

// untagged goes from the revisions that stay and that no tag leads to. One that
// another of them leads to is told of with that.
func (p *paths) untagged() (more bool) {
	all := !p.j.Untagged || p.j.usage.allStays(p.ri)
	var ids []uint32
	for _, v := range p.r.revisions {
		stays := all || p.j.isYoung(v) || p.j.unclearSubject(v.id)
		if stays && p.up.has(v.id) && !p.visited[v.id] {
			ids = append(ids, v.id)
		}
	}
	slices.SortFunc(ids, p.j.compareIDs)
	below := p.below(ids)
	for _, tops := range []bool{true, false} { // those below others that weren't come by stand in a circle
		for _, id := range ids {
			p.path = Path{Repository: p.r.name, Hold: HoldUntagged}
			if below[id] != tops && !p.visited[id] && !p.down(id, RoleManifest) {
				return false
			}
		}
	}
	return true
}

// below tells which of the manifests others of them lead to.
func (p *paths) below(ids []uint32) map[uint32]bool {
	below := map[uint32]bool{}
	for _, id := range ids {
		if n := p.j.nodeAt(id); n != nil {
			for _, e := range p.j.refs(n) {
				if e.role() == manifest.Child || e.role() == manifest.Either {
					below[e.id()] = true
				}
				if e.role() == manifest.Subject && slices.Contains(ids, e.id()) {
					below[id] = true
				}
			}
		}
	}
	return below
}

// mismatches goes from what links hold that isn't what their paths say.
func (p *paths) mismatches() (more bool) {
	held := slices.Clone(p.r.held)
	for _, o := range p.r.odd {
		if o.state == walker.LinkMismatch {
			held = append(held, o.target)
		}
	}
	slices.SortFunc(held, p.j.compareIDs)
	for _, id := range slices.Compact(held) {
		p.path = Path{Repository: p.r.name, Hold: HoldMismatch}
		if !p.visited[id] && !p.down(id, RoleManifest) {
			return false
		}
	}
	return true
}
