package graph

import (
	"context"
	"path"
	"slices"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// looker takes second looks: no absence and no bad content is reported that
// wasn't seen twice, the second time at the very key.
type looker struct {
	g       *Graph
	w       *walker.Walker
	pending *pending // takes what is being changed, to be judged later; nil: nobody knows then
}

// blobs looks for every digest that something names and that the listing
// didn't have, since the last time. A blob that has come meanwhile is there.
func (l looker) blobs(ctx context.Context) error {
	g := l.g
	var ids []uint32
	alias := aliasIDs(g)
	for ; g.looked < len(g.Unlisted); g.looked++ {
		id := uint32(g.Len() + g.looked)
		if !alias[id] && !g.isTarsum(id) && g.NodeAt(id) == nil {
			ids = append(ids, id)
		}
	}
	key := func(i int) string { return g.BlobKey(ids[i]) }
	return l.w.Recheck(ctx, len(ids), key, func(i int, look walker.Recheck) error {
		s := Ref{None, Link{Kind: layout.Blob, ID: ids[i]}}
		switch {
		case look.Err != nil:
			g.Unconfirmed[s] = true
			Builder{g}.fault(key(i), look.Err)
		case !look.Absent:
			g.late[ids[i]] = look.Size
			g.Changed[s] = true
		}
		return nil
	})
}

// aliasIDs are the digests that are a name for another in some repository: of
// those nothing is stored.
func aliasIDs(g *Graph) map[uint32]bool {
	all := map[uint32]bool{}
	for i := range g.Repos {
		for _, a := range g.Repos[i].Aliases {
			all[a.ID] = true
		}
	}
	return all
}

// Recheck looks again at every place that hasn't been confirmed yet. It amends the
// graph where the store says otherwise now, and reports whether it had to. The last
// time nothing is looked at: of what still isn't confirmed nothing is to be said.
func (c *Scan) Recheck(ctx context.Context, places []Ref, harmful map[Ref]bool, last bool) (amended bool, err error) {
	if c.pending = nil; c.Wait != nil && !c.waited {
		c.pending = &pending{}
	}
	l := looker{g: c.Graph, w: c.w, pending: c.pending}
	var todo []Ref
	for _, s := range places {
		switch {
		case c.Graph.confirmed[s] || c.Graph.Unconfirmed[s]:
		case last:
			c.Graph.Unconfirmed[s], c.Graph.Changed[s], amended = true, true, true
		default:
			todo = append(todo, s)
		}
	}
	if len(todo) == 0 {
		return amended, nil
	}
	moved, err := l.directories(ctx, todo)
	if err != nil {
		return false, err
	}
	amended, err = l.links(ctx, todo, harmful)
	return amended || moved, err
}

// links looks at links again. Of what harms a tag nothing is said while it may
// be a push or a delete that is half done.
func (l looker) links(ctx context.Context, spots []Ref, harmful map[Ref]bool) (amended bool, err error) {
	var looks []Ref
	var keys []string // made before the graph is amended
	for _, s := range spots {
		if s.Kind != 0 && !l.g.Unconfirmed[s] {
			looks, keys = append(looks, s), append(keys, l.g.KeyOf(s))
		}
	}
	key := func(i int) string { return keys[i] }
	err = l.w.Recheck(ctx, len(looks), key, func(i int, look walker.Recheck) error {
		s := looks[i]
		agrees := look.Err == nil && l.agrees(s, look)
		moving := agrees && harmful[s] && l.moved(s, look) > l.g.ChangedFrom // too recent to say anything harmful of it
		switch {
		case look.Err != nil:
			l.g.Unconfirmed[s], amended = true, true
			Builder{l.g}.fault(keys[i], look.Err)
		case moving && l.pending != nil:
			l.pending.add(keys[i], l.moved(s, look))
		case moving:
			l.g.Changed[s], l.g.Unconfirmed[s], amended = true, true, true
		case agrees:
			l.g.confirmed[s] = true
		default:
			l.g.Changed[s], amended = true, true
			if !l.amend(s, look) {
				l.g.Unconfirmed[s] = true
			}
		}
		return nil
	})
	return amended, err
}

// directories looks at the directories of repositories that seem empty and of tags
// that seem to have no current link: what is gone as a whole, or no longer
// empty, is being changed.
func (l looker) directories(ctx context.Context, spots []Ref) (moved bool, err error) {
	g := l.g
	spots = slices.DeleteFunc(slices.Clone(spots), func(s Ref) bool {
		if s.Kind == 0 && len(g.Repos[s.Repo].Revisions) > 0 { // it is to be emptied
			g.confirmed[s] = true
			return true
		}
		return s.Kind != 0 && (s.Kind != layout.TagCurrent || g.Repos[s.Repo].Tags[s.Tag].Current)
	})
	probe := func(ctx context.Context, i int) (bool, error) {
		s := spots[i]
		r := &g.Repos[s.Repo]
		if s.Kind == 0 {
			return l.w.HasManifests(ctx, r.Name)
		}
		found, err := l.w.Exists(ctx, layout.TagKey(r.Name, r.Tags[s.Tag].Name))
		return !found, err
	}
	err = l.w.Ask(ctx, len(spots), probe, func(i int, is bool, err error) error {
		s := spots[i]
		switch {
		case err != nil:
			g.Unconfirmed[s], moved = true, true
			Builder{g}.fault(layout.RepositoryKey(g.Repos[s.Repo].Name), err)
		case is:
			g.Unconfirmed[s], g.Changed[s], moved = true, true, true
		case s.Kind == 0:
			g.confirmed[s] = true
		}
		return nil
	})
	return moved, err
}

// agrees reports whether a second look shows what the graph says.
func (l looker) agrees(s Ref, look walker.Recheck) bool {
	r := &l.g.Repos[s.Repo]
	known := l.g.Knows(r, s.Link)
	if look.Absent || !known {
		return look.Absent != known
	}
	o, isOdd := r.Bad[s.Link]
	if !isOdd && look.Link.State != walker.LinkGood || isOdd && look.Link.State != o.State {
		return false
	}
	if s.Kind == layout.TagCurrent && look.Link.State == walker.LinkGood {
		return r.Tags[s.Tag].Target == l.g.idOfAny(look.Link.Target)
	}
	return o.State != walker.LinkMismatch || l.g.idOfAny(look.Link.Target) == o.Target
}

// moved returns when a link that is absent or invalid was last to be written, or
// was removed, in nanoseconds since 1970; 0 where nothing tells. Shortly after that
// a push or a delete may be half done: a registry up to 3.0 truncates a link before
// it writes it, a push writes a tag's history before its current link, a delete
// removes a revision's link before the tags that mean it.
func (l looker) moved(s Ref, look walker.Recheck) (at int64) {
	r := &l.g.Repos[s.Repo]
	switch {
	case !look.Absent:
		if look.Link.State == walker.LinkInvalid {
			at = look.Modified
		}
	case s.Kind == layout.Revision && !r.HasRevision(s.ID):
		at = l.g.recent[path.Dir(l.g.KeyOf(s))]
	case s.Kind == layout.TagCurrent && !r.Tags[s.Tag].Current:
		at = l.g.recent[layout.TagKey(r.Name, r.Tags[s.Tag].Name)]
		for _, h := range HistoryOf(r, s.Tag) {
			at = max(at, int64(h.Modified)*1e9)
		}
	}
	return at
}

// amend has the graph hold a link as a second look found it. What it named before is kept
// too: either look may have been the wrong one. It is false where the graph
// can't say what was found: a link that is gone, an alias that changed.
func (l looker) amend(s Ref, look walker.Recheck) bool {
	r := &l.g.Repos[s.Repo]
	alias := s.Kind == layout.LayerLink && look.Link.IsAlias()
	if look.Absent || s.Kind == layout.LayerLink && r.AliasOf(s.ID) != nil {
		return false
	}
	if alias {
		Builder{l.g}.addAlias(r, &look.Link)
		r.sealAliases()
		return true
	}
	if o, ok := r.Bad[s.Link]; ok && o.Target != None {
		r.NamedBefore = append(r.NamedBefore, o.Target)
	}
	switch s.Kind {
	case layout.Revision:
		r.addRevision(s.ID, Seconds(look.Modified))
	case layout.TagCurrent:
		t := &r.Tags[s.Tag]
		if t.Target != None {
			r.NamedBefore = append(r.NamedBefore, t.Target)
		}
		t.Current, t.Target, t.Modified = true, None, Seconds(look.Modified)
		if look.Link.State == walker.LinkGood {
			t.Target = l.g.idOfAny(look.Link.Target)
		}
	case layout.TagHistory:
		r.addHistory(HistoryEntry{s.Tag, s.ID, Seconds(look.Modified)})
	case layout.LayerLink:
		r.addLayer(s.ID, l.g.Age.Covers(look.Modified))
	}
	Builder{l.g}.note(r, s.Link, &look.Link)
	return true
}

// ConcurrentChange is what a judgement waits for: links that are absent or invalid, around
// which something was written or removed so shortly before that it may be a push
// or a delete that is half done.
type ConcurrentChange struct {
	Keys  int       // how many links
	Key   string    // the first of them
	Until time.Time // nothing is half done any more then, if nothing else happens
}

// pending are the links that were seen to be changing.
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

// AwaitChanges waits once, until what is being changed can be judged, and a minute at most: a
// clock that runs ahead isn't waited for. It reports whether it has waited.
func (c *Scan) AwaitChanges(ctx context.Context) (bool, error) {
	p := c.pending
	if p == nil || p.keys == 0 {
		return false, nil
	}
	c.waited = true
	until := min(p.newest, c.now(c.Now).UnixNano()) + int64(PushTime)
	if err := c.Wait(ctx, ConcurrentChange{p.keys, p.key, time.Unix(0, until)}); err != nil {
		return false, err
	}
	c.Graph.ChangedFrom = max(c.Graph.ChangedFrom, until-int64(PushTime))
	return true, nil
}
