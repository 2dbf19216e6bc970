package cache

import (
	"os"

	"regfsck/walker/layout"
)

// entry is one manifest of a pack.
type entry struct {
	digest layout.Digest
	offset uint32
	size   uint32 // bytes; 0 for what was forgotten
	used   uint32 // when it was last of use, in seconds since 1970
	pack   uint32
}

// read reads the manifest into buf if that is large enough, and reports whether its
// bytes have its digest.
func (e *entry) read(file *os.File, buf []byte) ([]byte, bool) {
	if cap(buf) < int(e.size) {
		buf = make([]byte, e.size)
	}
	buf = buf[:e.size]
	if _, err := file.ReadAt(buf, int64(e.offset)); err != nil {
		return nil, false
	}
	return buf, layout.Sum(buf) == e.digest
}

// know takes in an entry whose digest isn't known.
func (c *Cache) know(e entry) {
	c.at[e.digest] = uint32(len(c.entries))
	c.entries = append(c.entries, e)
	c.packs[e.pack].live += int64(e.size)
}

// stale is for how long, in seconds, nobody writes down that a manifest was of use
// once more.
const stale = 3600

// use notes that a manifest was of use, unless it was forgotten meanwhile.
func (c *Cache) use(d layout.Digest) {
	i, ok := c.at[d]
	if !ok {
		return
	}
	if e := &c.entries[i]; c.now-e.used >= stale {
		e.used = c.now
		c.packs[e.pack].changed = true
	}
}

// forget drops a manifest.
func (c *Cache) forget(d layout.Digest) {
	i, ok := c.at[d]
	if !ok {
		return
	}
	p := c.packs[c.entries[i].pack]
	p.live -= int64(c.entries[i].size)
	p.changed = true
	c.entries[i].size = 0
	delete(c.at, d)
}

// lose forgets all that a pack holds.
func (c *Cache) lose(at uint32) {
	for _, e := range c.entries {
		if e.pack == at && e.size > 0 {
			c.forget(e.digest)
		}
	}
}
