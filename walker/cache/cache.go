// Package cache keeps manifests that were read before in a directory of this
// machine, so that the next run need not fetch them again.
//
// It is asked by digest and by what a listing says of the object that is to be
// stood for, and gives bytes only where they have that digest, that size and that
// MD5: each time they are read anew and hashed anew. So nothing that stands in the
// directory is believed, and a cache that is broken, or somebody else's, costs
// requests and never an answer. What is found broken is forgotten.
//
// The directory holds pairs of files. A pack is the manifests of one run, one after
// the other, and never changes; its index says which they are, where they stand
// and when each was last of use, and is replaced as a whole. So a cache is opened
// by reading a few files, however many manifests there are. Each file is written
// under another name first, so that several runs can share a directory: at worst one
// forgets what another has learned.
//
// What was of no use for the longest time goes first when there is too much, and
// small packs are joined when there are many.
package cache

import (
	"crypto/md5"
	"os"
	"path/filepath"
	"sync"
	"time"

	"regfsck/walker/layout"
)

// MaxSize is how many bytes a manifest may have to be kept.
const MaxSize = 4 << 20

// Cache is an open cache. Its methods may be called from any goroutine, and after
// Close too, when it holds nothing and keeps nothing.
type Cache struct {
	dir   string
	limit int64
	now   uint32 // seconds since 1970

	mu      sync.Mutex
	packs   []*pack
	entries []entry
	at      map[layout.Digest]uint32 // index into entries
	writer  *writer                  // of what is new; nil while there is nothing
	taken   int64
	err     error // why nothing more is written
}

// Open opens the cache in a directory, which it makes where there is none, at the
// time now. Limit is how many bytes of manifests the directory may hold once the
// cache is closed, 1 GiB at most. An error means that the directory can't be used.
func Open(dir string, limit int64, now time.Time) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &Cache{
		dir: dir, limit: min(limit, 1<<30), now: uint32(max(now.Unix(), 0)), at: map[layout.Digest]uint32{},
	}
	names, err := c.names(now)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		c.load(name)
	}
	return c, nil
}

// Holds reports whether the cache has a manifest of that digest and size, as far as
// can be said without reading it.
func (c *Cache) Holds(d layout.Digest, size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.at[d]
	return ok && int64(c.entries[i].size) == size && c.packs[c.entries[i].pack].file != nil
}

// Take returns the manifest of that digest if its bytes have the MD5 sum. They
// stand in buf where that is large enough.
func (c *Cache) Take(d layout.Digest, sum [md5.Size]byte, buf []byte) (body []byte, ok bool) {
	c.mu.Lock()
	i, ok := c.at[d]
	if !ok || c.packs[c.entries[i].pack].file == nil {
		c.mu.Unlock()
		return nil, false
	}
	e := c.entries[i]
	file := c.packs[e.pack].file
	c.mu.Unlock()

	body, sound := e.read(file, buf)
	same := sound && md5.Sum(body) == sum
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !sound:
		c.forget(d)
	case same:
		c.taken++
		c.use(d)
	}
	return body, same
}

// Taken is how many manifests were taken so far.
func (c *Cache) Taken() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

// Keep keeps a manifest, whose digest must be that of body. It does nothing where
// the manifest is kept already, is too large, or where writing has failed, which
// Close says.
func (c *Cache) Keep(d layout.Digest, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[d]; ok || c.err != nil || c.at == nil || len(body) == 0 || len(body) > MaxSize {
		return
	}
	if c.writer == nil {
		if c.writer, c.err = c.create(); c.err != nil {
			return
		}
	}
	if c.writer.pack.size+int64(len(body)) > c.limit {
		return
	}
	c.err = c.add(c.writer, d, body, c.now)
}

// Close writes down what is new and what was of use, and keeps the directory within
// its limit. An error says why something could not be written; what was kept
// before is kept still.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		return nil
	}
	if c.writer != nil {
		if err := c.end(c.writer); err != nil {
			c.err = err
		}
	}
	c.sweep()
	for i, p := range c.packs {
		if p.changed && p.live > 0 && c.err == nil {
			c.err = c.writeIndex(uint32(i))
		}
		p.close()
	}
	c.packs, c.entries, c.at = nil, nil, nil
	return c.err
}

func (c *Cache) path(name string) string { return filepath.Join(c.dir, name) }

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
