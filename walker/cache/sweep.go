package cache

import (
	"cmp"
	"slices"
)

// maxSmall is how many packs smaller than an eighth of the limit there may be.
const maxSmall = 8

// sweep brings the directory below its limit, and repacks packs of which less than half is
// in use, and small packs if there are many.
func (c *Cache) sweep() {
	var total int64
	small := 0
	for _, p := range c.packs {
		if p.file == nil {
			continue
		}
		total += p.size
		if p.size < c.limit/8 {
			small++
		}
	}
	over := total > c.limit
	if over {
		c.evict(c.limit - c.limit/8)
	}
	repack := map[uint32]bool{}
	for i, p := range c.packs {
		switch {
		case p.file == nil:
		case p.live == 0:
			c.remove(p)
		case over && p.live < p.size, 2*p.live < p.size, small > maxSmall && p.size < c.limit/8:
			repack[uint32(i)] = true
		}
	}
	if len(repack) > 0 && c.err == nil {
		c.err = c.repack(repack)
	}
}

// evict forgets the manifests that were unused for longest, until at most so many bytes are
// left.
func (c *Cache) evict(most int64) {
	order := make([]uint32, 0, len(c.at))
	for i, e := range c.entries {
		if e.size > 0 {
			order = append(order, uint32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(c.entries[b].used, c.entries[a].used) })
	for _, i := range order {
		if most -= int64(c.entries[i].size); most < 0 {
			c.forget(c.entries[i].digest)
		}
	}
}

// repack writes the manifests of some packs into a new one, and removes those packs once it
// is complete. Damaged manifests are left out.
func (c *Cache) repack(packs map[uint32]bool) error {
	w, err := c.create()
	if err != nil {
		return err
	}
	var buf []byte
	for _, e := range slices.Clone(c.entries) {
		if !packs[e.pack] || e.size == 0 {
			continue
		}
		body, sound := e.read(c.packs[e.pack].file, buf)
		c.forget(e.digest)
		if !sound {
			continue
		}
		buf = body
		if err = c.add(w, e.digest, body, e.used); err != nil {
			break
		}
	}
	if again := c.end(w); err == nil {
		err = again
	}
	if err == nil {
		err = c.writeIndex(w.at)
	}
	if err != nil {
		return err
	}
	w.pack.changed = false
	for i := range packs {
		c.remove(c.packs[i])
	}
	return nil
}
