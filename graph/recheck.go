package graph

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// looker takes second looks: no absence and no bad content is reported that
// wasn't seen twice, the second time at the very key.
type looker struct {
	g       *graph
	w       *walker.Walker
	pending *pending // takes what is in motion, to be judged later; nil: nobody knows then
}

// blobs looks for every digest that something speaks of and that the listing
// didn't have, since the last time. A blob that has come meanwhile is there.
func (l looker) blobs(ctx context.Context) error {
	g := l.g
	var ids []uint32
	alias := g.aliasIDs()
	for ; g.looked < len(g.past); g.looked++ {
		id := uint32(g.len() + g.looked)
		if !alias[id] && !g.isTarsum(id) && g.nodeAt(id) == nil {
			ids = append(ids, id)
		}
	}
	key := func(i int) string { return g.blobKey(ids[i]) }
	return l.w.Look(ctx, len(ids), key, func(i int, look walker.Look) error {
		s := spot{none, place{kind: layout.Blob, id: ids[i]}}
		switch {
		case look.Err != nil:
			g.unsure[s] = true
			g.fault(key(i), look.Err)
		case !look.Absent:
			g.late[ids[i]] = look.Size
			g.changed[s] = true
		}
		return nil
	})
}

// aliasIDs are the digests that are a name for another in some repository: of
// those nothing is stored.
func (g *graph) aliasIDs() map[uint32]bool {
	all := map[uint32]bool{}
	for i := range g.repos {
		for _, a := range g.repos[i].aliases {
			all[a.id] = true
		}
	}
	return all
}

// recheck looks again at every place that hasn't been confirmed yet. It amends the
// graph where the store says otherwise now, and reports whether it had to. The last
// time nothing is looked at: of what still isn't confirmed nothing is to be said.
func (c *Scan) recheck(ctx context.Context, places []spot, harmful map[spot]bool, last bool) (amended bool, err error) {
	c.pending = c.patience()
	l := looker{g: c.g, w: c.w, pending: c.pending}
	var todo []spot
	for _, s := range places {
		switch {
		case c.g.settled[s] || c.g.unsure[s]:
		case last:
			c.g.unsure[s], c.g.changed[s], amended = true, true, true
		default:
			todo = append(todo, s)
		}
	}
	if len(todo) == 0 {
		return amended, nil
	}
	moved, err := l.folders(ctx, todo)
	if err != nil {
		return false, err
	}
	amended, err = l.links(ctx, todo, harmful)
	return amended || moved, err
}

// links looks at links again. Of what harms a tag nothing is said while it may
// be a push or a delete that is half done.
func (l looker) links(ctx context.Context, spots []spot, harmful map[spot]bool) (amended bool, err error) {
	var looks []spot
	var keys []string // made before the graph is amended
	for _, s := range spots {
		if s.kind != 0 && !l.g.unsure[s] {
			looks, keys = append(looks, s), append(keys, l.g.keyOf(s))
		}
	}
	key := func(i int) string { return keys[i] }
	err = l.w.Look(ctx, len(looks), key, func(i int, look walker.Look) error {
		s := looks[i]
		switch {
		case look.Err != nil:
			l.g.unsure[s], amended = true, true
			l.g.fault(keys[i], look.Err)
		case l.g.agrees(s, look) && harmful[s] && l.g.moving(s, look) && l.pending != nil:
			l.pending.add(keys[i], l.g.moved(s, look))
		case l.g.agrees(s, look) && harmful[s] && l.g.moving(s, look):
			l.g.changed[s], l.g.unsure[s], amended = true, true, true
		case l.g.agrees(s, look):
			l.g.settled[s] = true
		default:
			l.g.changed[s], amended = true, true
			if !l.g.amend(s, look) {
				l.g.unsure[s] = true
			}
		}
		return nil
	})
	return amended, err
}

// folders looks at the folders of repositories that seem empty and of tags
// that seem to have no current link: what is gone as a whole, or no longer
// empty, is in motion.
func (l looker) folders(ctx context.Context, spots []spot) (moved bool, err error) {
	g := l.g
	spots = slices.DeleteFunc(slices.Clone(spots), func(s spot) bool {
		if s.kind == 0 && len(g.repos[s.repo].revisions) > 0 { // it is to be emptied
			g.settled[s] = true
			return true
		}
		return s.kind != 0 && (s.kind != layout.TagCurrent || g.repos[s.repo].tags[s.tag].current)
	})
	probe := func(ctx context.Context, i int) (bool, error) {
		s := spots[i]
		r := &g.repos[s.repo]
		if s.kind == 0 {
			return l.w.HasManifests(ctx, r.name)
		}
		found, err := l.w.Exists(ctx, layout.TagKey(r.name, r.tags[s.tag].name))
		return !found, err
	}
	err = l.w.Probe(ctx, len(spots), probe, func(i int, is bool, err error) error {
		s := spots[i]
		switch {
		case err != nil:
			g.unsure[s], moved = true, true
			g.fault(layout.RepositoryKey(g.repos[s.repo].name), err)
		case is:
			g.unsure[s], g.changed[s], moved = true, true, true
		case s.kind == 0:
			g.settled[s] = true
		}
		return nil
	})
	return moved, err
}

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

// Motion is what a judgement waits for: links that are absent or invalid, around
// which something was written or removed so shortly before that it may be a push
// or a delete that is half done.
type Motion struct {
	Keys  int       // how many links
	Key   string    // the first of them
	Until time.Time // nothing is half done any more then, if nothing else happens
}

// pending are the links that were seen to be in motion.
type pending struct {
	keys   int
	key    string
	newest int64 // nanoseconds since 1970
}

func (p *pending) add(key string, at int64) {
	if p.keys == 0 || key < p.key {
		p.key = key
	}
	p.keys++
	p.newest = max(p.newest, at)
}

// patience returns what takes down what is in motion, nil where nobody waits for it.
func (c *Scan) patience() *pending {
	if c.Wait == nil || c.waited {
		return nil
	}
	return &pending{}
}

// wait waits once, until what is in motion can be judged, and a minute at most: a
// clock that runs ahead isn't waited for. It reports whether it has waited.
func (c *Scan) wait(ctx context.Context) (bool, error) {
	p := c.pending
	if p == nil || p.keys == 0 {
		return false, nil
	}
	c.waited = true
	until := min(p.newest, c.Now.Add(time.Since(c.opened)).UnixNano()) + int64(motion)
	if err := c.Wait(ctx, Motion{p.keys, p.key, time.Unix(0, until)}); err != nil {
		return false, err
	}
	c.g.motionAfter = max(c.g.motionAfter, until-int64(motion))
	return true, nil
}
