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

// isChild reports whether an index's entry is a manifest that the repository has.
func (r *repo) isChild(e edge) bool {
	return e.isEntry() && r.hasRevision(e.id())
}

// configs finds what stands for a manifest of a repository as its config.
type configs struct {
	g     *graph
	r     *repo
	found map[uint32]uint32 // by manifest, so that none is followed twice
}

func (g *graph) configsOf(r *repo) *configs {
	return &configs{g, r, map[uint32]uint32{}}
}

// of returns the id of the config of the image under id, of an index that of the
// first image in it; none for none.
func (c *configs) of(id uint32) uint32 {
	config, ok := c.found[id]
	if ok {
		return config
	}
	c.found[id] = none // so that a circle ends
	config = none
	if n := c.g.nodeAt(id); n != nil {
		for _, e := range c.g.refs(n) {
			switch {
			case e.role() == manifest.Config:
				config = e.id()
			case c.r.isChild(e):
				config = c.of(e.id())
			}
			if config != none {
				break
			}
		}
	}
	c.found[id] = config
	return config
}
