package usage

import (
	"regfsck/graph"
	"regfsck/graph/gc"
)

// pulls computes the sizes of pulls from one repository.
type pulls struct {
	m     *gc.Marks
	r     *graph.Repository
	sizes map[uint32]int64 // by manifest
	seen  map[uint32]bool  // blobs that were counted
	met   map[uint32]bool  // manifests that were followed
}

func pullsOf(m *gc.Marks, r *graph.Repository) *pulls {
	return &pulls{m: m, r: r, sizes: map[uint32]int64{}, seen: map[uint32]bool{}, met: map[uint32]bool{}}
}

// size returns the bytes of a manifest and all that it needs, each blob once; of an index,
// with all children that the repository serves.
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
		for s := range p.m.In(p.r, id).Serves {
			if s.Child {
				todo = append(todo, s.To)
			} else {
				sum += p.blob(s.To)
			}
		}
	}
	return sum
}

// blob returns the bytes of a blob, 0 if it was counted already.
func (p *pulls) blob(id uint32) int64 {
	if p.seen[id] || !p.m.Present(id) {
		return 0
	}
	p.seen[id] = true
	return p.m.SizeOf(id)
}
