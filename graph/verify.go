package graph

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/ledger"
)

// Verify selects the blobs to hash besides the manifests; at most one field is set. With a
// Ledger, blobs that it knows to be right are not hashed, and those that it knows to be wrong
// always are.
type Verify struct {
	All     bool
	Percent float64     // of the blobs, the same ones each time
	Part    ledger.Part // blobs of this part of all digests; N is 0 for none
	Budget  int64       // bytes of blobs to hash, those that were never hashed or longest ago first, at least one; 0 for none
	Missing bool        // all that the Ledger doesn't know to be right
}

// String describes what is hashed: "manifests", a share of the blobs like "5%", a part like
// "3/30", a size, "missing", or "all".
func (v Verify) String() string {
	switch {
	case v.All:
		return "all"
	case v.Missing:
		return "missing"
	case v.Part.N > 0:
		return fmt.Sprintf("%d/%d", v.Part.I, v.Part.N)
	case v.Budget > 0:
		return words.Size(v.Budget)
	case v.Percent > 0:
		return strconv.FormatFloat(v.Percent, 'f', -1, 64) + "%"
	}
	return "manifests"
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

// Proofs counts blobs by whether they are verified.
type Proofs struct {
	Hashed    Amount `json:"hashed"`           // by this run
	Known     Amount `json:"hashed_before"`    // by earlier runs or others, and unchanged since
	Manifests Amount `json:"manifests"`        // read as manifests, which are always hashed
	Wrong     Amount `json:"corrupt"`          // hashed by this run, and wrong
	Unproven  Amount `json:"not_hashed"`       // all others
	All       bool   `json:"all_to_be_proven"` // all are to be verified: see Options.Prove
}

// Hashing is the result of HashOnly.
type Hashing struct {
	Phases []Phase
	Listed Amount  // all blobs of the store
	Part   Amount  // blobs to verify
	Proofs Proofs  // of these
	Wrong  []Blob  // in the order of their keys
	Unread []Fault // what could not be listed or read, likewise
}

// Blob is one blob.
type Blob struct {
	Key   string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// Fault is a key that could not be listed or read, and why.
type Fault struct {
	Key string `json:"path"`
	Why string `json:"detail"`
}

// HashOnly lists a store's blobs and hashes those of the part o.Verify.Part that o.Ledger
// doesn't know to be right. It reads no links. Errors are as those of Read.
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

// remember adds listed blobs to the Ledger, which has sha256 digests only.
func (h *hashing) remember(blobs []walker.Blob) {
	records := make([]ledger.Record, 0, len(blobs))
	for _, b := range blobs {
		if b.Other == "" {
			records = append(records, ledger.Record{Digest: b.Digest, Size: b.Size, Modified: b.Modified, Stamp: b.Stamp})
		}
	}
	h.Ledger.AddListed(records)
}

// hashing hashes blobs and counts which are verified.
type hashing struct {
	*phases
	*Options
	g *Graph
	w *walker.Walker

	stopped  bool   // ctx ended before all blobs were hashed; only with Options.Partial
	Unhashed Amount // not hashed then
	Proofs   Proofs // only with a Ledger
}

// verify hashes the selected blobs, and always those with a wrong size: not a descriptor's,
// or 0. What seems wrong is hashed again.
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
		if h.Partial { // few are hashed again, without which nothing could be said of them
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

// prove counts a blob in p.
func (h *hashing) prove(id uint32, p *Proofs) { h.among(id, p).add(h.g.Sizes[id]) }

// among returns the amount that a blob is counted in.
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

// Unproven yields the blobs that aren't verified, in the order of their digests.
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

// ledgerOf returns the Ledger's verdict on a listed blob, and when it was hashed.
func (h *hashing) ledgerOf(id uint32) (ledger.Verdict, int64) {
	if h.Ledger == nil || h.g.IsForeign(id) {
		return ledger.Unknown, 0
	}
	return h.Ledger.Lookup(h.g.digest(id))
}

// chosen reports whether a blob is to be hashed.
func (h *hashing) chosen(id uint32) bool {
	switch v, _ := h.ledgerOf(id); v {
	case ledger.Right:
		return false
	case ledger.Wrong:
		return true
	}
	return h.Verify.Missing || h.sampled(id)
}

// longestUnproven returns the blobs of Verify.Budget. They are selected once.
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

// hash hashes blobs, largest first to balance the workers, and records what is wrong. It
// returns the ids of wrong ones.
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
	var done Bitset // by index in ids
	err = h.w.Hash(ctx, len(ids), g.digests(ids), h.shown.Add, func(i int, is walker.Hashed) error {
		h.Count += g.Sizes[ids[i]]
		done.Add(uint32(i))
		h.note(ids[i], is.State)
		delete(g.BadHashes, ids[i])
		if is.State != walker.HashRight {
			g.BadHashes[ids[i]] = is
		}
		if is.State == walker.HashMissing { // listed, and missing
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

// note records the result for a blob in the Ledger.
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

// sampled reports whether Verify selects a blob. The last bytes of digests decide about a
// sample, the first ones about a part.
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
