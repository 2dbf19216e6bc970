package graph

import (
	"context"
	"slices"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// heal is a blob that is missing or corrupt, and that a source has.
type heal struct {
	source int   // among Options.From
	size   int64 // bytes that it has there
	active bool  // a fix copies it, under the policy that was judged last

	node   *node // of a manifest: as its bytes say that the source has, which are proven; else nil
	stored node  // of a manifest: as the store has it
}

// healing is what is known of sources.
type healing struct {
	heals  map[uint32]*heal  // by id
	sought bitset            // by id: the sources were asked for it
	unable map[uint32]string // by id: why a source that may have it can't give it
	stated map[uint32]int64  // by id of what isn't stored: the bytes that a manifest says it has
	from   []string          // the names of the sources
}

// isHealed reports whether a fix copies the blob from a source.
func (g *graph) isHealed(id uint32) bool {
	h := g.heals[id]
	return h != nil && h.active
}

// storedState is stateAt, of the store as it is.
func (g *graph) storedState(id uint32) walker.ManifestState {
	if h := g.heals[id]; h != nil && h.node != nil {
		return h.stored.state
	}
	return g.stateAt(id)
}

// lackedAs is the kind of finding that a blob is which a source has.
func (g *graph) lackedAs(id uint32, h *heal) finding.Kind {
	switch {
	case h.node != nil && h.stored.state == walker.ManifestCorrupt:
		return finding.ManifestCorrupt
	case h.node != nil:
		return finding.ManifestMissing
	case g.present(id):
		return finding.BlobCorrupt
	}
	return finding.BlobMissing
}

// applyHeals has the graph hold, of each manifest that a source has, what a fix under
// the policy makes of it: its bytes are known, whether or not they are stored so far.
// What the policy leaves alone, and what it keeps since it could not be copied, is as the
// store has it.
func (g *graph) applyHeals(p *Policy) {
	for id, h := range g.heals {
		h.active = p.Removal == nil && !p.Leaves(g.lackedAs(id, h)) && !p.Keep[g.blobKey(id)]
		if h.node == nil {
			continue
		}
		n := h.stored
		if h.active {
			n = *h.node
		}
		g.nodes[g.nodeOf[id]-1], g.subjectsKnown = n, false
	}
}

// statedSize returns how many bytes a manifest says that a blob has; below 0 where none
// does, or where several disagree.
func (g *graph) statedSize(id uint32) int64 {
	if !g.present(id) {
		if size, ok := g.stated[id]; ok {
			return size
		}
		return -1
	}
	for i := range g.suspects {
		if g.suspects[i].id == id {
			return g.suspects[i].stated
		}
	}
	return -1
}

// readFromSources asks the sources for blobs, of which some are to be manifests, and
// reports whether they have any. Of a manifest that they have, what it names is looked
// for in the store: it may be missing too.
func (c *Scan) readFromSources(ctx context.Context, ids []uint32, manifests map[uint32]bool) (found bool, err error) {
	g := c.g
	digest := g.digests(ids)
	wanted := func(i int) source.Wanted {
		w := source.Wanted{Digest: digest(i), Size: g.statedSize(ids[i])}
		if manifests[ids[i]] {
			w.Size, w.Most = -1, manifest.MaxSize
		}
		return w
	}
	var read []uint32
	err = source.Find(ctx, c.From, len(ids), wanted, func(i int, f source.Found) error {
		id := ids[i]
		if len(f.Errs) > 0 {
			g.unable[id] = backend.Join(f.Errs...).Error()
		}
		if f.Source < 0 {
			return nil
		}
		h := &heal{source: f.Source, size: f.Size}
		if manifests[id] {
			g.parseHealed(id, h, f.Body)
			read = append(read, id)
		}
		g.heals[id], found = h, true
		return nil
	})
	if err != nil || len(read) == 0 {
		return found, err
	}
	slices.Sort(read)
	return found, c.readWaves(ctx, g.childrenOf(read))
}

// parseHealed takes in the bytes of a manifest that a source has. They hash to its
// digest.
func (g *graph) parseHealed(id uint32, h *heal, body []byte) {
	h.stored = g.nodes[g.place(id)]
	if h.stored.state == walker.ManifestUnread {
		h.stored = node{id: id, state: walker.ManifestMissing}
	}
	m := walker.Manifest{State: walker.ManifestGood, Size: int64(len(body))}
	if m.Manifest, m.Err = manifest.Parse(body, nil); m.Err != nil {
		m.State = walker.ManifestUnparsable
	}
	g.addNode(id, m)
	n := g.nodes[g.nodeOf[id]-1]
	h.node = &n
}
