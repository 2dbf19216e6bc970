package graph

import (
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// flow is all that leads to something in one repository, as a graph: from its top
// to tags and to manifests that stand for themselves, from a tag to its manifest,
// and on from there: to children, to what has it for its subject, to the tags
// sha256-<hex> that are about it, to blobs. What lies behind a vertex alone goes
// when that goes.
type flow struct {
	j        *judgement
	r        *repo
	vertices []vertex // as they were met; the top is the first
	number   map[vertex]uint32
	edges    []flowEdge          // of the vertices that were followed
	followed int                 // so many vertices were
	about    map[uint32][]uint32 // by id: the tags sha256-<hex> about it
}

// vertex is one thing in a flow; at is a tag's index or an id.
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

// flowEdge says that one vertex leads to another, by their numbers.
type flowEdge struct{ from, to uint32 }

// flowOf makes the flow of the repository.
func (j *judgement) flowOf(repository uint32) *flow {
	f := j.newFlow(repository)
	var about []uint32 // tags that stand or fall with what they are about
	for t := range f.r.tags {
		if d, ok := layout.SubjectOf(f.r.tags[t].name); ok && j.knownID(d) != none {
			about = append(about, uint32(t))
			continue
		}
		f.lead(0, tagVertex, uint32(t))
	}
	f.follow()
	later := f.later(about)
	for _, id := range f.untagged(later) {
		f.lead(0, manifestVertex, id)
	}
	f.follow()
	for _, t := range about { // what it is about isn't here
		if !f.has(tagVertex, t) && !later.has(manifestVertex, f.subject(t)) {
			f.lead(0, tagVertex, t)
		}
	}
	f.follow()
	for _, t := range about { // they are about each other
		if !f.has(tagVertex, t) {
			f.lead(0, tagVertex, t)
			f.follow()
		}
	}
	f.held()
	f.follow()
	return f
}

func (j *judgement) newFlow(repository uint32) *flow {
	f := &flow{j: j, r: &j.repos[repository], number: map[vertex]uint32{}}
	f.about = j.referrersTags(f.r)
	f.meet(topVertex, 0)
	return f
}

// meet returns the number of a vertex, a new one at first sight.
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

// subject returns the id of what a tag sha256-<hex> is about.
func (f *flow) subject(t uint32) uint32 {
	d, _ := layout.SubjectOf(f.r.tags[t].name)
	return f.j.knownID(d)
}

// later is the flow from those of the tags that weren't reached yet.
func (f *flow) later(tags []uint32) *flow {
	later := f.j.newFlow(f.j.repoID[f.r.name])
	for _, t := range tags {
		if !f.has(tagVertex, t) {
			later.lead(0, manifestVertex, f.r.tags[t].target)
		}
	}
	later.follow()
	return later
}

// untagged returns the revisions that the judgement keeps though no tag leads to
// them, nor will one of the later ones.
func (f *flow) untagged(later *flow) (ids []uint32) {
	all := !f.j.Untagged || f.pinned()
	for v := range f.r.manifests() {
		if !f.has(manifestVertex, v.id) && !later.has(manifestVertex, v.id) && (all || f.j.isYoung(v) || f.j.unclearSubject(v.id)) {
			ids = append(ids, v.id)
		}
	}
	return ids
}

func (f *flow) pinned() bool { return f.j.usage.allStays(f.j.repoID[f.r.name]) }

// held lets the top lead to what links hold that isn't what their paths say.
func (f *flow) held() {
	keep := func(id uint32) {
		f.lead(0, manifestVertex, id)
	}
	for _, o := range f.r.odd {
		if o.state == walker.LinkMismatch {
			keep(o.target)
		}
	}
	for _, id := range f.r.held {
		keep(id)
	}
}

// behind returns, for each vertex by its number, how many bytes lie behind it
// alone and are used by no other repository.
func (f *flow) behind() []int64 {
	first, to := f.packed()
	order, by := dominators(first, to)
	sums := make([]int64, len(f.vertices))
	repository := f.j.repoID[f.r.name]
	for at := len(order) - 1; at > 0; at-- {
		v := order[at]
		if w := f.vertices[v]; w.kind == blobVertex && f.j.present(w.at) && f.j.usage.ownedBy(repository, w.at) {
			sums[v] += f.j.sizeOf(w.at)
		}
		sums[order[by[at]]] += sums[v]
	}
	return sums
}

// packed returns the edges by the vertex that they come from.
func (f *flow) packed() (first, to []uint32) {
	first, to = make([]uint32, len(f.vertices)+1), make([]uint32, len(f.edges))
	for _, e := range f.edges {
		first[e.from+1]++
	}
	for v := range f.vertices {
		first[v+1] += first[v]
	}
	at := slices.Clone(first)
	for _, e := range f.edges {
		to[at[e.from]] = e.to
		at[e.from]++
	}
	return first, to
}
