package graph

import (
	"context"
	"errors"
	"slices"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Heal is a blob that is missing or corrupt, and that a source has.
type Heal struct {
	Source int   // among Options.Sources
	Size   int64 // bytes that it has there
	Active bool  // a fix copies it, under the policy that was judged last
	Spare  bool  // it would, if it were told to copy what no tag is known to need too

	Node   *Manifest // of a manifest: as its bytes say that the source has, which are proven; else nil
	Stored Manifest  // of a manifest: as the store has it
}

// Healing is what is known of sources.
type Healing struct {
	Heals   map[uint32]*Heal  // by id
	Sought  Bitset            // by id: the sources were asked for it
	Unable  map[uint32]string // by id: why a source that may have it can't give it
	Unasked map[uint32]string // by id of what none gives: why nobody knows whether a source has it
	stated  map[uint32]int64  // by id of what isn't stored: the bytes that a manifest says it has
	Sources []string          // the names of Options.Sources
}

// IsHealed reports whether a fix copies the blob from a source.
func (h *Healing) IsHealed(id uint32) bool {
	is := h.Heals[id]
	return is != nil && is.Active
}

// IsSpare reports whether a source has the blob, and a fix leaves it there since no tag is
// known to need it.
func (h *Healing) IsSpare(id uint32) bool {
	is := h.Heals[id]
	return is != nil && is.Spare
}

// AskedSources returns the names of the sources: the store's own past is one where it
// has something, and the others were named.
func (h *Healing) AskedSources(o *Options) []string {
	if o.Past == nil {
		return h.Sources
	}
	for _, of := range h.Heals {
		if of.Source == 0 {
			return h.Sources
		}
	}
	return h.Sources[1:]
}

// StoredState is stateAt, of the store as it is.
func (g *Graph) StoredState(id uint32) walker.ManifestState {
	if h := g.Heals[id]; h != nil && h.Node != nil {
		return h.Stored.State
	}
	return g.StateAt(id)
}

// lackedAs is the kind of finding that a blob is which a source has.
func lackedAs(g *Graph, id uint32, h *Heal) finding.Kind {
	switch {
	case h.Node != nil && h.Stored.State == walker.ManifestCorrupt:
		return finding.ManifestCorrupt
	case h.Node != nil:
		return finding.ManifestMissing
	case g.Present(id):
		return finding.BlobCorrupt
	}
	return finding.BlobMissing
}

// ApplyHeals has the graph hold, of each manifest that a source has, what a fix makes of
// it: its bytes are known, whether or not they are stored so far. What isn't wanted, by
// its kind of finding and its key, is missing or corrupt as in the store, and so is,
// without all, what no tag is known to need; what it needs is known all the same.
//
// While sources are still asked, seeking, all counts as copied, so that what it needs is
// looked for too.
func (g *Graph) ApplyHeals(seeking, all bool, wanted func(kind finding.Kind, key string) bool) {
	var needed Bitset
	if len(g.Heals) > 0 && !seeking && !all {
		needed = neededByTags(g)
	}
	for id, h := range g.Heals {
		h.Active = seeking || wanted(lackedAs(g, id, h), g.BlobKey(id))
		h.Spare = h.Active && !seeking && !all && !needed.Has(id) && (h.Node == nil || !BrokenState(h.Node.State)) // what that needs is unknown
		h.Active = h.Active && !h.Spare
		if h.Node == nil {
			continue
		}
		n := *h.Node // what it needs is kept, also where nobody copies it
		if !h.Active {
			n.State = h.Stored.State
		}
		g.Nodes[g.NodeOf[id]-1], g.subjectsKnown = n, false
	}
}

// neededByTags returns, by id, what a tag needs: its manifest, or each that its history
// names where nobody knows which it means, with all that is kept with that.
func neededByTags(g *Graph) Bitset {
	needed := NewBitset(g.Len() + len(g.Unlisted))
	returning := map[uint32][]uint32{}
	for _, c := range g.Copies { // a tag that comes back needs it too
		returning[c.Repo] = append(returning[c.Repo], c.ID)
	}
	for i := range g.Repos {
		r := &g.Repos[i]
		targets := returning[uint32(i)]
		for t := range r.Tags {
			if to := r.Tags[t].Target; to != None {
				targets = append(targets, to, r.Resolve(to))
				continue
			}
			for _, h := range HistoryOf(r, uint32(t)) {
				targets = append(targets, h.ID)
			}
		}
		for id := range ReachableFrom(g, r, targets) {
			needed.Add(id)
			for _, to := range g.In(r, id).Needs {
				needed.Add(to)
			}
		}
	}
	return needed
}

// saidSizes returns how many bytes a blob may have, as far as anything says: what is
// stored, which rot leaves as long as it was, and what manifests state.
func saidSizes(g *Graph, id uint32) (sizes []int64) {
	if size, ok := g.stated[id]; ok && !g.Present(id) {
		sizes = append(sizes, size)
	}
	if g.Present(id) {
		sizes = append(sizes, g.SizeOf(id))
	}
	for i := range g.Suspects {
		if g.Suspects[i].ID == id {
			sizes = append(sizes, g.Suspects[i].Stated)
		}
	}
	return sizes
}

// Lack is a blob that the store lacks.
type Lack struct {
	ID       uint32
	Manifest bool   // it is to be a manifest
	By       uint32 // the repository that was seen to need it; None for none
	Legal    bool   // a store may lack it, and may have been made to: only From is asked, not Past
}

// sourceReader asks sources for what the store lacks, and has the graph know what they have.
type sourceReader struct {
	*Options
	manifests *manifestReader
	g         *Graph
	needing   map[uint32][]uint32 // by id of what sources were asked for: the repositories that need it

	PastUnread error // why nobody knows what the store and its runs keep of what it lacks
}

// findNeeding finds out which repositories need blobs: those that link them, or that name
// them by a tag, and those that were seen to.
func (s *sourceReader) findNeeding(ids []uint32, lacks []Lack) {
	if s.needing == nil {
		s.needing = map[uint32][]uint32{}
	}
	for i, id := range ids {
		s.needing[id] = nil
		if lacks[i].By != None {
			s.needing[id] = []uint32{lacks[i].By}
		}
	}
	for i := range s.g.Repos {
		repo := uint32(i)
		s.g.Repos[i].Named(func(id uint32) {
			all, asked := s.needing[id]
			if asked && !slices.Contains(all, repo) {
				s.needing[id] = append(all, repo)
			}
		})
	}
}

// asked is a blob as sources are asked for it.
func (s *sourceReader) asked(id uint32, d layout.AnyDigest) source.Blob {
	b := source.Blob{Digest: d}
	for _, repo := range s.needing[id] {
		b.Repositories = append(b.Repositories, s.g.Repos[repo].Name)
	}
	return b
}

// AskedFor returns a blob as the sources were asked for it.
func (s *sourceReader) AskedFor(d layout.AnyDigest) source.Blob {
	id := s.g.KnownIDOf(d.String())
	if id == None {
		return source.Blob{Digest: d}
	}
	b := s.asked(id, d)
	if h := s.g.Heals[id]; h != nil {
		b.Manifest = h.Node != nil
	}
	return b
}

// leaveUnasked notes that nobody knows whether a source has a blob. What a manifest needs
// that could be healed is unknown then: all is kept.
func leaveUnasked(g *Graph, id uint32, why error) {
	g.Unasked[id] = "it may be where nobody could look: " + why.Error() + "; make that readable, or leave it out (see the topic heal)"
	for i := range g.Repos {
		g.Repos[i].Pinned = true
	}
}

// ReadFromSources asks the sources for blobs, and reports whether the store has to be
// judged again by what they say. Of a manifest that they have, what it names is looked
// for in the store: it may be missing too.
func (s *sourceReader) ReadFromSources(ctx context.Context, lacks []Lack) (found bool, err error) {
	g := s.g
	ids := make([]uint32, len(lacks))
	for i := range lacks {
		ids[i] = lacks[i].ID
	}
	digest := g.digests(ids)
	s.findNeeding(ids, lacks)
	wanted := make([]source.Wanted, len(ids)) // what is found changes what they are made from
	for i := range wanted {
		w := source.Wanted{Blob: s.asked(ids[i], digest(i)), Sizes: saidSizes(g, ids[i])}
		if lacks[i].Manifest {
			w.Sizes, w.Manifest, w.Most = nil, true, manifest.MaxSize
		}
		if lacks[i].Legal && s.Past != nil {
			w.From = 1
		}
		wanted[i] = w
	}
	var read []uint32
	err = source.Find(ctx, s.Sources(), len(ids), func(i int) source.Wanted { return wanted[i] }, func(i int, f source.Found) error {
		id := ids[i]
		var failures []error
		for _, err := range f.Errs {
			if errors.Is(err, source.ErrUnseen) {
				s.PastUnread = err
			} else {
				failures = append(failures, err)
			}
		}
		if len(failures) > 0 {
			g.Unable[id] = backend.Join(failures...).Error()
		}
		if f.Source < 0 {
			if len(f.Unasked) > 0 {
				leaveUnasked(g, id, backend.Join(f.Unasked...))
				found = true
			}
			return nil
		}
		h := &Heal{Source: f.Source, Size: f.Size}
		if lacks[i].Manifest {
			parseHealed(g, id, h, f.Body)
			read = append(read, id)
		}
		g.Heals[id], found = h, true
		return nil
	})
	if err != nil || len(read) == 0 {
		return found, err
	}
	slices.Sort(read)
	return found, s.manifests.readWaves(ctx, childrenOf(g, read))
}

// parseHealed adds a manifest of which a source has the bytes. They hash to its
// digest.
func parseHealed(g *Graph, id uint32, h *Heal, body []byte) {
	h.Stored = g.Nodes[g.place(id, g.Len())]
	if h.Stored.State == walker.ManifestUnread {
		h.Stored = Manifest{ID: id, State: walker.ManifestMissing}
	}
	m := walker.Manifest{State: walker.ManifestGood, Size: int64(len(body))}
	if m.Manifest, m.Err = manifest.Parse(body, nil); m.Err != nil {
		m.State = walker.ManifestUnparsable
	}
	Builder{g}.addNode(id, m)
	n := g.Nodes[g.NodeOf[id]-1]
	h.Node = &n
}
