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
	g, from := c.Graph, len(c.Graph.Nodes)
	var ids []uint32
	g.unneededLayers(func(_ *Repository, id uint32) {
		if g.NodeAt(id) == nil && g.layerRead.Add(id) {
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
	for i := range g.Repos {
		g.Repos[i].LayerManifests, g.Repos[i].LayersUnread = nil, nil
	}
	g.unneededLayers(func(r *Repository, id uint32) {
		switch g.StateAt(id) {
		case walker.ManifestGood:
			r.LayerManifests = append(r.LayerManifests, id)
		case walker.ManifestArchived:
			r.LayersUnread = append(r.LayersUnread, id)
		}
	})
	return g.children(from), nil
}

// readAsManifests takes in those of the blobs that are manifests, or can't be read,
// and returns those that seem to be corrupt or gone, which has to be seen twice. What
// is listed and not found then, or isn't what it was before, is in motion.
func (c *Scan) readAsManifests(ctx context.Context, w *walker.Walker, ids []uint32) (doubtful []uint32, err error) {
	g, again := c.Graph, w != c.w
	err = w.Manifests(ctx, len(ids), g.digests(ids), func(i int, m walker.Manifest) error {
		if again && m.State != walker.ManifestCorrupt {
			g.Changed[Ref{None, Link{Kind: layout.Blob, ID: ids[i]}}] = true
		}
		switch m.State { // of any other nobody can say that it ever was a manifest
		case walker.ManifestGood, walker.ManifestUnreadable, walker.ManifestArchived:
			Builder{g}.AddManifest(ids[i], m)
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
func (g *Graph) unneededLayers(each func(r *Repository, id uint32)) {
	needed := make([]uint32, g.Len()+len(g.Unlisted)) // by id: a repository's index plus one
	followed := make([]uint32, len(g.Nodes))
	for i := range g.Repos {
		r, mark := &g.Repos[i], uint32(i)+1
		if len(r.Layers) == 0 {
			continue
		}
		var todo []uint32
		for _, v := range r.Revisions {
			todo = append(todo, v.ID)
		}
		for t := range r.Tags {
			if r.Tags[t].Target != None {
				todo = append(todo, r.Tags[t].Target)
			}
		}
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if n := g.NodeAt(id); n == nil || followed[g.NodeOf[id]-1] == mark {
				continue
			}
			followed[g.NodeOf[id]-1] = mark
			for e, id := range g.In(r, id).Needs {
				if e.IsEntry() {
					todo = append(todo, id)
				}
				if e.Role() != manifest.Child && e.Role() != manifest.Claimed {
					needed[id] = mark
				}
			}
		}
		for _, l := range r.Layers {
			id := l.ID()
			if needed[id] != mark && g.Present(id) && g.SizeOf(id) > 0 && g.SizeOf(id) <= manifest.MaxSize && !r.HasRevision(id) {
				each(r, id)
			}
		}
	}
}

// IsLayerManifest reports whether the repository has the manifest by a layer
// link.
func (r *Repository) IsLayerManifest(id uint32) bool {
	_, ok := slices.BinarySearch(r.LayerManifests, id)
	return ok
}

// Serves reports whether the repository has a manifest, by whichever link.
func (r *Repository) Serves(id uint32) bool { return r.HasRevision(id) || r.IsLayerManifest(id) }

// Manifests are the repository's revisions, and the manifests that it has by a
// layer link, whose times nobody knows but for their youth.
func (r *Repository) Manifests() iter.Seq[Revision] {
	return func(yield func(Revision) bool) {
		for _, v := range r.Revisions {
			if !yield(v) {
				return
			}
		}
		for _, id := range r.LayerManifests {
			if !yield(Revision{ID: id}) {
				return
			}
		}
	}
}

// LinkTo returns the place of the link by which the repository has a manifest.
func (r *Repository) LinkTo(id uint32) Link {
	if r.IsLayerManifest(id) {
		return Link{Kind: layout.LayerLink, ID: id}
	}
	return Link{Kind: layout.Revision, ID: id}
}
