package graph

import (
	"path"
	"slices"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// keyOf returns the key of a link.
func (g *graph) keyOf(s spot) string {
	r := &g.repos[s.repo]
	k := layout.Key{Kind: s.kind, Repository: r.name}
	if s.kind == layout.TagCurrent || s.kind == layout.TagHistory {
		k.Tag = r.tags[s.tag].name
	}
	if s.kind == layout.TagCurrent {
		return k.String()
	}
	k.Algorithm, k.Hex, _ = strings.Cut(g.nameOf(s.id), ":")
	if a := r.aliasOf(s.id); a != nil && a.tarsum != "" && s.kind == layout.LayerLink {
		k.Kind, k.Version = layout.Tarsum, a.tarsum
		k.Algorithm = strings.TrimPrefix(k.Algorithm, "tarsum."+a.tarsum+"+")
	}
	return k.String()
}

// agrees reports whether a second look shows what the graph says.
func (g *graph) agrees(s spot, look walker.Look) bool {
	r := &g.repos[s.repo]
	known := g.knows(r, s.place)
	if look.Absent || !known {
		return look.Absent != known
	}
	o, isOdd := r.odd[s.place]
	if !isOdd && look.Link.State != walker.LinkGood || isOdd && look.Link.State != o.state {
		return false
	}
	if s.kind == layout.TagCurrent && look.Link.State == walker.LinkGood {
		return r.tags[s.tag].target == g.idOfAny(look.Link.Target)
	}
	return o.state != walker.LinkMismatch || g.idOfAny(look.Link.Target) == o.target
}

// moved returns when a link that is absent or invalid was last to be written, or
// was removed, in nanoseconds since 1970; 0 where nothing tells. Shortly after that
// a push or a delete may be half done: a registry up to 3.0 truncates a link before
// it writes it, a push writes a tag's history before its current link, a delete
// removes a revision's link before the tags that mean it.
func (g *graph) moved(s spot, look walker.Look) (at int64) {
	r := &g.repos[s.repo]
	switch {
	case !look.Absent:
		if look.Link.State == walker.LinkInvalid {
			at = look.Modified
		}
	case s.kind == layout.Revision && !r.hasRevision(s.id):
		at = g.recent[path.Dir(g.keyOf(s))]
	case s.kind == layout.TagCurrent && !r.tags[s.tag].current:
		at = g.recent[layout.TagKey(r.name, r.tags[s.tag].name)]
		for _, h := range historyOf(r, s.tag) {
			at = max(at, int64(h.modified)*1e9)
		}
	}
	return at
}

// moving reports whether what was last seen of a link is so recent that nothing
// harmful is to be said of it.
func (g *graph) moving(s spot, look walker.Look) bool { return g.moved(s, look) > g.motionAfter }

// knows reports whether the graph has the link.
func (g *graph) knows(r *repo, p place) bool {
	switch p.kind {
	case layout.Revision:
		return r.hasRevision(p.id)
	case layout.TagCurrent:
		return r.tags[p.tag].current
	case layout.TagHistory:
		return slices.ContainsFunc(historyOf(r, p.tag), func(h history) bool { return h.id == p.id })
	}
	return r.hasLayer(p.id) || r.aliasOf(p.id) != nil
}

// amend takes in a link as a second look found it. What it named before is kept
// too: either look may have been the wrong one. It is false where the graph
// can't say what was found: a link that is gone, an alias that changed.
func (g *graph) amend(s spot, look walker.Look) bool {
	r := &g.repos[s.repo]
	alias := s.kind == layout.LayerLink && look.Link.IsAlias()
	if look.Absent || s.kind == layout.LayerLink && r.aliasOf(s.id) != nil {
		return false
	}
	if alias {
		g.addAlias(r, &look.Link)
		r.sealAliases()
		return true
	}
	if o, ok := r.odd[s.place]; ok && o.target != none {
		r.held = append(r.held, o.target)
	}
	switch s.kind {
	case layout.Revision:
		r.addRevision(s.id, seconds(look.Modified))
	case layout.TagCurrent:
		t := &r.tags[s.tag]
		if t.target != none {
			r.held = append(r.held, t.target)
		}
		t.current, t.target, t.modified = true, none, seconds(look.Modified)
		if look.Link.State == walker.LinkGood {
			t.target = g.idOfAny(look.Link.Target)
		}
	case layout.TagHistory:
		r.addHistory(history{s.tag, s.id, seconds(look.Modified)})
	case layout.LayerLink:
		r.addLayer(s.id, look.Modified > g.youngAfter)
	}
	g.note(r, s.place, &look.Link)
	return true
}
