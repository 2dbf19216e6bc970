package cache

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"

	"regfsck/walker/layout"
)

// An index is a line that names its form, a record for each manifest (its digest,
// then its offset, its size and when it was last of use, each in four bytes, big
// end first), and the sha256 of all that.
const (
	form       = "regfsck cache 1\n"
	recordSize = len(layout.Digest{}) + 3*4
	maxIndex   = 64 << 20 // bytes
)

// errIndex: what is taken for an index is none, or was cut short.
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

// writeIndex puts a pack's index in the place of the one there was.
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
