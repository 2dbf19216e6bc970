package usage

import (
	"regfsck/graph"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// flow is the graph of what keeps objects in one repository. Its root leads to the tags and
// to the manifests that are kept without one; a tag leads to its manifest; a manifest leads
// to its children, blobs and referrers, and to its referrers tags. The objects that a vertex
// dominates are removed if the vertex is.
type flow struct {
	m        *gc.Marks
	r        *graph.Repository
	ri       uint32
	vertices []vertex // in order of discovery; the root is the first
	number   map[vertex]uint32
	edges    []flowEdge          // of the vertices that were followed
	followed int                 // the number of vertices that were followed
	about    map[uint32][]uint32 // by id: its referrers tags
}

// vertex is an object in a flow; at is a tag's index or an id.
type vertex struct {
	kind vertexKind
	at   uint32
}

type vertexKind uint8

const (
	topVertex vertexKind = iota
	tagVertex
	manifestVertex
	blobVertex
)

// flowEdge is an edge between vertices, by their numbers.
type flowEdge struct{ from, to uint32 }

// flowOf returns the flow of a repository.
func flowOf(m *gc.Marks, repository uint32) *flow {
	f := newFlow(m, repository)
	var about []uint32 // referrers tags, which are removed with their subjects
	for t := range f.r.Tags {
		if d, ok := layout.SubjectOf(f.r.Tags[t].Name); ok && m.KnownID(d) != graph.None {
			about = append(about, uint32(t))
			continue
		}
		f.lead(0, tagVertex, uint32(t))
	}
	f.follow()
	later := f.withTags(about)
	for _, id := range f.untagged(later) {
		f.lead(0, manifestVertex, id)
	}
	f.follow()
	for _, t := range about { // their subjects aren't in the repository
		if !f.has(tagVertex, t) && !later.has(manifestVertex, f.subject(t)) {
			f.lead(0, tagVertex, t)
		}
	}
	f.follow()
	for _, t := range about { // they are each other's subjects
		if !f.has(tagVertex, t) {
			f.lead(0, tagVertex, t)
			f.follow()
		}
	}
	for id := range f.r.Mismatched {
		f.lead(0, manifestVertex, id)
	}
	f.follow()
	return f
}

func newFlow(m *gc.Marks, repository uint32) *flow {
	f := &flow{m: m, r: &m.Repos[repository], ri: repository, number: map[vertex]uint32{}}
	f.about = m.ReferrersTags(f.r)
	f.meet(topVertex, 0)
	return f
}

// meet returns the number of a vertex, and adds the vertex if it is new.
func (f *flow) meet(kind vertexKind, at uint32) uint32 {
	v := vertex{kind, at}
	number, ok := f.number[v]
	if !ok {
		number = uint32(len(f.vertices))
		f.number[v] = number
		f.vertices = append(f.vertices, v)
	}
	return number
}

func (f *flow) has(kind vertexKind, at uint32) bool {
	_, ok := f.number[vertex{kind, at}]
	return ok
}

// lead adds an edge.
func (f *flow) lead(from uint32, kind vertexKind, at uint32) {
	f.edges = append(f.edges, flowEdge{from, f.meet(kind, at)})
}

// subject returns the subject's id of a referrers tag.
func (f *flow) subject(t uint32) uint32 {
	d, _ := layout.SubjectOf(f.r.Tags[t].Name)
	return f.m.KnownID(d)
}

// withTags returns a flow from those of the tags that this flow doesn't reach.
func (f *flow) withTags(tags []uint32) *flow {
	later := newFlow(f.m, f.ri)
	for _, t := range tags {
		if !f.has(tagVertex, t) {
			later.lead(0, manifestVertex, f.r.Tags[t].Target)
		}
	}
	later.follow()
	return later
}

// untagged returns the kept revisions that no tag of this flow or of later reaches.
func (f *flow) untagged(later *flow) (ids []uint32) {
	for v := range f.r.Manifests() {
		if !f.has(manifestVertex, v.ID) && !later.has(manifestVertex, v.ID) && keptUntagged(f.m, f.ri, v) {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// exclusive returns, for each vertex, the bytes that it dominates and that no other
// repository refers to.
func (f *flow) exclusive() []int64 {
	order, by := dominators(grouped(len(f.vertices), func(add func(from, to uint32)) {
		for _, e := range f.edges {
			add(e.from, e.to)
		}
	}))
	sums := make([]int64, len(f.vertices))
	for at := len(order) - 1; at > 0; at-- {
		v := order[at]
		if w := f.vertices[v]; w.kind == blobVertex && f.m.Present(w.at) && f.m.Users.OwnedBy(f.ri, w.at) {
			sums[v] += f.m.SizeOf(w.at)
		}
		sums[order[by[at]]] += sums[v]
	}
	return sums
}

// follow adds the edges of all vertices that weren't followed.
func (f *flow) follow() {
	for ; f.followed < len(f.vertices); f.followed++ {
		from, v := uint32(f.followed), f.vertices[f.followed]
		switch v.kind {
		case tagVertex:
			f.tag(from, v.at)
		case manifestVertex:
			f.manifest(from, v.at)
		case blobVertex:
			if to := f.r.Resolve(v.at); to != v.at {
				f.lead(from, blobVertex, to)
			}
		}
	}
}

// tag adds edges to the targets that a tag has or may have, and to what its history keeps
// because of the grace period.
func (f *flow) tag(from, t uint32) {
	target := f.r.Tags[t].Target
	if target != graph.None {
		f.lead(from, manifestVertex, target)
	}
	for _, h := range graph.HistoryOf(f.r, t) {
		switch {
		case target == graph.None:
			f.lead(from, manifestVertex, h.ID)
		case f.m.Age.CoversSeconds(h.Modified):
			f.lead(from, blobVertex, h.ID)
		}
	}
}

// manifest adds edges to all that a manifest keeps.
func (f *flow) manifest(from, id uint32) {
	f.lead(from, blobVertex, id)
	for _, t := range f.about[id] {
		f.lead(from, tagVertex, t)
	}
	for e, needed := range f.m.In(f.r, id).Needs {
		if e.IsEntry() {
			f.lead(from, manifestVertex, needed)
		} else {
			f.lead(from, blobVertex, needed)
		}
	}
	for m := range f.m.In(f.r, id).Referrers {
		f.lead(from, manifestVertex, m)
	}
}

// dominators returns the immediate dominator of each vertex with the algorithm of Lengauer
// and Tarjan, in almost linear time. The edges of v are to[first[v]:first[v+1]], and every
// vertex must be reachable from 0.
//
// It returns the vertices in an order in which each comes after its dominator and, for each
// position in that order, the position of the dominator.
func dominators(first, to []uint32) (order, by []uint32) {
	d := depthFirst(first, to)
	before, preds := d.predecessors(first, to)
	n := len(d.order)
	by = make([]uint32, n)
	waiting, next := filled(n), filled(n) // vertices by their semidominator, as lists
	for w := uint32(n) - 1; w > 0 && n > 0; w-- {
		for _, v := range preds[before[w]:before[w+1]] {
			d.semi[w] = min(d.semi[w], d.semi[d.best(v)])
		}
		next[w], waiting[d.semi[w]] = waiting[d.semi[w]], w
		parent := d.parent[w]
		d.above[w] = parent
		for v := waiting[parent]; v != graph.None; v = next[v] {
			by[v] = parent
			if u := d.best(v); d.semi[u] < d.semi[v] {
				by[v] = u
			}
		}
		waiting[parent] = graph.None
	}
	for w := 1; w < n; w++ {
		if by[w] != d.semi[w] {
			by[w] = by[by[w]]
		}
	}
	return d.order, by
}

// dominating is the state of dominators. All arrays but number are indexed by position in
// order.
type dominating struct {
	order  []uint32
	number []uint32 // by vertex: its position in order
	parent []uint32 // the vertex from which it was discovered
	semi   []uint32
	label  []uint32
	above  []uint32 // parent in the forest of finished vertices; none for roots
	path   []uint32
}

// filled returns an array of n times none.
func filled(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = graph.None
	}
	return all
}

// depthFirst searches the graph depth first.
func depthFirst(first, to []uint32) *dominating {
	n := len(first) - 1
	d := &dominating{number: filled(n), above: filled(n)}
	type step struct{ vertex, from uint32 }
	for todo := []step{{0, 0}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if d.number[s.vertex] != graph.None {
			continue
		}
		at := uint32(len(d.order))
		d.number[s.vertex] = at
		d.order, d.parent = append(d.order, s.vertex), append(d.parent, s.from)
		d.semi, d.label = append(d.semi, at), append(d.label, at)
		for _, v := range to[first[s.vertex]:first[s.vertex+1]] {
			if d.number[v] == graph.None {
				todo = append(todo, step{v, at})
			}
		}
	}
	return d
}

// predecessors returns the reversed edges, by position.
func (d *dominating) predecessors(first, to []uint32) (before, preds []uint32) {
	return grouped(len(d.order), func(add func(at, pred uint32)) {
		for u, number := range d.number {
			for _, v := range to[first[u]:first[u+1]] {
				add(d.number[v], number)
			}
		}
	})
}

// best returns the vertex with the least semidominator of v and its ancestors in the forest,
// and compresses that path.
func (d *dominating) best(v uint32) uint32 {
	if d.above[v] == graph.None {
		return d.label[v]
	}
	d.path = d.path[:0]
	for u := v; d.above[d.above[u]] != graph.None; u = d.above[u] {
		d.path = append(d.path, u)
	}
	for i := len(d.path) - 1; i >= 0; i-- {
		u := d.path[i]
		a := d.above[u]
		if d.semi[d.label[a]] < d.semi[d.label[u]] {
			d.label[u] = d.label[a]
		}
		d.above[u] = d.above[a]
	}
	return d.label[v]
}
