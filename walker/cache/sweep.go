package cache

import (
	"cmp"
	"slices"
)

// maxSmall is how many small packs there may be, which are those of less than an
// eighth of the limit.
const maxSmall = 8

// sweep brings the directory within its limit, and melts packs down: those of which
// less than half is still known, and the small ones where there are many.
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
	melt := map[uint32]bool{}
	for i, p := range c.packs {
		switch {
		case p.file == nil:
		case p.live == 0:
			c.remove(p)
		case over && p.live < p.size, 2*p.live < p.size, small > maxSmall && p.size < c.limit/8:
			melt[uint32(i)] = true
		}
	}
	if len(melt) > 0 && c.err == nil {
		c.err = c.melt(melt)
	}
}

// evict forgets what was of no use for the longest time, until the rest is of that
// many bytes at most.
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

// melt writes what is known of some packs into a new one, and removes them once it
// is there. What turns out to be broken is left out.
func (c *Cache) melt(packs map[uint32]bool) error {
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
