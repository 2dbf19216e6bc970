package graph

import (
	"slices"

	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// wanted returns the ids of the manifests that links name and that weren't
// read yet, in ascending order.
func (g *graph) wanted() []uint32 {
	w := wanting{g: g}
	for i := range g.repos {
		r := &g.repos[i]
		for _, v := range r.revisions {
			w.want(v.id)
		}
		for _, t := range r.tags {
			if t.target != none {
				w.want(t.target)
			}
		}
		for _, h := range r.history {
			if r.tags[h.tag].target == none {
				w.want(h.id)
			}
		}
		for p, o := range r.odd {
			if p.kind != layout.LayerLink && o.target != none {
				w.want(o.target)
			}
		}
		for _, id := range r.held {
			w.want(id)
		}
	}
	return w.sorted()
}

// children returns the ids of the manifests that the nodes from on name and
// that weren't read yet. What is too large for a manifest, and whose type
// doesn't say that it is one, isn't.
func (g *graph) children(from int) []uint32 {
	w := wanting{g: g}
	foreign := map[uint32]bool{}
	for i := from; i < len(g.nodes); i++ {
		for e := range g.in(nil, g.nodes[i].id).references {
			switch e.role() {
			case manifest.Child:
				w.want(e.id())
			case manifest.Either:
				w.wantSmall(e.id())
			default:
				continue
			}
			if g.isForeign(e.id()) {
				foreign[e.id()] = true
			}
		}
	}
	if len(foreign) > 0 {
		w.wantAliased(foreign)
	}
	return w.sorted()
}

// wantSmall wants what may be a manifest by its size.
func (w *wanting) wantSmall(id uint32) {
	if !w.g.present(id) || w.g.sizeOf(id) <= manifest.MaxSize {
		w.want(id)
	}
}

// wantAliased wants what digests of other algorithms stand for anywhere.
func (w *wanting) wantAliased(foreign map[uint32]bool) {
	for i := range w.g.repos {
		for _, a := range w.g.repos[i].aliases {
			if foreign[a.id] && a.target != none {
				w.wantSmall(a.target)
			}
		}
	}
}

// wanting collects ids, each once.
type wanting struct {
	g    *graph
	seen bitset
	ids  []uint32
}

func (w *wanting) want(id uint32) {
	if !w.g.isTarsum(id) && w.g.nodeAt(id) == nil && w.seen.add(id) {
		w.ids = append(w.ids, id)
	}
}

func (w *wanting) sorted() []uint32 {
	slices.Sort(w.ids)
	return w.ids
}
