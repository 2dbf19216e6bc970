package graph

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"strings"

	"regfsck/walker/layout"
)

// record is a listed blob. Times are whole seconds, rounded up: no blob seems older than it
// is.
type record struct {
	digest   layout.Digest
	modified uint32
	archived bool // takes no space: it fills the alignment
	size     int64
}

// other is a listed blob whose digest has another algorithm than sha256.
type other struct {
	name     string
	modified uint32
	archived bool
	size     int64
}

// Table has every blob's digest once, in sorted shards by first byte. A blob's id is its rank
// over all shards; sizes and times are arrays by id. The few blobs of other algorithms than
// sha256 have the last ids, in the order of their digests' texts, which Digests has.
type Table struct {
	listed   [256]chunks // until seal
	others   []other     // until seal
	digests  [256][]layout.Digest
	First    [257]uint32 // id of each shard's first digest
	Sizes    []int64
	Modified []uint32 // seconds since 1970
	archived Bitset   // by id: the storage class says so
	read     byte     // what warm read: the compiler would leave out reads without a use
}

// chunks are records in pieces that are not moved: one slice of hundreds of megabytes would be
// copied each time it grows, and use twice the memory meanwhile.
type chunks [][]record

const (
	firstChunk = 16   // records of the first piece; each next one has twice as many,
	lastChunk  = 1024 // up to this
)

func (c *chunks) add(r record) {
	n := len(*c)
	if n == 0 || len((*c)[n-1]) == cap((*c)[n-1]) {
		*c = append(*c, make([]record, 0, min(lastChunk, firstChunk<<min(n, 16))))
		n++
	}
	last := &(*c)[n-1]
	*last = append(*last, r)
}

func (t *Table) add(r record) { t.listed[r.digest[0]].add(r) }

// seal sorts the records and assigns the ids. A digest that was listed twice counts once, with
// its newest time. It returns the digests of other algorithms in the order of their ids.
func (t *Table) seal() (names []string) {
	total := 0
	for b := range t.listed {
		for _, chunk := range t.listed[b] {
			total += len(chunk)
		}
	}
	t.Sizes = make([]int64, 0, total)
	t.Modified = make([]uint32, 0, total)
	for b := range t.listed {
		shard := t.listed[b].sorted()
		t.listed[b] = nil
		t.First[b+1] = t.First[b] + uint32(len(shard))
		t.digests[b] = make([]layout.Digest, len(shard))
		for i, r := range shard {
			t.digests[b][i] = r.digest
			t.Sizes = append(t.Sizes, r.size)
			t.Modified = append(t.Modified, r.modified)
			if r.archived {
				t.archived.Add(t.First[b] + uint32(i))
			}
		}
	}
	slices.SortFunc(t.others, func(a, b other) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(b.modified, a.modified))
	})
	t.others = slices.CompactFunc(t.others, func(a, b other) bool { return a.name == b.name })
	for _, o := range t.others {
		if names = append(names, o.name); o.archived {
			t.archived.Add(uint32(len(t.Sizes)))
		}
		t.Sizes, t.Modified = append(t.Sizes, o.size), append(t.Modified, o.modified)
	}
	t.others = nil
	return names
}

// sorted returns the records in the order of their digests, of each only the newest. The first
// bytes are equal, and the second ones nearly order digests, which are uniformly distributed.
func (c chunks) sorted() []record {
	var begin [257]int // by second byte: where its records begin
	for _, chunk := range c {
		for i := range chunk {
			begin[int(chunk[i].digest[1])+1]++
		}
	}
	for b := range 256 {
		begin[b+1] += begin[b]
	}
	shard, next := make([]record, begin[256]), begin
	for _, chunk := range c {
		for i := range chunk {
			b := chunk[i].digest[1]
			shard[next[b]] = chunk[i]
			next[b]++
		}
	}
	for first, end := 0, 0; first < len(shard); first = end {
		end = begin[int(shard[first].digest[1])+1]
		slices.SortFunc(shard[first:end], func(a, b record) int {
			if c := a.digest.Compare(b.digest); c != 0 {
				return c
			}
			return int(int64(b.modified) - int64(a.modified))
		})
	}
	return slices.CompactFunc(shard, func(a, b record) bool { return a.digest == b.digest })
}

func (t *Table) Len() int { return len(t.Sizes) }

// find returns d's id. Digests are uniformly distributed, so the position in the shard is
// estimated from the next bytes, and the search starts there. For digests that were chosen to
// be uneven it is a binary search.
func (t *Table) find(d layout.Digest) (uint32, bool) {
	shard := t.digests[d[0]]
	n := len(shard)
	if n == 0 {
		return 0, false
	}
	next := binary.BigEndian.Uint64(d[1:])
	below := func(i int) bool {
		other := binary.BigEndian.Uint64(shard[i][1:])
		return other < next || other == next && shard[i].Compare(d) < 0
	}
	guess := place(shard, &d)
	lo, hi := 0, n // the first digest that isn't below d is in [lo, hi]
	if below(guess) {
		lo = guess + 1
		for step := 1; guess+step < n; step *= 2 {
			if !below(guess + step) {
				hi = guess + step
				break
			}
			lo = guess + step + 1
		}
	} else {
		hi = guess
		for step := 1; guess-step >= 0; step *= 2 {
			if below(guess - step) {
				lo = guess - step + 1
				break
			}
			hi = guess - step
		}
	}
	at := lo + sort.Search(hi-lo, func(i int) bool { return !below(lo + i) })
	return t.First[d[0]] + uint32(at), at < n && shard[at] == d
}

// place returns where d is in a shard, if the digests are evenly distributed. The one that
// is at a first estimate shows how far that is off.
func place(shard []layout.Digest, d *layout.Digest) int {
	n := len(shard)
	guess := estimate(d, n)
	return min(max(0, 2*guess-estimate(&shard[guess], n)), n-1)
}

func estimate(d *layout.Digest, n int) int {
	return int(uint64(binary.BigEndian.Uint32(d[1:])) * uint64(n) >> 32)
}

// warm reads where digests are that are looked up next. The processor reads several of these
// places at once; searches, one after the other, would each wait for memory.
func (t *Table) warm(n int, digest func(i int) *layout.Digest) {
	var at [64]int
	for from := 0; from < n; from += len(at) {
		group := at[:min(len(at), n-from)]
		for i := range group {
			d := digest(from + i)
			if shard := t.digests[d[0]]; len(shard) > 0 {
				group[i] = place(shard, d)
			}
		}
		for i := range group {
			if shard := t.digests[digest(from + i)[0]]; len(shard) > 0 {
				t.read ^= shard[group[i]][0]
			}
		}
	}
}

// digest returns the digest of a blob's id; zero for another algorithm.
func (t *Table) digest(id uint32) layout.Digest {
	if id >= t.First[256] {
		return layout.Digest{}
	}
	b := sort.Search(255, func(b int) bool { return t.First[b+1] > id })
	return t.digests[b][id-t.First[b]]
}
