package cache

import (
	"bufio"
	"crypto/rand"
	"os"

	"regfsck/walker/layout"
)

// pack is a file of manifests.
type pack struct {
	name    string   // without its ending
	file    *os.File // nil while it is written, and once it is gone
	size    int64    // bytes
	live    int64    // bytes of manifests that are known
	changed bool     // its index doesn't tell all
}

const (
	packEnding  = ".pack"
	indexEnding = ".index"
	tempEnding  = ".tmp"
)

func (p *pack) close() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// remove takes a pack away, its index first, so that what is left of a run that
// ends between is a pack that nobody knows.
func (c *Cache) remove(p *pack) {
	p.close()
	os.Remove(c.path(p.name + indexEnding))
	os.Remove(c.path(p.name + packEnding))
}

// writer writes a new pack.
type writer struct {
	pack *pack
	at   uint32 // index of the pack
	file *os.File
	buf  *bufio.Writer
}

// create begins a pack, under a name that nobody else has.
func (c *Cache) create() (*writer, error) {
	p := &pack{name: rand.Text(), changed: true}
	file, err := os.OpenFile(c.path(p.name+tempEnding), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	c.packs = append(c.packs, p)
	return &writer{p, uint32(len(c.packs) - 1), file, bufio.NewWriterSize(file, 256<<10)}, nil
}

// add writes one more manifest, of which nothing is known yet.
func (c *Cache) add(w *writer, d layout.Digest, body []byte, used uint32) error {
	if _, err := w.buf.Write(body); err != nil {
		return err
	}
	c.know(entry{d, uint32(w.pack.size), uint32(len(body)), used, w.at})
	w.pack.size += int64(len(body))
	return nil
}

// end gives a pack its name once all of it is written, and it can be read from
// then on. After an error nothing of it is left, and what it held is forgotten.
func (c *Cache) end(w *writer) error {
	err := w.buf.Flush()
	if again := w.file.Close(); err == nil {
		err = again
	}
	name := c.path(w.pack.name + packEnding)
	if err == nil {
		err = os.Rename(w.file.Name(), name)
	}
	if err == nil {
		w.pack.file, err = os.Open(name)
	}
	if err != nil {
		os.Remove(w.file.Name())
		c.lose(w.at)
	}
	return err
}
