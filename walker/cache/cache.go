// Package cache keeps manifests of earlier runs in a local directory, so that the next run
// need not fetch them again.
//
// A manifest is looked up by its digest and by the size and ETag of its object in a
// listing. It is returned only if the cached bytes, which are read and hashed each time,
// have that digest, size and MD5. So a cache that is damaged, or was written by another
// program, costs requests and never gives a wrong result. A damaged entry is forgotten.
//
// The directory contains pairs of files. A pack has the manifests of one run one after the
// other, and never changes. Its index lists these manifests, with their offsets, and
// when each was last used; it is replaced as a whole. So opening a cache reads few files,
// however many manifests it has. Each file is written under a temporary name first, so
// several runs can share a directory: at worst one loses what another has added.
//
// Close removes the manifests that were unused for longest if there are too many bytes, and
// joins small packs if there are many.
package cache

import (
	"crypto/md5"
	"os"
	"path/filepath"
	"sync"
	"time"

	"regfsck/walker/layout"
)

// MaxSize is the largest manifest that is kept, in bytes.
const MaxSize = 4 << 20

// Cache is an open cache. Its methods may be called from any goroutine. After Close it is
// empty and keeps nothing.
type Cache struct {
	dir   string
	limit int64
	now   uint32 // seconds since 1970

	mu      sync.Mutex
	packs   []*pack
	entries []entry
	at      map[layout.Digest]uint32 // index into entries
	writer  *writer                  // of the new pack; nil while nothing is new
	hits    int64
	err     error // the error that ended writing
}

// Open opens the cache in a directory, and makes the directory if it doesn't exist. limit
// is how many bytes of manifests the directory may contain after Close, at most 1 GiB. An
// error means that the directory can't be used.
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

// Holds reports whether the cache's indexes have a manifest of that digest and size.
func (c *Cache) Holds(d layout.Digest, size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.at[d]
	return ok && int64(c.entries[i].size) == size && c.packs[c.entries[i].pack].file != nil
}

// Take returns the manifest of that digest if its bytes have that MD5. They are in buf if
// that is large enough.
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
		c.hits++
		c.use(d)
	}
	return body, same
}

// Taken returns how many manifests Take has returned.
func (c *Cache) Taken() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits
}

// Keep adds a manifest, whose digest must be that of body. It does nothing if the cache has
// the manifest, if it is too large, or after an error, which Close returns.
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

// Close writes what is new and what was used, and brings the directory below its limit. An
// error is why something could not be written; the earlier content remains.
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
	size   uint32 // bytes; 0 once it is forgotten
	used   uint32 // when it was last used, in seconds since 1970
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

// insert adds an entry for a digest that has none.
func (c *Cache) insert(e entry) {
	c.at[e.digest] = uint32(len(c.entries))
	c.entries = append(c.entries, e)
	c.packs[e.pack].live += int64(e.size)
}

// useEvery is for how long, in seconds, a further use is not recorded.
const useEvery = 3600

// use records that a manifest was used, unless it was forgotten meanwhile.
func (c *Cache) use(d layout.Digest) {
	i, ok := c.at[d]
	if !ok {
		return
	}
	if e := &c.entries[i]; c.now-e.used >= useEvery {
		e.used = c.now
		c.packs[e.pack].changed = true
	}
}

// forget removes a manifest's entry.
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

// forgetPack forgets all manifests of a pack.
func (c *Cache) forgetPack(at uint32) {
	for _, e := range c.entries {
		if e.pack == at && e.size > 0 {
			c.forget(e.digest)
		}
	}
}
