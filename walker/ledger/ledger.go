// Package ledger remembers which blobs of a store were hashed, and when, so that only
// what changed since has to be hashed again.
//
// A ledger is one file that is only ever appended to. It begins with the identity of its
// store. Records come in blocks, and each block ends with a SHA-256 over itself and over
// the sum of the block before it: a file that was cut is used up to the cut, and of one
// that was changed in the middle nothing behind the change is believed. The sums have no
// key. They find damage and mistakes; whoever may write the file can write a new one.
//
// A record counts for a blob only while the listing shows the same size, the same time
// and the same Stamp, and never where there is no Stamp. A record of wrong bytes never
// proves anything: such a blob is hashed again before anything is said of it.
//
// A Ledger is what several files together say of one store. Their records were written by
// the clocks of several machines, and a clock may be wrong. So which record is the newest
// doesn't tell which is true: one of wrong bytes counts more than any of right ones of the
// same bytes, and among right ones the newest counts. It takes in what a listing shows, and tells of each listed blob when its
// bytes were last seen to be right.
package ledger

import (
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"time"

	"regfsck/walker/layout"
)

// Stamp changes whenever the store writes the bytes of a blob anew, as far as the store
// tells. It is zero where the store tells nothing of that kind, and then nothing is
// remembered.
type Stamp [16]byte

// StampOf makes a stamp of what a listing shows: of the ETag, or else of the inode and
// the time, in nanoseconds since 1970, at which the file system last changed it.
func StampOf(etag string, inode uint64, changed int64) (s Stamp) {
	switch {
	case etag == "" && changed == 0: // a number that is used again tells nothing
	case etag == "":
		binary.BigEndian.PutUint64(s[:8], inode)
		binary.BigEndian.PutUint64(s[8:], uint64(changed))
	case len(etag) == hex.EncodedLen(md5.Size):
		if _, err := hex.Decode(s[:], []byte(etag)); err == nil {
			return s
		}
		fallthrough
	default:
		sum := sha256.Sum256([]byte(etag))
		copy(s[:], sum[:])
	}
	return s
}

// Verdict is what hashing a blob came to.
type Verdict uint8

// The verdicts. Their numbers stand in files.
const (
	Unknown Verdict = iota // it wasn't hashed, or it isn't known
	Right                  // its bytes are those that its digest names
	Wrong                  // they are not
)

// Record is what is known of one blob.
type Record struct {
	Digest   layout.Digest
	Size     int64 // bytes
	Modified int64 // nanoseconds since 1970, as the listing showed it
	Stamp    Stamp
	Hashed   int64 // seconds since 1970
	Verdict  Verdict
}

// sameBlob reports whether both are about the same bytes, as far as a listing can tell.
func (r *Record) sameBlob(o *Record) bool {
	return r.Size == o.Size && r.Modified == o.Modified && r.Stamp == o.Stamp && r.Stamp != Stamp{}
}

// worse orders the records of one digest: those of wrong bytes first, and of one verdict
// the newest.
func worse(a, b *Record) int {
	return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(b.Hashed, a.Hashed))
}

// Ledger is what is known of one store. The zero Ledger knows nothing. It isn't safe for
// concurrent use.
type Ledger struct {
	// Since is when a blob has to have been hashed at the earliest, in seconds since 1970,
	// so that its record counts.
	Since int64
	// Until is when it may have been hashed at the latest, likewise: a record of right bytes
	// that is later was written by a clock that was wrong. 0 is any time.
	Until int64
	// Notes are sentences about what is wrong with the files that were read.
	Notes []string

	known [256][]Record // what files say, by first byte of the digest; sorted by Settle, one of a digest
	blobs [256][]entry  // what the listing shows, likewise
	out   *writer       // of Put; nil where nothing is written
}

// entry is a blob of the listing, with its record as far as it counts.
type entry struct {
	Record
	twice bool // listed more than once, and not alike: nothing is known of it
}

// add takes in records that were read, and returns how many it leaves out because they
// are later than Until.
func (l *Ledger) add(records []Record) (ahead int) {
	for _, r := range records {
		if l.Until > 0 && r.Hashed > l.Until && r.Verdict != Wrong {
			ahead++
			continue
		}
		l.known[r.Digest[0]] = append(l.known[r.Digest[0]], r)
	}
	return ahead
}

