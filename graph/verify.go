package graph

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"regfsck/backend"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/ledger"
)

// Verify says whose bytes are hashed besides those of all manifests: at most one of
// these. With a Ledger, only what that doesn't know to be right is, and always what it
// knows to be wrong.
type Verify struct {
	All     bool
	Percent float64     // of the blobs, the same ones each time
	Part    ledger.Part // the blobs of this part of all digests; N is 0 for none
	Budget  int64       // the blobs that were hashed longest ago, or never, up to so many bytes, and one at least; 0 for none
	Missing bool        // all that the Ledger doesn't know to be right
}

// Amount is a number of blobs.
type Amount struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

func (a *Amount) add(bytes int64) {
	a.Blobs++
	a.Bytes += bytes
}

// Proofs is how many blobs are what their digests name, and how that is known.
type Proofs struct {
	Hashed    Amount // by this run
	Known     Amount // hashed by earlier runs, or by others, and the same since
	Manifests Amount // read as manifests, which are hashed each time
	Wrong     Amount // hashed by this run, and not what their digests name
	Unproven  Amount // all others
	All       bool   // all are to be proven: see Options.Prove
}

// Hashing is what came of hashing blobs alone.
type Hashing struct {
	Phases []Phase
	Listed Amount  // all blobs of the store
	Part   Amount  // those that were to be proven
	Proofs Proofs  // of these
	Wrong  []Blob  // of these, in the order of their keys
	Unread []Fault // what could not be listed or read, likewise
}

// Blob is one blob.
type Blob struct {
	Key   string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// Fault is what could not be listed or read, and why.
type Fault struct {
	Key string `json:"path"`
	Why string `json:"detail"`
}

// HashOnly lists a store's blobs and hashes those of the part o.Verify.Part, as far as
// o.Ledger doesn't know them to be right. What they are needed for isn't read. An error is
// as that of Read.
func HashOnly(ctx context.Context, r backend.Reader, o Options) (*Hashing, error) {
	c := newScan(r, o)
	err := c.through(ctx, []step{{"blobs", "blobs", c.listBlobs}, {"verify", "bytes", c.verify}})
	h := &Hashing{Phases: c.Phases()}
	g := c.Graph
	for id := range uint32(g.Len()) {
		h.Listed.add(g.Sizes[id])
		if !c.hashing.sampled(id) {
			continue
		}
		h.Part.add(g.Sizes[id])
		c.hashing.prove(id, &h.Proofs)
		switch bad := g.BadHashes[id]; bad.State {
		case walker.HashWrong:
			h.Wrong = append(h.Wrong, Blob{g.BlobKey(id), g.Sizes[id]})
		case walker.HashUnreadable:
			h.Unread = append(h.Unread, Fault{g.BlobKey(id), bad.Err.Error()})
		}
	}
	for _, f := range g.Faults {
		h.Unread = append(h.Unread, Fault{f.Key, f.Err.Error()})
	}
	slices.SortFunc(h.Unread, func(a, b Fault) int { return cmp.Compare(a.Key, b.Key) })
	return h, err
}

// remember tells the Ledger of listed blobs. It knows those with a sha256 digest.
func (h *hashing) remember(blobs []walker.Blob) {
	records := make([]ledger.Record, 0, len(blobs))
	for _, b := range blobs {
		if b.Other == "" {
			records = append(records, ledger.Record{Digest: b.Digest, Size: b.Size, Modified: b.Modified, Stamp: b.Stamp})
		}
	}
	h.Ledger.AddListed(records)
}

// hashing hashes blobs, and knows which are proven to be what their digests name.
type hashing struct {
	*phases
	*Options
	g *Graph
	w *walker.Walker

	stopped  bool   // ctx has ended before all blobs were hashed: with Options.Partial
	Unhashed Amount // which were left then
	Proofs   Proofs // which blobs are what their digests name; only with a Ledger
}

// verify hashes the blobs that were asked for, and always those whose size
// can't be right: another than a descriptor states, or none at all; each once.
// What seems to be wrong is hashed once more before it is believed.
func (h *hashing) verify(ctx context.Context) error {
	if h.stopped {
		return nil
	}
	g := h.g
	sortSuspects(g)
	var ids []uint32
	want := func(id uint32) {
		if g.IsArchived(id) {
			return
		}
		switch g.StateAt(id) {
		case walker.ManifestGood, walker.ManifestUnparsable, walker.ManifestCorrupt: // hashed when it was read
		default:
			if g.Provable(id) && g.Hashed.Add(id) {
				ids = append(ids, id)
			}
		}
	}
	for _, m := range g.Suspects {
		want(m.ID)
	}
	for id := range uint32(g.Len()) {
		if g.Sizes[id] == 0 && g.digest(id) != layout.Empty || h.chosen(id) {
			want(id)
		}
	}
	for _, id := range h.longestUnproven() {
		want(id)
	}
	wrong, err := h.hash(ctx, ids)
	if err == nil && len(wrong) > 0 {
		again := ctx
		if h.Partial { // few are hashed once more all the same: else nothing could be said of them
			again = context.WithoutCancel(ctx)
		}
		_, err = h.hash(again, wrong)
		h.stopped = h.stopped || h.Partial && ctx.Err() != nil
	}
	if err == nil && h.Ledger != nil {
		h.Proofs = Proofs{All: h.Prove}
		for id := range uint32(g.Len()) {
			h.prove(id, &h.Proofs)
		}
	}
	return err
}

// prove counts a blob among those that are proven, or aren't.
func (h *hashing) prove(id uint32, p *Proofs) { h.among(id, p).add(h.g.Sizes[id]) }

// among returns the amount to which a blob belongs.
func (h *hashing) among(id uint32, p *Proofs) *Amount {
	g := h.g
	state := g.StateAt(id)
	bad, isBad := g.BadHashes[id]
	v, _ := h.ledgerOf(id)
	switch {
	case state == walker.ManifestGood || state == walker.ManifestUnparsable:
		return &p.Manifests
	case state == walker.ManifestCorrupt || isBad && bad.State == walker.HashWrong:
		return &p.Wrong
	case isBad:
		return &p.Unproven
	case g.Hashed.Has(id):
		return &p.Hashed
	case v == ledger.Right:
		return &p.Known
	}
	return &p.Unproven
}

// Unproven are the blobs that Proofs counts so, in the order of their digests.
func (h *hashing) Unproven() iter.Seq[Blob] {
	return func(yield func(Blob) bool) {
		var p Proofs
		for id := range uint32(h.g.Len()) {
			if h.among(id, &p) == &p.Unproven && !yield(Blob{h.g.BlobKey(id), h.g.Sizes[id]}) {
				return
			}
		}
	}
}

// ledgerOf returns what the Ledger knows of a listed blob, and when it was hashed.
func (h *hashing) ledgerOf(id uint32) (ledger.Verdict, int64) {
	if h.Ledger == nil || h.g.IsForeign(id) {
		return ledger.Unknown, 0
	}
	return h.Ledger.Lookup(h.g.digest(id))
}

// chosen reports whether a blob's bytes are to be hashed.
func (h *hashing) chosen(id uint32) bool {
	switch v, _ := h.ledgerOf(id); v {
	case ledger.Right:
		return false
	case ledger.Wrong:
		return true
	}
	return h.Verify.Missing || h.sampled(id)
}

// longestUnproven returns the blobs of Verify.Budget. They are taken once: what is read
// later on is not hashed for it.
func (h *hashing) longestUnproven() (ids []uint32) {
	if h.Verify.Budget == 0 {
		return nil
	}
	g := h.g
	type candidate struct {
		id     uint32
		hashed int64
	}
	var all []candidate
	for id := range uint32(g.Len()) {
		if v, hashed := h.ledgerOf(id); v == ledger.Unknown && g.NodeAt(id) == nil {
			all = append(all, candidate{id, hashed})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.hashed, b.hashed), cmp.Compare(a.id, b.id)) })
	var bytes int64
	for _, b := range all {
		if bytes += g.Sizes[b.id]; bytes > h.Verify.Budget && len(ids) > 0 {
			break
		}
		ids = append(ids, b.id)
	}
	h.Verify.Budget = 0
	return ids
}

