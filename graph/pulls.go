package graph

import "regfsck/walker/manifest"

// pulls tells what a pull from one repository brings.
type pulls struct {
	j     *judgement
	r     *repo
	sizes map[uint32]int64 // by manifest
	seen  map[uint32]bool  // blobs that were counted
	met   map[uint32]bool  // manifests that were followed
}

func (j *judgement) pullsOf(r *repo) *pulls {
	return &pulls{j: j, r: r, sizes: map[uint32]int64{}, seen: map[uint32]bool{}, met: map[uint32]bool{}}
}

// size returns the bytes of the manifest under id and of all that it needs, of an
// index all children that the repository has, each blob once.
func (p *pulls) size(id uint32) int64 {
	size, ok := p.sizes[id]
	if !ok {
		clear(p.seen)
		clear(p.met)
		size = p.manifest(id)
		p.sizes[id] = size
	}
	return size
}

func (p *pulls) manifest(id uint32) (sum int64) {
	for todo := []uint32{id}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p.met[id] {
			continue
		}
		p.met[id] = true
		sum += p.blob(id)
		n := p.j.nodeAt(id)
		if n == nil {
			continue
		}
		for _, e := range p.j.refs(n) {
			switch ref := p.served(e.id()); {
			case e.role() == manifest.Subject:
			case p.r.isChild(e):
				todo = append(todo, ref)
			case e.role() != manifest.Child:
				sum += p.blob(ref)
			}
		}
	}
	return sum
}

// blob returns the bytes of a blob that wasn't counted yet.
func (p *pulls) blob(id uint32) int64 {
	if p.seen[id] || !p.j.present(id) {
		return 0
	}
	p.seen[id] = true
	return p.j.sizeOf(id)
}

// served returns the id of what a repository serves under id.
func (p *pulls) served(id uint32) uint32 {
	if a := p.r.aliasOf(id); a != nil && a.target != none {
		return a.target
	}
	return id
}

// isChild tells whether an index's entry is a manifest that the repository has.
func (r *repo) isChild(e edge) bool {
	return (e.role() == manifest.Child || e.role() == manifest.Either) && r.hasRevision(e.id())
}

// configOf returns the id of the config of the image under id, of an index that
// of the first image in it; none for none.
func (g *graph) configOf(r *repo, id uint32) uint32 {
	met := map[uint32]bool{}
	for todo := []uint32{id}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := g.nodeAt(id)
		if n == nil || met[id] {
			continue
		}
		met[id] = true
		refs := g.refs(n)
		for at := len(refs) - 1; at >= 0; at-- { // so that the first comes off first
			switch e := refs[at]; {
			case e.role() == manifest.Config:
				return e.id()
			case r.isChild(e):
				todo = append(todo, e.id())
			}
		}
	}
	return none
}