// List takes in blobs of a listing: Digest, Size, Modified and Stamp.
func (l *Ledger) List(blobs []Record) {
	for _, r := range blobs {
		r.Hashed, r.Verdict = 0, Unknown
		l.blobs[r.Digest[0]] = append(l.blobs[r.Digest[0]], entry{Record: r})
	}
}

// Settle ends the listing, and gives each blob the worst record that is about the same
// bytes, and of right ones the newest. Of what isn't listed nothing is remembered any more.
func (l *Ledger) Settle() {
	unmarked := 0
	for b := range l.blobs {
		known := l.known[b]
		slices.SortFunc(known, func(a, b Record) int { return cmp.Or(a.Digest.Compare(b.Digest), worse(&a, &b)) })
		l.blobs[b] = listed(l.blobs[b])
		for i := range l.blobs[b] {
			e := &l.blobs[b][i]
			if e.Stamp == (Stamp{}) {
				unmarked++
			}
			at, _ := slices.BinarySearchFunc(known, e.Digest, func(r Record, d layout.Digest) int { return r.Digest.Compare(d) })
			for ; at < len(known) && known[at].Digest == e.Digest && !e.twice; at++ {
				if known[at].sameBlob(&e.Record) {
					e.Hashed, e.Verdict = known[at].Hashed, known[at].Verdict
					break
				}
			}
		}
		l.known[b] = nil
	}
	if unmarked > 0 {
		l.note("The listing shows neither an ETag nor a change time of %d blobs: it can't tell whether they were written again. So nothing is remembered of them, and no record of them counts", unmarked)
	}
}

// listed sorts what was listed by digest, and leaves each one once.
func listed(shard []entry) []entry {
	slices.SortFunc(shard, func(a, b entry) int { return a.Digest.Compare(b.Digest) })
	for i := 1; i < len(shard); i++ {
		if shard[i].Digest == shard[i-1].Digest {
			same := !shard[i-1].twice && shard[i].sameBlob(&shard[i-1].Record)
			shard[i].twice, shard[i-1].twice = !same, !same
		}
	}
	return slices.CompactFunc(shard, func(a, b entry) bool { return a.Digest == b.Digest })
}

// find returns what is known of a listed blob; nil of any other.
func (l *Ledger) find(d layout.Digest) *entry {
	shard := l.blobs[d[0]]
	at, ok := slices.BinarySearchFunc(shard, d, func(e entry, d layout.Digest) int { return e.Digest.Compare(d) })
	if !ok {
		return nil
	}
	return &shard[at]
}

// Of returns what the record that counts says of a blob that is listed, as it is listed, and
// when it was hashed, in seconds since 1970. A record of right bytes that is older than
// Since says no more than when that was: the verdict is Unknown.
func (l *Ledger) Of(d layout.Digest) (v Verdict, hashed int64) {
	e := l.find(d)
	if e == nil {
		return Unknown, 0
	}
	if e.Verdict == Right && e.Hashed < l.Since {
		return Unknown, e.Hashed
	}
	return e.Verdict, e.Hashed
}

// unsteady is how old a blob has to be, in seconds, so that it is remembered that it was
// hashed: within that time it may be written again and look the same.
const unsteady = 60

// Put remembers that a blob was hashed at the time now, and writes it down where the
// Ledger writes. What isn't listed, or was listed in two ways, is left out, and so is
// what was written within the last minute by its time, or has no Stamp. What can't be
// written Close tells.
func (l *Ledger) Put(d layout.Digest, v Verdict, now time.Time) {
	e := l.find(d)
	if e == nil || e.twice {
		return
	}
	e.Hashed, e.Verdict = now.Unix(), v
	if l.out != nil && e.Stamp != (Stamp{}) && now.Unix()-e.Modified/1e9 >= unsteady {
		l.out.put(e.Record)
	}
}

// Close writes down what is left to write, and gives the file free. An error means that
// not all was written that was put; what was stands.
func (l *Ledger) Close() error {
	if l.out == nil {
		return nil
	}
	defer func() { l.out = nil }()
	return l.out.close()
}

// Part is one of several equal parts of all digests: the I-th of N, from 1.
type Part struct{ I, N uint64 }

// Has reports whether a digest is in the part. Each digest is in one part of N.
func (p Part) Has(d layout.Digest) bool {
	at, _ := bits.Mul64(binary.BigEndian.Uint64(d[:8]), p.N)
	return at == p.I-1
}
