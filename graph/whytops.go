package graph

import (
	"slices"

	"regfsck/walker"
)

// untagged goes from the revisions that stay and that no tag leads to. One that
// another of them leads to is told of with that.
func (p *paths) untagged() (more bool) {
	all := !p.j.Untagged || p.j.usage.allStays(p.ri)
	var ids []uint32
	for v := range p.r.manifests() {
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
	below, among := map[uint32]bool{}, map[uint32]bool{}
	for _, id := range ids {
		among[id] = true
	}
	for _, id := range ids {
		for e, needed := range p.j.in(p.r, id).needs {
			if e.isEntry() {
				below[needed] = true
			}
		}
		if among[p.j.subjectOf(id)] {
			below[id] = true
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