// hash hashes blobs, the largest first so that the tail is short, and notes
// what is wrong with them. It returns the ids of those with wrong bytes.
func (h *hashing) hash(ctx context.Context, ids []uint32) (wrong []uint32, err error) {
	g := h.g
	var bytes int64
	for _, id := range ids {
		bytes += g.Sizes[id]
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(g.Sizes[b], g.Sizes[a]), cmp.Compare(a, b))
	})
	h.more(bytes, "bytes")
	var done Bitset // by their places in ids
	err = h.w.Hash(ctx, len(ids), g.digests(ids), h.shown.Add, func(i int, is walker.Hashed) error {
		h.Count += g.Sizes[ids[i]]
		done.Add(uint32(i))
		h.note(ids[i], is.State)
		delete(g.BadHashes, ids[i])
		if is.State != walker.HashRight {
			g.BadHashes[ids[i]] = is
		}
		if is.State == walker.HashMissing { // listed, and gone
			s := Ref{None, Link{Kind: layout.Blob, ID: ids[i]}}
			g.Changed[s], g.Unconfirmed[s] = true, true
		}
		if is.State == walker.HashWrong {
			wrong = append(wrong, ids[i])
		}
		return nil
	})
	if err != nil && ctx.Err() != nil && h.Partial {
		h.stopped, err = true, nil
		for i, id := range ids {
			if !done.Has(uint32(i)) {
				g.Hashed.Remove(id)
				h.Unhashed.add(g.Sizes[id])
			}
		}
	}
	return wrong, err
}

// note has the Ledger remember the outcome of hashing a blob.
func (h *hashing) note(id uint32, state walker.HashState) {
	if h.Ledger == nil || h.g.IsForeign(id) {
		return
	}
	now := h.now(h.Now)
	switch state {
	case walker.HashRight:
		h.Ledger.Put(h.g.digest(id), ledger.Right, now)
	case walker.HashWrong:
		h.Ledger.Put(h.g.digest(id), ledger.Wrong, now)
	}
}

// sampled reports whether a blob is among those whose bytes Verify names. Digests are
// spread evenly, so their last bytes draw the sample, and their first bytes a part.
func (h *hashing) sampled(id uint32) bool {
	switch {
	case h.Verify.All:
		return true
	case h.Verify.Part.N > 0 && h.g.IsForeign(id):
		return h.Verify.Part.Has(layout.Sum([]byte(h.g.NameOf(id))))
	case h.Verify.Part.N > 0:
		return h.Verify.Part.Has(h.g.digest(id))
	case h.Verify.Percent <= 0:
		return false
	}
	d := h.g.digest(id)
	drawn := uint32(d[31]) | uint32(d[30])<<8 | uint32(d[29])<<16
	return float64(drawn) < h.Verify.Percent/100*(1<<24)
}
