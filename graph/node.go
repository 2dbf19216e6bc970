package graph

import (
	"cmp"
	"slices"

	"regfsck/walker"
	"regfsck/walker/manifest"
)

// edge is one reference of a manifest: a role and whether a registry reads it,
// above an id.
type edge uint32

const (
	edgeBits = 28
	edgeRead = 1 << edgeBits
)

func newEdge(r manifest.Ref, id uint32) edge {
	e := edge(uint32(r.Role)<<(edgeBits+1) | id)
	if r.Read {
		e |= edgeRead
	}
	return e
}

func (e edge) role() manifest.Role { return manifest.Role(e >> (edgeBits + 1)) }
func (e edge) id() uint32          { return uint32(e) & (1<<edgeBits - 1) }

// read reports whether a registry reads the reference itself. What is only kept for
// caution is never damage, proves nothing and has nothing rebuilt.
func (e edge) read() bool { return e&edgeRead != 0 }

// isEntry reports whether the reference is an index's, to what is or may be a
// manifest.
func (e edge) isEntry() bool { return e.role() == manifest.Child || e.role() == manifest.Either }

// node is one manifest that was read, or that could not be.
type node struct {
	id    uint32
	state walker.ManifestState
	kind  manifest.Kind
	from  uint32 // its edges: edges[from:to]
	to    uint32
}

// mismatch is a descriptor that states another size than the blob has.
type mismatch struct {
	node, id uint32
	stated   int64
}

// nodeAt returns the manifest under id, nil if none was looked for there.
func (g *graph) nodeAt(id uint32) *node {
	if int(id) >= len(g.nodeOf) || g.nodeOf[id] == 0 {
		return nil
	}
	return &g.nodes[g.nodeOf[id]-1]
}

// stateAt returns what reading the manifest under id came to.
func (g *graph) stateAt(id uint32) walker.ManifestState {
	if n := g.nodeAt(id); n != nil {
		return n.state
	}
	return walker.ManifestUnread
}

// refs returns a manifest's references.
func (g *graph) refs(n *node) []edge { return g.edges[n.from:n.to] }

// addManifest takes in what reading the manifest under id came to, in place of
// what was known of it.
func (g *graph) addManifest(id uint32, m walker.Manifest) {
	at := g.place(id)
	n := &g.nodes[at]
	g.subjectsKnown = false
	*n = node{id: id, state: m.State, kind: m.Manifest.Kind, from: uint32(len(g.edges))}
	if m.Err != nil {
		g.why[at] = m.Err
	}
	if m.State != walker.ManifestMissing && m.State != walker.ManifestUnreadable && !g.present(id) {
		g.late[id] = m.Size
	}
	for _, r := range m.Manifest.Refs {
		ref := g.idOfRef(r)
		g.edges = append(g.edges, newEdge(r, ref))
		if r.Read && r.Size >= 0 && int(ref) < g.len() && g.sizes[ref] != r.Size {
			g.suspects = append(g.suspects, mismatch{at, ref, r.Size})
		}
	}
	n.to = uint32(len(g.edges))
	if m.Manifest.Inline {
		g.carriers[id] = true
	}
}

// place returns the index in nodes for id.
func (g *graph) place(id uint32) uint32 {
	for int(id) >= len(g.nodeOf) {
		g.nodeOf = append(g.nodeOf, make([]uint32, max(g.len(), int(id)+1)-len(g.nodeOf))...)
	}
	if g.nodeOf[id] == 0 {
		g.nodes = append(g.nodes, node{})
		g.nodeOf[id] = uint32(len(g.nodes))
	}
	return g.nodeOf[id] - 1
}

// sortSuspects brings the suspects into an order that doesn't depend on which
// manifest was read first.
func (g *graph) sortSuspects() {
	slices.SortFunc(g.suspects, func(a, b mismatch) int {
		return cmp.Or(
			g.digestOf(g.nodes[a.node].id).Compare(g.digestOf(g.nodes[b.node].id)),
			cmp.Compare(a.id, b.id), cmp.Compare(a.stated, b.stated))
	})
}
