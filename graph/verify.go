package graph

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

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
	All       bool   // all are to be proven: see Options.Prove
	Hashed    Amount // by this run
	Manifests Amount // read as manifests, which are hashed each time
	Known     Amount // hashed by earlier runs, or by others, and the same since
	Wrong     Amount // hashed by this run, and not what their digests name
	Unproven  Amount // all others
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
	h := &Hashing{Phases: c.phases}
	g := c.Graph
	for id := range uint32(g.Len()) {
		h.Listed.add(g.Sizes[id])
		if !c.sampled(id) {
			continue
		}
		h.Part.add(g.Sizes[id])
		c.prove(id, &h.Proofs)
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
func (c *Scan) remember(blobs []walker.Blob) {
	records := make([]ledger.Record, 0, len(blobs))
	for _, b := range blobs {
		if b.Other == "" {
			records = append(records, ledger.Record{Digest: b.Digest, Size: b.Size, Modified: b.Modified, Stamp: b.Stamp})
		}
	}
	c.Ledger.AddListed(records)
}

// verify hashes the blobs that were asked for, and always those whose size
// can't be right: another than a descriptor states, or none at all; each once.
// What seems to be wrong is hashed once more before it is believed.
func (c *Scan) verify(ctx context.Context) error {
	if c.Stopped {
		return nil
	}
	g := c.Graph
	g.sortSuspects()
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
		if g.Sizes[id] == 0 && g.digest(id) != layout.Empty || c.chosen(id) {
			want(id)
		}
	}
	for _, id := range c.longestUnproven() {
		want(id)
	}
	wrong, err := c.hash(ctx, ids)
	if err == nil && len(wrong) > 0 {
		again := ctx
		if c.Partial { // few are hashed once more all the same: else nothing could be said of them
			again = context.WithoutCancel(ctx)
		}
		_, err = c.hash(again, wrong)
		c.Stopped = c.Stopped || c.Partial && ctx.Err() != nil
	}
	if err == nil && c.Ledger != nil {
		c.countProofs()
	}
	return err
}

// countProofs sums up which blobs are proven, and by what.
func (c *Scan) countProofs() {
	c.Proofs = Proofs{All: c.Prove}
	for id := range uint32(c.Graph.Len()) {
		c.prove(id, &c.Proofs)
	}
}

// prove counts a blob among those that are proven, or aren't.
func (c *Scan) prove(id uint32, p *Proofs) { c.among(id, p).add(c.Graph.Sizes[id]) }

// among returns the amount to which a blob belongs.
func (c *Scan) among(id uint32, p *Proofs) *Amount {
	g := c.Graph
	state := g.StateAt(id)
	bad, isBad := g.BadHashes[id]
	v, _ := c.ledgerOf(id)
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
func (c *Scan) Unproven() iter.Seq[Blob] {
	return func(yield func(Blob) bool) {
		var p Proofs
		for id := range uint32(c.Graph.Len()) {
			if c.among(id, &p) == &p.Unproven && !yield(Blob{c.Graph.BlobKey(id), c.Graph.Sizes[id]}) {
				return
			}
		}
	}
}

// ledgerOf returns what the Ledger knows of a listed blob, and when it was hashed.
func (c *Scan) ledgerOf(id uint32) (ledger.Verdict, int64) {
	if c.Ledger == nil || c.Graph.IsForeign(id) {
		return ledger.Unknown, 0
	}
	return c.Ledger.Lookup(c.Graph.digest(id))
}

// chosen reports whether a blob's bytes are to be hashed.
func (c *Scan) chosen(id uint32) bool {
	switch v, _ := c.ledgerOf(id); v {
	case ledger.Right:
		return false
	case ledger.Wrong:
		return true
	}
	return c.Verify.Missing || c.sampled(id)
}

// longestUnproven returns the blobs of Verify.Budget. They are taken once: what is read
// later on is not hashed for it.
func (c *Scan) longestUnproven() (ids []uint32) {
	if c.Verify.Budget == 0 {
		return nil
	}
	g := c.Graph
	type candidate struct {
		id     uint32
		hashed int64
	}
	var all []candidate
	for id := range uint32(g.Len()) {
		if v, hashed := c.ledgerOf(id); v == ledger.Unknown && g.NodeAt(id) == nil {
			all = append(all, candidate{id, hashed})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.hashed, b.hashed), cmp.Compare(a.id, b.id)) })
	var bytes int64
	for _, b := range all {
		if bytes += g.Sizes[b.id]; bytes > c.Verify.Budget && len(ids) > 0 {
			break
		}
		ids = append(ids, b.id)
	}
	c.Verify.Budget = 0
	return ids
}

// hash hashes blobs, the largest first so that the tail is short, and notes
// what is wrong with them. It returns the ids of those with wrong bytes.
func (c *Scan) hash(ctx context.Context, ids []uint32) (wrong []uint32, err error) {
	g := c.Graph
	var bytes int64
	for _, id := range ids {
		bytes += g.Sizes[id]
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(g.Sizes[b], g.Sizes[a]), cmp.Compare(a, b))
	})
	c.more(bytes, "bytes")
	var done Bitset // by their places in ids
	err = c.w.Hash(ctx, len(ids), g.digests(ids), c.show, func(i int, h walker.Hashed) error {
		c.Count += g.Sizes[ids[i]]
		done.Add(uint32(i))
		c.note(ids[i], h.State)
		delete(g.BadHashes, ids[i])
		if h.State != walker.HashRight {
			g.BadHashes[ids[i]] = h
		}
		if h.State == walker.HashMissing { // listed, and gone
			s := Ref{None, Link{Kind: layout.Blob, ID: ids[i]}}
			g.Changed[s], g.Unconfirmed[s] = true, true
		}
		if h.State == walker.HashWrong {
			wrong = append(wrong, ids[i])
		}
		return nil
	})
	if err != nil && ctx.Err() != nil && c.Partial {
		c.Stopped, err = true, nil
		for i, id := range ids {
			if !done.Has(uint32(i)) {
				g.Hashed.Remove(id)
				c.Unhashed.add(g.Sizes[id])
			}
		}
	}
	return wrong, err
}

// note has the Ledger remember what hashing a blob came to.
func (c *Scan) note(id uint32, state walker.HashState) {
	if c.Ledger == nil || c.Graph.IsForeign(id) {
		return
	}
	now := c.Now.Add(time.Since(c.opened))
	switch state {
	case walker.HashRight:
		c.Ledger.Put(c.Graph.digest(id), ledger.Right, now)
	case walker.HashWrong:
		c.Ledger.Put(c.Graph.digest(id), ledger.Wrong, now)
	}
}

// sampled reports whether a blob is among those whose bytes Verify names. Digests are
// spread evenly, so their last bytes draw the sample, and their first bytes a part.
func (c *Scan) sampled(id uint32) bool {
	switch {
	case c.Verify.All:
		return true
	case c.Verify.Part.N > 0 && c.Graph.IsForeign(id):
		return c.Verify.Part.Has(layout.Sum([]byte(c.Graph.NameOf(id))))
	case c.Verify.Part.N > 0:
		return c.Verify.Part.Has(c.Graph.digest(id))
	case c.Verify.Percent <= 0:
		return false
	}
	d := c.Graph.digest(id)
	drawn := uint32(d[31]) | uint32(d[30])<<8 | uint32(d[29])<<16
	return float64(drawn) < c.Verify.Percent/100*(1<<24)
}
