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
	g := c.g
	g.sortSuspects()
	var ids []uint32
	want := func(id uint32) {
		if g.isArchived(id) {
			return
		}
		switch g.stateAt(id) {
		case walker.ManifestGood, walker.ManifestUnparsable, walker.ManifestCorrupt: // hashed when it was read
		default:
			if g.provable(id) && g.hashed.add(id) {
				ids = append(ids, id)
			}
		}
	}
	for _, m := range g.suspects {
		want(m.id)
	}
	for id := range uint32(g.len()) {
		if g.sizes[id] == 0 && g.digest(id) != layout.Empty || c.sampled(id) {
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
	g := c.g
	var bytes int64
	for _, id := range ids {
		bytes += g.sizes[id]
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(g.sizes[b], g.sizes[a]), cmp.Compare(a, b))
	})
	c.more(bytes, "bytes")
	err = c.w.Hash(ctx, len(ids), g.digests(ids), c.show, func(i int, h walker.Hashed) error {
		c.count += g.sizes[ids[i]]
		delete(g.verified, ids[i])
		if h.State != walker.HashRight {
			g.verified[ids[i]] = h
		}
		if h.State == walker.HashMissing { // listed, and gone
			s := spot{none, place{kind: layout.Blob, id: ids[i]}}
			g.changed[s], g.unsure[s] = true, true
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
	d := c.g.digest(id)
	drawn := uint32(d[31]) | uint32(d[30])<<8 | uint32(d[29])<<16
	return float64(drawn) < c.Verify.Percent/100*(1<<24)
}
