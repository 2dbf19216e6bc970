// Package ledger records which blobs of a store were hashed, and when, so that only what
// changed since has to be hashed again.
//
// A ledger is one file that is only appended to. It begins with the identity of its store.
// Records are in blocks, and each block ends with a SHA-256 over itself and over the sum
// of the block before it. A truncated file is used up to the cut. If a block in the middle
// was changed, it and everything after it are ignored. The sums have no key: they detect
// damage and mistakes, but any user who may write the file can write a valid one.
//
// A record counts for a blob only while the listing shows the same size, time and Stamp,
// and never if there is no Stamp. A record of wrong bytes proves nothing: such a blob is
// hashed again before it is reported.
//
// A Ledger joins several files about one store. The clocks of the machines that wrote
// them may differ, so the newest record need not be the true one: a record of wrong bytes
// counts more than any of right ones, and among right ones the newest counts. Match
// compares the records with a listing; then Lookup returns when a listed blob was last
// verified.
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

// Stamp changes whenever a blob is written again, as far as the store shows it. It is zero
// where the store shows nothing of that kind; then no record of the blob counts.
type Stamp [16]byte

// StampOf returns the stamp of a listed file: made from the ETag, or else from the inode
// and the time, in nanoseconds since 1970, at which the file system last changed it.
func StampOf(etag string, inode uint64, changed int64) (s Stamp) {
	switch {
	case etag == "" && changed == 0: // an inode alone may have been reused
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

// Verdict is the result of hashing a blob.
type Verdict uint8

// The verdicts. Their numbers are stored in files.
const (
	Unknown Verdict = iota // it wasn't hashed, or no record of it counts
	Right                  // its bytes hash to its digest
	Wrong                  // they don't
)

// Record is the result of hashing one blob.
type Record struct {
	Digest   layout.Digest
	Size     int64 // bytes
	Modified int64 // nanoseconds since 1970, as the listing showed it
	Stamp    Stamp
	Hashed   int64 // seconds since 1970
	Verdict  Verdict

	reported bool // by AddReport: Size is unknown, and Modified is an upper bound
}

// matches reports whether a record is about a listed blob as it is now.
func (r *Record) matches(listed *Record) bool {
	if r.reported {
		return r.Stamp == listed.Stamp && r.Stamp != Stamp{} && listed.Modified <= r.Modified
	}
	return r.sameBlob(listed)
}

// sameBlob reports whether both are about the same bytes, as far as a listing shows.
func (r *Record) sameBlob(o *Record) bool {
	return r.Size == o.Size && r.Modified == o.Modified && r.Stamp == o.Stamp && r.Stamp != Stamp{}
}

// worstFirst orders the records of one digest: wrong ones before right ones, then the
// newest first.
func worstFirst(a, b *Record) int {
	return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(b.Hashed, a.Hashed))
}

// Ledger has the records of one store. The zero Ledger has none. It isn't safe for
// concurrent use.
type Ledger struct {
	// Since is the earliest time, in seconds since 1970, of a record that counts as
	// verified.
	Since int64
	// Until is the latest such time: a later record of right bytes was written by a clock
	// that was wrong, and is ignored. 0 allows any time.
	Until int64
	// Notes are sentences about what is wrong with the files that were read.
	Notes []string

	known [256][]Record // records of the files, by first byte of the digest, until Match
	blobs [256][]entry  // what the listing shows, likewise
	out   *writer       // for Put; nil if there is no file to write
}

// entry is a listed blob, with its record if one counts.
type entry struct {
	Record
	conflicting bool // listed more than once, with differences: no record counts
}

// add adds records, and returns how many it ignores because they are later than Until.
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

// AddReport adds what another program has hashed: Digest, Stamp and Verdict of blobs, as
// they were before the time made. Such a report has no sizes and times. read calls add for
// each record. If read returns an error, none of them counts, and AddReport returns the
// error.
func (l *Ledger) AddReport(made time.Time, read func(add func(Record)) error) error {
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

// AddListed adds blobs of a listing: Digest, Size, Modified and Stamp.
func (l *Ledger) AddListed(blobs []Record) {
	for _, r := range blobs {
		r.Hashed, r.Verdict = 0, Unknown
		l.blobs[r.Digest[0]] = append(l.blobs[r.Digest[0]], entry{Record: r})
	}
}

// Match ends the listing, and gives each blob the worst record about the same bytes; of
// right ones, the newest. It drops records of blobs that aren't listed.
func (l *Ledger) Match() {
	unmarked, disputed, dispute := 0, 0, layout.Digest{}
	for b := range l.blobs {
		known := l.known[b]
		slices.SortFunc(known, func(a, b Record) int { return cmp.Or(a.Digest.Compare(b.Digest), worstFirst(&a, &b)) })
		l.blobs[b] = listed(l.blobs[b])
		for i := range l.blobs[b] {
			e := &l.blobs[b][i]
			if e.Stamp == (Stamp{}) {
				unmarked++
			}
			at, _ := slices.BinarySearchFunc(known, e.Digest, func(r Record, d layout.Digest) int { return r.Digest.Compare(d) })
			if !e.conflicting && e.match(known[at:]) {
				disputed, dispute = disputed+1, e.Digest
			}
		}
		l.known[b] = nil
	}
	if disputed > 0 {
		l.note("The reports disagree about blobs (%d, for example %s): these are hashed again", disputed, dispute)
	}
	if unmarked > 0 {
		l.note("The listing shows neither an ETag nor a change time of %d blobs, so it is unknown whether they were written again: nothing is remembered of them, and no record of them counts", unmarked)
	}
}

// match gives a listed blob the first record about the same bytes. known begins with its
// records, in the order of worstFirst. disputed reports whether reports contradict each
// other about it.
func (e *entry) match(known []Record) (disputed bool) {
	var first *Record
	for i := range known {
		r := &known[i]
		switch {
		case r.Digest != e.Digest:
			return disputed
		case !r.matches(&e.Record):
		case first == nil:
			first, e.Hashed, e.Verdict = r, r.Hashed, r.Verdict
		case r.reported && first.reported && r.Verdict != first.Verdict:
			disputed = true
		}
	}
	return disputed
}

// listed sorts listed blobs by digest, and leaves one entry for each digest.
func listed(shard []entry) []entry {
	slices.SortFunc(shard, func(a, b entry) int { return a.Digest.Compare(b.Digest) })
	for i := 1; i < len(shard); i++ {
		if shard[i].Digest == shard[i-1].Digest {
			same := !shard[i-1].conflicting && shard[i].sameBlob(&shard[i-1].Record)
			shard[i].conflicting, shard[i-1].conflicting = !same, !same
		}
	}
	return slices.CompactFunc(shard, func(a, b entry) bool { return a.Digest == b.Digest })
}

// find returns the entry of a listed blob; nil for any other.
func (l *Ledger) find(d layout.Digest) *entry {
	shard := l.blobs[d[0]]
	at, ok := slices.BinarySearchFunc(shard, d, func(e entry, d layout.Digest) int { return e.Digest.Compare(d) })
	if !ok {
		return nil
	}
	return &shard[at]
}

// Lookup returns the verdict of the record that counts for a listed blob, and when the blob
// was hashed, in seconds since 1970; Unknown and 0 if there is none. A record of right
// bytes that is older than Since gives its time, but the verdict Unknown.
func (l *Ledger) Lookup(d layout.Digest) (v Verdict, hashed int64) {
	e := l.find(d)
	if e == nil {
		return Unknown, 0
	}
	if e.Verdict == Right && e.Hashed < l.Since {
		return Unknown, e.Hashed
	}
	return e.Verdict, e.Hashed
}

// minAge is the age, in seconds, below which a hashed blob is not recorded: it could be
// written again within the resolution of its time, and look the same.
const minAge = 60

// Put records that a blob was hashed at the time now, and appends that to the file of Open.
// It ignores a blob that isn't listed, or was listed with differences; it doesn't append a
// blob that has no Stamp, or was modified within the last minute. Close returns an error of
// writing.
func (l *Ledger) Put(d layout.Digest, v Verdict, now time.Time) {
	e := l.find(d)
	if e == nil || e.conflicting {
		return
	}
	e.Hashed, e.Verdict = now.Unix(), v
	if l.out != nil && e.Stamp != (Stamp{}) && now.Unix()-e.Modified/1e9 >= minAge {
		l.out.put(e.Record)
	}
}

// Close writes the last records, syncs and closes the file of Open. After an error some of
// the records that were put may be missing; those that are in the file are valid.
func (l *Ledger) Close() error {
	if l.out == nil {
		return nil
	}
	defer func() { l.out = nil }()
	return l.out.close()
}

// Part is one of N equal ranges of digests: the I-th, from 1.
type Part struct{ I, N uint64 }

// Has reports whether a digest is in the part. Each digest is in exactly one of N parts.
func (p Part) Has(d layout.Digest) bool {
	at, _ := bits.Mul64(binary.BigEndian.Uint64(d[:8]), p.N)
	return at == p.I-1
}
