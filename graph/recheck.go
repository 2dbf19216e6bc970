package graph

import (
	"context"
	"path"
	"slices"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// rechecker looks again at keys that a listing lacked or whose content was bad. Both are
// reported only if seen twice, the second time at the key itself.
type rechecker struct {
	g       *Graph
	w       *walker.Walker
	pending *pending // receives concurrent changes, to judge them later; nil: their state is unknown
}

// blobs looks up every digest that something refers to and the listing lacked. A blob that
// was written since is present.
func (l rechecker) blobs(ctx context.Context) error {
	g := l.g
	var ids []uint32
	alias := aliasIDs(g)
	for ; g.unlistedRechecked < len(g.Unlisted); g.unlistedRechecked++ {
		id := uint32(g.Len() + g.unlistedRechecked)
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

// aliasIDs returns the digests that are aliases in some repository; nothing is stored under
// them.
func aliasIDs(g *Graph) map[uint32]bool {
	all := map[uint32]bool{}
	for i := range g.Repos {
		for _, a := range g.Repos[i].Aliases {
			all[a.ID] = true
		}
	}
	return all
}

// Recheck rechecks every ref that isn't confirmed. It amends the graph if something changed,
// and reports whether it did. With last set nothing is rechecked: refs that aren't confirmed
// are not reported.
func (c *Scan) Recheck(ctx context.Context, refs []Ref, harmful map[Ref]bool, last bool) (amended bool, err error) {
	if c.pending = nil; c.Wait != nil && !c.waited {
		c.pending = &pending{}
	}
	l := rechecker{g: c.Graph, w: c.w, pending: c.pending}
	var todo []Ref
	for _, s := range refs {
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
	changed, err := l.directories(ctx, todo)
	if err != nil {
		return false, err
	}
	amended, err = l.links(ctx, todo, harmful)
	return amended || changed, err
}

// links rechecks links. A link whose state blocks tags isn't confirmed while a push or delete
// may be in progress there.
func (l rechecker) links(ctx context.Context, refs []Ref, harmful map[Ref]bool) (amended bool, err error) {
	var links []Ref
	var keys []string // computed before the graph is amended
	for _, s := range refs {
		if s.Kind != 0 && !l.g.Unconfirmed[s] {
			links, keys = append(links, s), append(keys, l.g.KeyOf(s))
		}
	}
	key := func(i int) string { return keys[i] }
	err = l.w.Recheck(ctx, len(links), key, func(i int, look walker.Recheck) error {
		s := links[i]
		agrees := look.Err == nil && l.agrees(s, look)
		changing := agrees && harmful[s] && l.lastChanged(s, look) > l.g.ChangedFrom // too recent to report
		switch {
		case look.Err != nil:
			l.g.Unconfirmed[s], amended = true, true
			Builder{l.g}.fault(keys[i], look.Err)
		case changing && l.pending != nil:
			l.pending.add(keys[i], l.lastChanged(s, look))
		case changing:
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

// directories rechecks directories of repositories that seem empty and of tags without a
// current link. A directory that no longer exists or isn't empty any more is being changed.
func (l rechecker) directories(ctx context.Context, refs []Ref) (changed bool, err error) {
	g := l.g
	refs = slices.DeleteFunc(slices.Clone(refs), func(s Ref) bool {
		if s.Kind == 0 && len(g.Repos[s.Repo].Revisions) > 0 { // to be emptied
			g.confirmed[s] = true
			return true
		}
		return s.Kind != 0 && (s.Kind != layout.TagCurrent || g.Repos[s.Repo].Tags[s.Tag].Current)
	})
	isChanging := func(ctx context.Context, i int) (bool, error) {
		s := refs[i]
		r := &g.Repos[s.Repo]
		if s.Kind == 0 {
			return l.w.HasManifests(ctx, r.Name)
		}
		found, err := l.w.Exists(ctx, layout.TagKey(r.Name, r.Tags[s.Tag].Name))
		return !found, err
	}
	err = l.w.Ask(ctx, len(refs), isChanging, func(i int, is bool, err error) error {
		s := refs[i]
		switch {
		case err != nil:
			g.Unconfirmed[s], changed = true, true
			Builder{g}.fault(layout.RepositoryKey(g.Repos[s.Repo].Name), err)
		case is:
			g.Unconfirmed[s], g.Changed[s], changed = true, true, true
		case s.Kind == 0:
			g.confirmed[s] = true
		}
		return nil
	})
	return changed, err
}

// agrees reports whether a recheck found the same as the graph has.
func (l rechecker) agrees(s Ref, look walker.Recheck) bool {
	r := &l.g.Repos[s.Repo]
	known := l.g.Knows(r, s.Link)
	if look.Absent || !known {
		return look.Absent != known
	}
	bad, isBad := r.Bad[s.Link]
	if !isBad && look.Link.State != walker.LinkGood || isBad && look.Link.State != bad.State {
		return false
	}
	if s.Kind == layout.TagCurrent && look.Link.State == walker.LinkGood {
		return r.Tags[s.Tag].Target == l.g.idOfAny(look.Link.Target)
	}
	return bad.State != walker.LinkMismatch || l.g.idOfAny(look.Link.Target) == bad.Target
}

// lastChanged returns when an absent or invalid link was last written or removed, in nanoseconds
// since 1970; 0 if unknown. Shortly after that a push or delete may be in progress:
// registries up to 3.0 truncate a link before they write it, a push writes a tag's history
// before its current link, and a delete removes a revision link before the tags.
func (l rechecker) lastChanged(s Ref, look walker.Recheck) (at int64) {
	r := &l.g.Repos[s.Repo]
	switch {
	case !look.Absent:
		if look.Link.State == walker.LinkInvalid {
			at = look.Modified
		}
	case s.Kind == layout.Revision && !r.HasRevision(s.ID):
		at = l.g.changedAt[path.Dir(l.g.KeyOf(s))]
	case s.Kind == layout.TagCurrent && !r.Tags[s.Tag].Current:
		at = l.g.changedAt[layout.TagKey(r.Name, r.Tags[s.Tag].Name)]
		for _, h := range HistoryOf(r, s.Tag) {
			at = max(at, int64(h.Modified)*1e9)
		}
	}
	return at
}

// amend sets a link as the recheck found it. Its earlier target is kept too, since either
// read may be wrong. It returns false if the graph can't represent the change: a link that was
// removed, an alias that changed.
func (l rechecker) amend(s Ref, look walker.Recheck) bool {
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
	if bad, ok := r.Bad[s.Link]; ok && bad.Target != None {
		r.NamedBefore = append(r.NamedBefore, bad.Target)
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

// ConcurrentChange describes links that are absent or invalid and were changed so recently
// that a push or delete may be in progress.
type ConcurrentChange struct {
	Keys  int       // the number of links
	Key   string    // the first of them
	Until time.Time // when they can be judged, unless they change again
}

// pending are the links that are being changed.
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

// AwaitChanges waits, once, until concurrent changes can be judged, at most a minute (a clock
// may be ahead). It reports whether it has waited.
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
