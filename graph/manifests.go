package graph

import (
	"context"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// manifestReader reads into a graph the manifests that links refer to, and their children.
type manifestReader struct {
	*phases
	g *Graph
	w *walker.Walker
}

// readAll reads every linked manifest, then children until there are no new ones. It looks up
// the blobs that they refer to and the listing lacked.
func (r *manifestReader) readAll(ctx context.Context) error {
	return r.readWaves(ctx, linkedManifests(r.g))
}

// readWaves is readAll from a wave of ids.
func (r *manifestReader) readWaves(ctx context.Context, wave []uint32) error {
	for {
		if len(wave) == 0 {
			var err error
			if wave, err = r.readLayerManifests(ctx); err != nil {
				return err
			}
			if len(wave) == 0 {
				break
			}
		}
		r.more(int64(len(wave)), "manifests")
		from := len(r.g.Nodes)
		err := r.w.Manifests(ctx, len(wave), r.g.digests(wave), func(i int, m walker.Manifest) error {
			Builder{r.g}.AddManifest(wave[i], m)
			r.add(1)
			return nil
		})
		if err == nil {
			err = r.again(ctx, wave)
		}
		if err != nil {
			return err
		}
		wave = childrenFrom(r.g, from)
	}
	look := rechecker{g: r.g, w: r.w}
	if err := look.archives(ctx); err != nil {
		return err
	}
	return look.blobs(ctx)
}

// again reads once more what seemed to be corrupt, or was listed and not found. What is
// listed and not found twice is being changed.
func (r *manifestReader) again(ctx context.Context, wave []uint32) error {
	g := r.g
	doubtful := slices.DeleteFunc(slices.Clone(wave), func(id uint32) bool {
		state := g.StateAt(id)
		return state != walker.ManifestCorrupt && (state != walker.ManifestMissing || int(id) >= g.Len())
	})
	w := *r.w
	w.Cache = nil
	return w.Manifests(ctx, len(doubtful), g.digests(doubtful), func(i int, m walker.Manifest) error {
		id := doubtful[i]
		if m.State != walker.ManifestCorrupt || g.StateAt(id) != m.State {
			g.Changed[Ref{None, Link{Kind: layout.Blob, ID: id}}] = true
			Builder{g}.AddManifest(id, m)
		}
		return nil
	})
}

// linkedManifests returns the ids of linked manifests that weren't read, in ascending order.
func linkedManifests(g *Graph) []uint32 {
	w := wanting{g: g}
	for i := range g.Repos {
		r := &g.Repos[i]
		for _, v := range r.Revisions {
			w.want(v.ID)
		}
		for id := range r.Targets {
			w.want(id)
		}
		for _, h := range r.History {
			if target := r.Tags[h.Tag].Target; target == None || !r.HasRevision(target) { // an ambiguous tag
				w.want(h.ID)
			}
		}
		for p, o := range r.Bad {
			if p.Kind != layout.LayerLink && o.Target != None {
				w.want(o.Target)
			}
		}
		for _, id := range r.NamedBefore {
			w.want(id)
		}
	}
	for i := range g.Copies {
		w.want(g.Copies[i].ID)
	}
	return w.sorted()
}

// childrenFrom returns the ids of the children of the nodes from on that weren't read. Blobs
// that are too large for a manifest, and whose type isn't a manifest's, are left out.
func childrenFrom(g *Graph, from int) []uint32 {
	ids := make([]uint32, 0, len(g.Nodes)-from)
	for i := from; i < len(g.Nodes); i++ {
		ids = append(ids, g.Nodes[i].ID)
	}
	return childrenOf(g, ids)
}

// childrenOf is childrenFrom for the manifests with those ids.
func childrenOf(g *Graph, ids []uint32) []uint32 {
	w := wanting{g: g}
	foreign := map[uint32]bool{}
	for _, id := range ids {
		for e := range g.In(nil, id).References {
			switch e.Role() {
			case manifest.Child:
				w.want(e.ID())
			case manifest.Either:
				w.wantSmall(e.ID())
			default:
				continue
			}
			if g.IsForeign(e.ID()) {
				foreign[e.ID()] = true
			}
		}
	}
	if len(foreign) > 0 {
		w.wantAliased(foreign)
	}
	return w.sorted()
}

// wantSmall adds an id if its size may be a manifest's.
func (w *wanting) wantSmall(id uint32) {
	if !w.g.Present(id) || w.g.SizeOf(id) <= manifest.MaxSize {
		w.want(id)
	}
}

// wantAliased adds the targets of aliases in any repository.
func (w *wanting) wantAliased(foreign map[uint32]bool) {
	for i := range w.g.Repos {
		for _, a := range w.g.Repos[i].Aliases {
			if foreign[a.ID] && a.Target != None {
				w.wantSmall(a.Target)
			}
		}
	}
}

// wanting collects ids, each once.
type wanting struct {
	g    *Graph
	seen Bitset
	ids  []uint32
}

func (w *wanting) want(id uint32) {
	if !w.g.isTarsum(id) && w.g.NodeAt(id) == nil && w.seen.Add(id) {
		w.ids = append(w.ids, id)
	}
}

func (w *wanting) sorted() []uint32 {
	slices.Sort(w.ids)
	return w.ids
}

// Registry 2.1.0 linked manifests below _layers, and every 2.x serves them from there. Such a
// layer link is a revision: its blob is a manifest, the repository has no revision link for
// it, and no manifest of the repository refers to it as a blob.

// readLayerManifests reads the targets of layer links that no manifest of the repository
// needs, each once, if they are small enough for a manifest. It returns the children of those
// that are manifests.
func (r *manifestReader) readLayerManifests(ctx context.Context) ([]uint32, error) {
	g, from := r.g, len(r.g.Nodes)
	var ids []uint32
	unneededLayers(g, func(_ *Repository, id uint32) {
		if g.NodeAt(id) == nil && g.layerRead.Add(id) {
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	r.more(int64(len(ids)), "manifests")
	doubtful, err := r.readAsManifests(ctx, r.w, ids)
	if err == nil {
		w := *r.w
		w.Cache = nil
		_, err = r.readAsManifests(ctx, &w, doubtful)
	}
	if err != nil {
		return nil, err
	}
	for i := range g.Repos {
		g.Repos[i].LayerManifests, g.Repos[i].LayersUnread = nil, nil
	}
	unneededLayers(g, func(r *Repository, id uint32) {
		switch g.StateAt(id) {
		case walker.ManifestGood:
			r.LayerManifests = append(r.LayerManifests, id)
		case walker.ManifestArchived:
			r.LayersUnread = append(r.LayersUnread, id)
		}
	})
	return childrenFrom(g, from), nil
}

// readAsManifests adds those blobs that are manifests, or can't be read, and returns those
// that seem corrupt or missing, which must be read twice. What is missing or different at the
// second time is being changed.
func (r *manifestReader) readAsManifests(ctx context.Context, w *walker.Walker, ids []uint32) (doubtful []uint32, err error) {
	g, again := r.g, w != r.w
	err = w.Manifests(ctx, len(ids), g.digests(ids), func(i int, m walker.Manifest) error {
		if again && m.State != walker.ManifestCorrupt {
			g.Changed[Ref{None, Link{Kind: layout.Blob, ID: ids[i]}}] = true
		}
		switch m.State { // others may never have been manifests
		case walker.ManifestGood, walker.ManifestUnreadable, walker.ManifestArchived:
			Builder{g}.AddManifest(ids[i], m)
		case walker.ManifestMissing, walker.ManifestCorrupt:
			doubtful = append(doubtful, ids[i])
		}
		if !again {
			r.add(1)
		}
		return nil
	})
	return doubtful, err
}

// unneededLayers calls each with the layer links that may be a manifest's, by repository and
// id.
func unneededLayers(g *Graph, each func(r *Repository, id uint32)) {
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
		todo = slices.AppendSeq(todo, r.Targets)
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

// ReadInline searches manifests for the bytes of missing blobs, and reports whether it found
// any. Only bytes that hash to the digest count.
func (r *manifestReader) ReadInline(ctx context.Context, carriers []uint32, lacking map[uint32]bool) (found bool, err error) {
	g := r.g
	err = r.w.Inline(ctx, len(carriers), g.digests(carriers), func(i int, all []manifest.Inline) error {
		delete(g.Carriers, carriers[i])
		for _, in := range all {
			if id := g.idOfAny(in.Digest); lacking[id] {
				g.inline[id], found = string(in.Data), true
			}
		}
		return nil
	})
	return found, err
}

// readOrphans reads blobs that may be manifests, and their children, and keeps the manifests.
// It reports whether it read any for the first time.
func (r *manifestReader) readOrphans(ctx context.Context, ids []uint32) (read bool, err error) {
	g := r.g
	fresh := func(ids []uint32) []uint32 {
		return slices.DeleteFunc(ids, func(id uint32) bool { return !g.orphanRead.Add(id) })
	}
	for ids = fresh(ids); len(ids) > 0; {
		from := len(g.Nodes)
		r.more(int64(len(ids)), "manifests")
		err := r.w.Manifests(ctx, len(ids), g.digests(ids), func(i int, m walker.Manifest) error {
			if m.State == walker.ManifestGood { // others may never have been manifests
				Builder{g}.AddManifest(ids[i], m)
			}
			r.shown.Add(1)
			return nil
		})
		if err != nil {
			return true, err
		}
		read = read || len(g.Nodes) > from
		ids = fresh(childrenFrom(g, from))
	}
	if !read {
		return false, nil
	}
	look := rechecker{g: g, w: r.w}
	return true, look.blobs(ctx)
}
