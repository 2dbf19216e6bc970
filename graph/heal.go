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

// Heal is a missing or corrupt blob that a source has.
type Heal struct {
	Source int   // index in Options.Sources
	Size   int64 // its bytes there
	Active bool  // a fix copies it, under the last policy
	Spare  bool  // a fix would copy it only with HealAll

	Node   *Manifest // of a manifest: parsed from the source's verified bytes; else nil
	Stored Manifest  // of a manifest: as the store has it
}

// Healing is what sources have.
type Healing struct {
	Heals   map[uint32]*Heal  // by id
	Sought  Bitset            // by id: the sources were asked for it
	Unable  map[uint32]string // by id: why a source that may have it can't return it
	Unasked map[uint32]string // by id of a blob that no source returned: why it is unknown whether one has it
	stated  map[uint32]int64  // by id of a blob that isn't stored: its size, by a manifest
	Sources []string          // the names of Options.Sources
}

// IsHealed reports whether a fix copies the blob from a source.
func (h *Healing) IsHealed(id uint32) bool {
	is := h.Heals[id]
	return is != nil && is.Active
}

// IsSpare reports whether a source has the blob but a fix doesn't copy it, since no tag is
// known to need it.
func (h *Healing) IsSpare(id uint32) bool {
	is := h.Heals[id]
	return is != nil && is.Spare
}

// AskedSources returns the names of the sources; the store's own past counts only if it has
// something.
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

// StoredState is StateAt for the store without healing.
func (g *Graph) StoredState(id uint32) walker.ManifestState {
	if h := g.Heals[id]; h != nil && h.Node != nil {
		return h.Stored.State
	}
	return g.StateAt(id)
}

// lackedAs returns the kind of finding of a blob that a source has.
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

// ApplyHeals sets each manifest that a source has to its state after a fix: its references
// are known, whether it is copied or not. A blob that isn't wanted, by kind of finding and
// key, remains missing or corrupt; so does, without all, a blob that no tag is known to need.
//
// While sources are being asked, with seeking, all counts as copied, so that their references
// are sought too.
func (g *Graph) ApplyHeals(seeking, all bool, wanted func(kind finding.Kind, key string) bool) {
	var needed Bitset
	if len(g.Heals) > 0 && !seeking && !all {
		needed = neededByTags(g)
	}
	for id, h := range g.Heals {
		h.Active = seeking || wanted(lackedAs(g, id, h), g.BlobKey(id))
		h.Spare = h.Active && !seeking && !all && !needed.Has(id) && (h.Node == nil || !BrokenState(h.Node.State)) // its references are unknown
		h.Active = h.Active && !h.Spare
		if h.Node == nil {
			continue
		}
		n := *h.Node // its references are kept, even if it isn't copied
		if !h.Active {
			n.State = h.Stored.State
		}
		g.Nodes[g.NodeOf[id]-1], g.subjectsKnown = n, false
	}
}

// neededByTags returns, by id, what tags need: the target, or all targets in the history of
// an ambiguous tag, with all that is kept with them.
func neededByTags(g *Graph) Bitset {
	needed := NewBitset(g.Len() + len(g.Unlisted))
	returning := map[uint32][]uint32{}
	for _, c := range g.Copies { // a restored tag needs it too
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

// statedSizes returns the sizes that a blob may have: that of the stored bytes, since
// corruption rarely changes it, and those that manifests state.
func statedSizes(g *Graph, id uint32) (sizes []int64) {
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
	Manifest bool   // as a manifest
	By       uint32 // a repository that needs it; None for none
	Legal    bool   // its absence is legal: only From is asked, not Past
}

// sourceReader asks sources for what the store lacks, and adds the results to the graph.
type sourceReader struct {
	*Options
	manifests *manifestReader
	g         *Graph
	needing   map[uint32][]uint32 // by id of a blob that was asked for: the repositories that need it

	PastUnread error // why it is unknown what the store and its runs keep
}

// findNeeding finds the repositories that need blobs: those with a link, a tag, or a lack.
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

// asked returns the request for a blob.
func (s *sourceReader) asked(id uint32, d layout.AnyDigest) source.Blob {
	b := source.Blob{Digest: d}
	for _, repo := range s.needing[id] {
		b.Repositories = append(b.Repositories, s.g.Repos[repo].Name)
	}
	return b
}

// AskedFor returns the request for a blob that was sent to the sources.
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

// leaveUnasked records that it is unknown whether a source has a blob. If it may be a
// manifest, its references are unknown, so all is kept.
func leaveUnasked(g *Graph, id uint32, why error) {
	g.Unasked[id] = "it may be in a place that could not be read: " + why.Error() + "; make that readable, or leave it out (see the topic heal)"
	for i := range g.Repos {
		g.Repos[i].Pinned = true
	}
}

// ReadFromSources asks the sources for blobs, and reports whether the store must be judged
// again. The references of a manifest in a source are looked up in the store, since they may
// be missing too.
func (s *sourceReader) ReadFromSources(ctx context.Context, lacks []Lack) (found bool, err error) {
	g := s.g
	ids := make([]uint32, len(lacks))
	for i := range lacks {
		ids[i] = lacks[i].ID
	}
	digest := g.digests(ids)
	s.findNeeding(ids, lacks)
	wanted := make([]source.Wanted, len(ids)) // results change the requests
	for i := range wanted {
		w := source.Wanted{Blob: s.asked(ids[i], digest(i)), Sizes: statedSizes(g, ids[i])}
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

// parseHealed adds a manifest that a source has. body hashes to its digest.
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
