package graph

import (
	"cmp"
	"context"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// verify hashes the blobs that were asked for, and always those whose size
// can't be right: another than a descriptor states, or none at all; each once.
// What seems to be wrong is hashed once more before it is believed.
func (c *Scan) verify(ctx context.Context) error {
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
		if g.Sizes[id] == 0 && g.digest(id) != layout.Empty || c.sampled(id) {
			want(id)
		}
	}
	wrong, err := c.hash(ctx, ids)
	if err == nil && len(wrong) > 0 {
		_, err = c.hash(ctx, wrong)
	}
	return err
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
	err = c.w.Hash(ctx, len(ids), g.digests(ids), c.show, func(i int, h walker.Hashed) error {
		c.Count += g.Sizes[ids[i]]
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
	return wrong, err
}

// sampled reports whether a blob is among those whose bytes are to be hashed.
// Digests are spread evenly, so their last bytes draw the sample.
func (c *Scan) sampled(id uint32) bool {
	if c.Verify.All || c.Verify.Percent <= 0 {
		return c.Verify.All
	}
	d := c.Graph.digest(id)
	drawn := uint32(d[31]) | uint32(d[30])<<8 | uint32(d[29])<<16
	return float64(drawn) < c.Verify.Percent/100*(1<<24)
}
