package graph

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"time"

	"regfsck/walker/layout"
)

// Digests assigns an id to each digest in the store: first to the listed blobs, then to those
// that only links and manifests refer to.
type Digests struct {
	Table
	Unlisted []layout.Digest          // digests without a listed blob, by id less Table.Len()
	pastID   map[layout.Digest]uint32 // their ids
	foreign  map[layout.Digest]uint32 // ids of digests by other algorithms, by the hash of their text
	names    map[uint32]string        // the texts of those
	late     map[uint32]int64         // blobs that appeared after the listing, with their sizes
}

// IDOf returns d's id, a new one if it has none.
func (t *Digests) IDOf(d layout.Digest) uint32 {
	if id, ok := t.find(d); ok {
		return id
	}
	id, ok := t.pastID[d]
	if !ok {
		id = t.newID(d)
		t.pastID[d] = id
	}
	return id
}

// KnownID returns d's id, None if it has none.
func (t *Digests) KnownID(d layout.Digest) uint32 {
	if id, ok := t.find(d); ok {
		return id
	}
	if id, ok := t.pastID[d]; ok {
		return id
	}
	return None
}

// idOfName returns the id of a digest by another algorithm than sha256.
func (t *Digests) idOfName(name string) uint32 {
	key := layout.Sum([]byte(name))
	id, ok := t.foreign[key]
	if !ok {
		id = t.newID(layout.Digest{})
		t.foreign[key] = id
		t.names[id] = strings.Clone(name)
	}
	return id
}

func (t *Digests) newID(d layout.Digest) uint32 {
	t.Unlisted = append(t.Unlisted, d)
	return uint32(t.Len() + len(t.Unlisted) - 1)
}

// idOfAny is idOf for a digest by any algorithm.
func (t *Digests) idOfAny(d layout.AnyDigest) uint32 {
	if d.Other != "" {
		return t.idOfName(d.Other)
	}
	return t.IDOf(d.Digest)
}

// KnownIDOf is KnownID for the text of a digest by any algorithm.
func (t *Digests) KnownIDOf(text string) uint32 {
	d, ok := layout.ParseAnyDigest(text)
	if !ok {
		return None
	}
	if d.Other == "" {
		return t.KnownID(d.Digest)
	}
	if id, ok := t.foreign[layout.Sum([]byte(text))]; ok {
		return id
	}
	return None
}

// DigestOf returns the digest of any id; zero for another algorithm's.
func (t *Digests) DigestOf(id uint32) layout.Digest {
	if int(id) < t.Len() {
		return t.digest(id)
	}
	return t.Unlisted[int(id)-t.Len()]
}

// AnyOf returns the digest of any id.
func (t *Digests) AnyOf(id uint32) layout.AnyDigest {
	return layout.AnyDigest{Digest: t.DigestOf(id), Other: t.names[id]}
}

// BlobKey returns the key of the bytes of any id.
func (t *Digests) BlobKey(id uint32) string { return t.AnyOf(id).BlobKey() }

// Provable reports whether bytes can be compared with the digest. A blob that can't be
// verified is never corrupt and never garbage.
func (t *Digests) Provable(id uint32) bool {
	return !t.IsForeign(id) || t.AnyOf(id).Provable()
}

// IsForeign reports whether the id is of a digest by another algorithm.
func (t *Digests) IsForeign(id uint32) bool {
	_, foreign := t.names[id]
	return foreign
}

// digests returns the digests of ids. It may be called from any goroutine, also while ids are
// assigned.
func (t *Digests) digests(ids []uint32) func(i int) layout.AnyDigest {
	past, names := t.Unlisted, map[uint32]string{}
	for _, id := range ids {
		if t.IsForeign(id) {
			names[id] = t.names[id]
		}
	}
	return func(i int) layout.AnyDigest {
		id := ids[i]
		if int(id) < t.Len() {
			return layout.AnyDigest{Digest: t.digest(id), Other: names[id]}
		}
		return layout.AnyDigest{Digest: past[int(id)-t.Len()], Other: names[id]}
	}
}

// NameOf returns the digest of any id as text.
func (t *Digests) NameOf(id uint32) string {
	if name, ok := t.names[id]; ok {
		return name
	}
	return t.DigestOf(id).String()
}

// Present reports whether a blob is stored under the id.
func (t *Digests) Present(id uint32) bool {
	if int(id) < t.Len() {
		return true
	}
	_, ok := t.late[id]
	return ok
}

// SizeOf returns the stored bytes of a present blob.
func (t *Digests) SizeOf(id uint32) int64 {
	if int(id) < t.Len() {
		return t.Sizes[id]
	}
	return t.late[id]
}

// ModifiedOf returns a blob's time; zero if it wasn't listed.
func (t *Digests) ModifiedOf(id uint32) time.Time {
	if int(id) < t.Len() {
		return TimeOf(t.Modified[id])
	}
	return time.Time{}
}

// CompareIDs orders ids by their digests; None is the first.
func (t *Digests) CompareIDs(a, b uint32) int {
	if a == b {
		return 0
	}
	if a == None || b == None {
		return cmp.Compare(a+1, b+1)
	}
	return cmp.Or(t.DigestOf(a).Compare(t.DigestOf(b)), cmp.Compare(t.names[a], t.names[b]))
}

// BytesOfLink returns the bytes of a link whose content is the digest of its path.
func (t *Digests) BytesOfLink(id uint32) int64 {
	if name, foreign := t.names[id]; foreign {
		return int64(len(name))
	}
	return LinkBytes
}

// EveryBlob yields the ids of all blobs of the store.
func (t *Digests) EveryBlob() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id := range uint32(t.Len()) {
			if !yield(id) {
				return
			}
		}
		for id := range t.late {
			if !yield(id) {
				return
			}
		}
	}
}

// Fits returns an error where there are more digests than one run can hold.
func (t *Digests) Fits() error {
	if n := t.Len() + len(t.Unlisted); n >= 1<<edgeBits {
		return fmt.Errorf("%d digests are more than one run can hold", n)
	}
	return nil
}

// isTarsum reports whether a digest is a tarsum, of which no bytes are stored.
func (t *Digests) isTarsum(id uint32) bool { return strings.HasPrefix(t.names[id], "tarsum.") }
