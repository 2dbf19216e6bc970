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

	reported bool // by Report: Size isn't known, and Modified is the latest that it may be
}

// of reports whether a record that was read is about a listed blob as it is.
func (r *Record) of(listed *Record) bool {
	if r.reported {
		return r.Stamp == listed.Stamp && r.Stamp != Stamp{} && listed.Modified <= r.Modified
	}
	return r.sameBlob(listed)
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

// Report takes in what somebody else has hashed, who knows neither sizes nor times: Digest,
// Stamp and Verdict of blobs, as they were before the time made. read calls add for each;
// where it returns an error none of them counts, and that is the error.
func (l *Ledger) Report(made time.Time, read func(add func(Record)) error) error {
	var before [256]int
	for b := range l.known {
		before[b] = len(l.known[b])
	}
	ahead := 0
	err := read(func(r Record) {
		r.Size, r.Modified, r.Hashed, r.reported = 0, made.UnixNano(), made.Unix(), true
		ahead += l.add([]Record{r})
	})
	if err != nil {
		for b, n := range before {
			l.known[b] = l.known[b][:n]
		}
		return err
	}
	if ahead > 0 {
		l.note("%d records of a report are of a later time than now, %s: a clock was wrong. They don't count", ahead, made.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return nil
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
	unmarked, disputed, dispute := 0, 0, layout.Digest{}
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
			if !e.twice && e.take(known[at:]) {
				disputed, dispute = disputed+1, e.Digest
			}
		}
		l.known[b] = nil
	}
	if disputed > 0 {
		l.note("Reports say both of %d blobs that they are right and that they are wrong, of %s for one: these are hashed again", disputed, dispute)
	}
	if unmarked > 0 {
		l.note("The listing shows neither an ETag nor a change time of %d blobs, so it is unknown whether they were written again: nothing is remembered of them, and no record of them counts", unmarked)
	}
}

// take gives a listed blob the first record that is about the same bytes. Known begins with
// its records, in the order of worse. disputed reports whether reports contradict each other
// about it.
func (e *entry) take(known []Record) (disputed bool) {
	var first *Record
	for i := range known {
		r := &known[i]
		switch {
		case r.Digest != e.Digest:
			return disputed
		case !r.of(&e.Record):
		case first == nil:
			first, e.Hashed, e.Verdict = r, r.Hashed, r.Verdict
		case r.reported && first.reported && r.Verdict != first.Verdict:
			disputed = true
		}
	}
	return disputed
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
