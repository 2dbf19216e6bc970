package graph

import (
	"cmp"
	"slices"

	"regfsck/walker/layout"
)

// sealLinks sorts the repositories and what they hold.
func (g *graph) sealLinks() {
	slices.SortFunc(g.repos, func(a, b repo) int { return cmp.Compare(a.name, b.name) })
	for i := range g.repos {
		g.repoID[g.repos[i].name] = uint32(i)
		r := &g.repos[i]
		r.seal()
		for t := range r.tags {
			if d, ok := layout.SubjectOf(r.tags[t].name); ok {
				g.idOf(d)
			}
		}
	}
}

func (r *repo) seal() {
	slices.Sort(r.layers)
	slices.Reverse(r.layers) // of a link that was listed twice the young one stays
	r.layers = slices.CompactFunc(r.layers, func(a, b layer) bool { return a.id() == b.id() })
	slices.Reverse(r.layers)
	slices.SortFunc(r.revisions, func(a, b revision) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(b.modified, a.modified))
	})
	r.revisions = slices.CompactFunc(r.revisions, func(a, b revision) bool { return a.id == b.id })
	r.sealAliases()
	r.sealTags()
	slices.SortFunc(r.history, func(a, b history) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id))
	})
	r.tagID = nil
	r.layers, r.revisions, r.history = exact(r.layers), exact(r.revisions), exact(r.history)
}

// exact returns s in an array that is no larger than it need be.
func exact[T any](s []T) []T {
	if cap(s)-len(s) <= len(s)/8 {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}

// sealTags sorts the tags and renumbers what points to them.
func (r *repo) sealTags() {
	order := make([]uint32, len(r.tags))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(r.tags[a].name, r.tags[b].name) })
	number := make([]uint32, len(order))
	tags := make([]tag, len(order))
	for to, from := range order {
		number[from] = uint32(to)
		tags[to] = r.tags[from]
	}
	r.tags = tags
	for i := range r.history {
		r.history[i].tag = number[r.history[i].tag]
	}
	r.renumber(number)
}

func (r *repo) renumber(number []uint32) {
	if len(r.odd) == 0 {
		return
	}
	was := r.odd
	r.odd = make(map[place]odd, len(was))
	for p, o := range was {
		if p.kind == layout.TagCurrent || p.kind == layout.TagHistory {
			p.tag = number[p.tag]
		}
		r.odd[p] = o
	}
}

func (r *repo) sealAliases() {
	slices.SortFunc(r.aliases, func(a, b alias) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.tarsum, b.tarsum))
	})
}
