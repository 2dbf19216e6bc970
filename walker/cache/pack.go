package cache

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"regfsck/walker/layout"
)

// pack is a file of manifests.
type pack struct {
	name    string   // of the file, without extension
	file    *os.File // nil while it is written, and once it is closed
	size    int64    // bytes
	live    int64    // bytes of its manifests that have an entry
	changed bool     // its index has to be written again
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

// remove deletes a pack, its index first: if the run is interrupted in between, a pack
// without an index is left, which names removes later.
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

// create begins a pack under a new random name.
func (c *Cache) create() (*writer, error) {
	p := &pack{name: rand.Text(), changed: true}
	file, err := os.OpenFile(c.path(p.name+tempEnding), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	c.packs = append(c.packs, p)
	return &writer{p, uint32(len(c.packs) - 1), file, bufio.NewWriterSize(file, 256<<10)}, nil
}

// add appends a manifest that has no entry.
func (c *Cache) add(w *writer, d layout.Digest, body []byte, used uint32) error {
	if _, err := w.buf.Write(body); err != nil {
		return err
	}
	c.insert(entry{d, uint32(w.pack.size), uint32(len(body)), used, w.at})
	w.pack.size += int64(len(body))
	return nil
}

// end completes a pack and renames it; from then on it can be read. After an error the file
// is removed and its manifests are forgotten.
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
		c.forgetPack(w.at)
	}
	return err
}

// load reads a pack's index. A pack with a damaged index is removed; one that can't be
// opened is left alone.
func (c *Cache) load(name string) {
	index, err := readIndex(c.path(name + indexEnding))
	if err != nil && !errors.Is(err, errIndex) {
		return
	}
	file, again := os.Open(c.path(name + packEnding))
	if again != nil {
		return
	}
	p := &pack{name: name, file: file}
	info, again := file.Stat()
	if err != nil || again != nil {
		c.remove(p)
		return
	}
	p.size = info.Size()
	at := uint32(len(c.packs))
	c.packs = append(c.packs, p)
	err = decode(index, func(e entry) {
		_, known := c.at[e.digest]
		if known || e.size == 0 || e.size > MaxSize {
			p.changed = true
			return
		}
		if e.used > c.now { // a clock was wrong
			e.used = 0
		}
		e.pack = at
		c.insert(e)
	})
	if err != nil {
		c.remove(p)
		c.packs = c.packs[:at]
	}
}

// readIndex reads an index of at most maxIndex bytes.
func readIndex(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err == nil && len(b) > maxIndex {
		err = fmt.Errorf("%w: it is too large", errIndex)
	}
	return b, err
}

// abandonedAfter is the age at which no running process can still need an incomplete file.
const abandonedAfter = 24 * time.Hour

// names returns the names of all packs that have an index, sorted, and removes what
// interrupted runs have left.
func (c *Cache) names(now time.Time) (names []string, err error) {
	all, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, f := range all {
		if f.Type().IsRegular() {
			has[f.Name()] = true
		}
	}
	for _, f := range all {
		name, isPack := strings.CutSuffix(f.Name(), packEnding)
		without, isIndex := strings.CutSuffix(f.Name(), indexEnding)
		switch {
		case !has[f.Name()]:
		case isPack && has[name+indexEnding]:
			names = append(names, name)
		case isPack, isIndex && !has[without+packEnding], strings.HasSuffix(f.Name(), tempEnding):
			if info, err := f.Info(); err == nil && now.Sub(info.ModTime()) > abandonedAfter {
				os.Remove(c.path(f.Name()))
			}
		}
	}
	return names, nil
}

// An index is a line with its format's name, a record for each manifest (digest, offset,
// size, time of the last use; the last three are 32 bits, big endian), and the sha256 of
// all that.
const (
	form       = "regfsck cache 1\n"
	recordSize = len(layout.Digest{}) + 3*4
	maxIndex   = 64 << 20 // bytes
)

// errIndex: the file is not an index, or is truncated.
var errIndex = errors.New("is no index")

// encode writes the index of a pack.
func (c *Cache) encode(at uint32) []byte {
	b := []byte(form)
	for _, e := range c.entries {
		if e.pack != at || e.size == 0 {
			continue
		}
		b = append(b, e.digest[:]...)
		b = binary.BigEndian.AppendUint32(b, e.offset)
		b = binary.BigEndian.AppendUint32(b, e.size)
		b = binary.BigEndian.AppendUint32(b, e.used)
	}
	sum := layout.Sum(b)
	return append(b, sum[:]...)
}

// decode calls each with every record of an index.
func decode(b []byte, each func(entry)) error {
	n := len(b) - len(form) - len(layout.Digest{})
	if n < 0 || n%recordSize != 0 || string(b[:len(form)]) != form {
		return errIndex
	}
	records, sum := b[:len(form)+n], b[len(form)+n:]
	if layout.Sum(records) != layout.Digest(sum) {
		return errIndex
	}
	for r := records[len(form):]; len(r) > 0; r = r[recordSize:] {
		rest := r[len(layout.Digest{}):]
		each(entry{
			digest: layout.Digest(r[:len(layout.Digest{})]),
			offset: binary.BigEndian.Uint32(rest), size: binary.BigEndian.Uint32(rest[4:]), used: binary.BigEndian.Uint32(rest[8:]),
		})
	}
	return nil
}

// writeIndex replaces a pack's index.
func (c *Cache) writeIndex(at uint32) error {
	name := c.packs[at].name
	temp := c.path(name + "-" + rand.Text() + tempEnding)
	if err := os.WriteFile(temp, c.encode(at), 0o600); err != nil {
		os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, c.path(name+indexEnding)); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}
