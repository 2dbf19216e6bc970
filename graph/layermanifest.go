package graph

import (
	"context"
	"iter"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Registry 2.1.0 linked manifests under _layers, and every 2.x serves them from
// there. Such a layer link is a revision: its blob is a manifest, the repository
// has no revision link for it, and no manifest of the repository refers to it as
// a blob.

// readLayerManifests reads what layer links name that no manifest of their
// repository needs, each blob once, where it is small enough for a manifest. It
// returns what the manifests among them name and wasn't read yet.
func (c *Scan) readLayerManifests(ctx context.Context) ([]uint32, error) {
	g, from := c.g, len(c.g.nodes)
	var ids []uint32
	g.unneededLayers(func(_ *repo, id uint32) {
		if g.nodeAt(id) == nil && g.layerRead.add(id) {
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	c.more(int64(len(ids)), "manifests")
	doubtful, err := c.readAsManifests(ctx, c.w, ids)
	if err == nil {
		w := *c.w
		w.Cache = nil
		_, err = c.readAsManifests(ctx, &w, doubtful)
	}
	if err != nil {
		return nil, err
	}
	for i := range g.repos {
		g.repos[i].layerManifests, g.repos[i].layersUnread = nil, nil
	}
	g.unneededLayers(func(r *repo, id uint32) {
		switch g.stateAt(id) {
		case walker.ManifestGood:
			r.layerManifests = append(r.layerManifests, id)
		case walker.ManifestArchived:
			r.layersUnread = append(r.layersUnread, id)
		}
	})
	return g.children(from), nil
}

// readAsManifests takes in those of the blobs that are manifests, or can't be read,
// and returns those that seem to be corrupt or gone, which has to be seen twice. What
// is listed and not found then, or isn't what it was before, is in motion.
func (c *Scan) readAsManifests(ctx context.Context, w *walker.Walker, ids []uint32) (doubtful []uint32, err error) {
	g, again := c.g, w != c.w
	err = w.Manifests(ctx, len(ids), g.digests(ids), func(i int, m walker.Manifest) error {
		if again && m.State != walker.ManifestCorrupt {
			g.changed[spot{none, place{kind: layout.Blob, id: ids[i]}}] = true
		}
		switch m.State { // of any other nobody can say that it ever was a manifest
		case walker.ManifestGood, walker.ManifestUnreadable, walker.ManifestArchived:
			g.addManifest(ids[i], m)
		case walker.ManifestMissing, walker.ManifestCorrupt:
			doubtful = append(doubtful, ids[i])
		}
		if !again {
			c.add(1)
		}
		return nil
	})
	return doubtful, err
}

// unneededLayers calls each with the layer links that may be a manifest's, by
// repository and id.
func (g *graph) unneededLayers(each func(r *repo, id uint32)) {
	needed := make([]uint32, g.len()+len(g.past)) // by id: a repository's index plus one
	followed := make([]uint32, len(g.nodes))
	for i := range g.repos {
		r, mark := &g.repos[i], uint32(i)+1
		if len(r.layers) == 0 {
			continue
		}
		var todo []uint32
		for _, v := range r.revisions {
			todo = append(todo, v.id)
		}
		for t := range r.tags {
			if r.tags[t].target != none {
				todo = append(todo, r.tags[t].target)
			}
		}
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if n := g.nodeAt(id); n == nil || followed[g.nodeOf[id]-1] == mark {
				continue
			}
			followed[g.nodeOf[id]-1] = mark
			for e, id := range g.in(r, id).needs {
				if e.isEntry() {
					todo = append(todo, id)
				}
				if e.role() != manifest.Child && e.role() != manifest.Claimed {
					needed[id] = mark
				}
			}
		}
		for _, l := range r.layers {
			id := l.id()
			if needed[id] != mark && g.present(id) && g.sizeOf(id) > 0 && g.sizeOf(id) <= manifest.MaxSize && !r.hasRevision(id) {
				each(r, id)
			}
		}
	}
}

// isLayerManifest reports whether the repository has the manifest by a layer
// link.
func (r *repo) isLayerManifest(id uint32) bool {
	_, ok := slices.BinarySearch(r.layerManifests, id)
	return ok
}

// serves reports whether the repository has a manifest, by whichever link.
func (r *repo) serves(id uint32) bool { return r.hasRevision(id) || r.isLayerManifest(id) }

// manifests are the repository's revisions, and the manifests that it has by a
// layer link, whose times nobody knows but for their youth.
func (r *repo) manifests() iter.Seq[revision] {
	return func(yield func(revision) bool) {
		for _, v := range r.revisions {
			if !yield(v) {
				return
			}
		}
		for _, id := range r.layerManifests {
			if !yield(revision{id: id}) {
				return
			}
		}
	}
}

// placeOf returns the place of the link by which the repository has a manifest.
func (r *repo) placeOf(id uint32) place {
	if r.isLayerManifest(id) {
		return place{kind: layout.LayerLink, id: id}
	}
	return place{kind: layout.Revision, id: id}
}
