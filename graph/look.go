package graph

import (
	"context"
	"path"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// looker takes second looks: no absence and no bad content is reported that
// wasn't seen twice, the second time at the very key.
type looker struct {
	g *graph
	w *walker.Walker
}

// blobs looks for every digest that something speaks of and that the listing
// didn't have, since the last time. A blob that has come meanwhile is there.
func (l looker) blobs(ctx context.Context) error {
	g := l.g
	var ids []uint32
	for ; g.looked < len(g.past); g.looked++ {
		id := uint32(g.len() + g.looked)
		if _, foreign := g.names[id]; !foreign && g.nodeAt(id) == nil {
			ids = append(ids, id)
		}
	}
	key := func(i int) string { return layout.BlobKey(g.digestOf(ids[i])) }
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

// unsettled tells whether nothing is to be said of the problem's place, and
// has its tags counted as unknown then.
func (j *judgement) unsettled(p *problem) bool {
	if len(j.unsure) == 0 {
		return false
	}
	for _, s := range j.spots(p) {
		if j.unsure[s] {
			if p.obj != none && p.id.Severity() == Error {
				j.bad[p.obj] = append(j.bad[p.obj], unknown)
			}
			return true
		}
	}
	return false
}

// spots returns the places that a problem speaks of.
func (j *judgement) spots(p *problem) []spot {
	at := func(kind layout.Kind, tag, id uint32) spot { return spot{p.repo, place{kind, tag, id}} }
	switch p.id {
	case ManifestCorrupt, BlobMissing:
		if p.repo == none {
			return []spot{{none, place{kind: layout.Blob, id: p.obj}}}
		}
	case ManifestMissing, IndexChildMissing:
		return []spot{at(layout.Revision, 0, p.obj), {none, place{kind: layout.Blob, id: p.obj}}}
	case RevisionLinkMissing:
		return []spot{at(layout.Revision, 0, p.obj)}
	case SignatureOrphaned:
		d, _ := subjectOf(j.repos[p.repo].tags[p.tag].name)
		return []spot{at(layout.Revision, 0, j.idOf(d)), at(layout.TagCurrent, p.tag, 0)}
	case LayerLinkMissing:
		return []spot{at(layout.LayerLink, 0, p.obj)}
	case TagDangling:
		return []spot{
			at(layout.Revision, 0, p.obj), at(layout.TagCurrent, p.tag, 0), {none, place{kind: layout.Blob, id: p.obj}},
		}
	case TagWithoutCurrent:
		return []spot{at(layout.TagCurrent, p.tag, 0)}
	case TagHistoryStale:
		return []spot{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj)}
	case LinkInvalid, LinkMismatch:
		if p.kind == layout.TagCurrent {
			return []spot{at(p.kind, p.tag, 0)}
		}
		return []spot{at(p.kind, p.tag, p.obj)}
	case RepoEmpty:
		return []spot{at(0, 0, 0)}
	}
	return nil
}

// settle looks again at every place that the judgement's problems speak of and
// that hasn't been confirmed yet. It amends the graph where the store says
// otherwise now, and tells whether it had to.
func (l looker) settle(ctx context.Context, j *judgement, last bool) (amended bool, err error) {
	var todo, blobs []spot
	harmful := map[spot]bool{}
	for i := range j.problems {
		p := &j.problems[i]
		for _, s := range j.spots(p) {
			_, seen := harmful[s]
			harmful[s] = harmful[s] || harms(p.id)
			if l.g.settled[s] || l.g.unsure[s] || seen {
				continue
			}
			switch {
			case last:
				l.g.unsure[s], l.g.changed[s], amended = true, true, true
			case s.kind == layout.Blob:
				blobs = append(blobs, s)
			default:
				todo = append(todo, s)
			}
		}
	}
	if last {
		return amended, nil
	}
	links, err := l.links(ctx, todo, harmful)
	if err != nil {
		return false, err
	}
	manifests, err := l.manifests(ctx, blobs)
	return links || manifests, err
}

// links looks at links and repositories again. Of what harms a tag nothing is
// said while it may be a push or a delete that is half done.
func (l looker) links(ctx context.Context, spots []spot, harmful map[spot]bool) (amended bool, err error) {
	var looks []spot
	for _, s := range spots {
		gone, err := l.folder(ctx, s)
		if err != nil {
			return false, err
		}
		switch {
		case gone:
			amended = true
		case s.kind != 0:
			looks = append(looks, s)
		}
	}
	key := func(i int) string { return l.g.keyOf(looks[i]) }
	err = l.w.Look(ctx, len(looks), key, func(i int, look walker.Look) error {
		s := looks[i]
		switch {
		case look.Err != nil:
			l.g.unsure[s], amended = true, true
			l.g.fault(key(i), look.Err)
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

// folder looks at the folder of a repository that seems empty and of a tag
// that seems to have no current link: what is gone as a whole, or no longer
// empty, is in motion.
func (l looker) folder(ctx context.Context, s spot) (moved bool, err error) {
	r := &l.g.repos[s.repo]
	var found bool
	switch {
	case s.kind == 0:
		found, err = l.w.HasManifests(ctx, r.name)
		moved = found
	case s.kind == layout.TagCurrent && !r.tags[s.tag].current:
		found, err = l.w.Exists(ctx, layout.TagKey(r.name, r.tags[s.tag].name))
		moved = !found
	default:
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		l.g.unsure[s] = true
		l.g.fault(layout.RepositoryKey(r.name), err)
		return true, nil
	}
	if moved {
		l.g.unsure[s], l.g.changed[s] = true, true
	} else if s.kind == 0 {
		l.g.settled[s] = true
	}
	return moved, nil
}

// manifests reads again what seemed to be a corrupt manifest, or a listed one
// that wasn't found. Of other blobs nothing more is to be learnt: they were
// missing from the listing and at a direct look.
func (l looker) manifests(ctx context.Context, spots []spot) (amended bool, err error) {
	var read []spot
	for _, s := range spots {
		state := l.g.stateAt(s.id)
		if state == walker.ManifestCorrupt || state == walker.ManifestMissing && int(s.id) < l.g.len() {
			read = append(read, s)
		} else {
			l.g.settled[s] = true
		}
	}
	digest := func(i int) layout.Digest { return l.g.digestOf(read[i].id) }
	err = l.w.Manifests(ctx, len(read), digest, func(i int, m walker.Manifest) error {
		s := read[i]
		if m.State == walker.ManifestCorrupt && l.g.stateAt(s.id) == m.State {
			l.g.settled[s] = true
			return nil
		}
		l.g.changed[s], amended = true, true
		if m.State == walker.ManifestMissing { // listed, and gone
			l.g.unsure[s] = true
			return nil
		}
		l.g.addManifest(s.id, m)
		return nil
	})
	return amended, err
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
	if version, algorithm, ok := strings.Cut(k.Algorithm, "+"); ok && s.kind == layout.LayerLink {
		k.Kind, k.Algorithm = layout.Tarsum, algorithm
		k.Version = strings.TrimPrefix(version, "tarsum.")
	}
	return k.String()
}

// agrees tells whether a second look shows what the graph says.
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
		return r.tags[s.tag].target == g.idOf(look.Link.Target)
	}
	return o.state != walker.LinkMismatch || g.idOf(look.Link.Target) == o.target
}

// moving tells whether a link that is absent or invalid was to be written, or
// was removed, so shortly before that a push or a delete may be half done: a
// registry up to 3.0 truncates a link before it writes it, a push writes a tag's
// history before its current link, a delete removes a revision's link before
// the tags that mean it.
func (g *graph) moving(s spot, look walker.Look) bool {
	r := &g.repos[s.repo]
	switch {
	case !look.Absent:
		return look.Link.State == walker.LinkInvalid && look.Modified > g.motionAfter
	case s.kind == layout.Revision && !r.hasRevision(s.id):
		return g.emptied[path.Dir(g.keyOf(s))]
	case s.kind == layout.TagCurrent && !r.tags[s.tag].current:
		for _, h := range historyOf(r, s.tag) {
			if int64(h.modified)*1e9 > g.motionAfter {
				return true
			}
		}
		folder := layout.TagKey(r.name, r.tags[s.tag].name)
		return g.emptied[folder] || g.emptied[folder+"/current"]
	}
	return false
}

// knows tells whether the graph has the link.
func (g *graph) knows(r *repo, p place) bool {
	switch p.kind {
	case layout.Revision:
		return r.hasRevision(p.id)
	case layout.TagCurrent:
		return r.tags[p.tag].current
	case layout.TagHistory:
		return true
	}
	return r.hasLayer(p.id) || r.aliasOf(p.id) != nil
}

// amend takes in a link as a second look found it; false where the graph can't
// say it: a link that is gone.
func (g *graph) amend(s spot, look walker.Look) bool {
	r := &g.repos[s.repo]
	if look.Absent || r.aliasOf(s.id) != nil && s.kind == layout.LayerLink {
		return false
	}
	modified := look.Modified
	switch s.kind {
	case layout.Revision:
		r.addRevision(s.id, seconds(modified))
	case layout.TagCurrent:
		t := &r.tags[s.tag]
		t.current, t.target, t.modified = true, none, seconds(modified)
		if look.Link.State == walker.LinkGood {
			t.target = g.idOf(look.Link.Target)
		}
	case layout.LayerLink:
		r.addLayer(s.id, modified > g.youngAfter)
	}
	g.note(r, s.place, &look.Link)
	return true
}
