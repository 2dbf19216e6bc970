package graph

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"regfsck/walker/layout"
)

// TestFind: each listed digest has its rank as id, its size and its newest time, and no other
// digest has an id, also if the digests were chosen to be uneven.
func TestFind(t *testing.T) {
	const seed = 5
	random := rand.New(rand.NewPCG(seed, seed))
	for name, next := range map[string]func() layout.Digest{
		"even": func() (d layout.Digest) {
			for i := range d {
				d[i] = byte(random.Uint32())
			}
			return d
		},
		"in one shard": func() (d layout.Digest) {
			binary.BigEndian.PutUint64(d[1:], random.Uint64())
			return d
		},
		"at both ends": func() (d layout.Digest) {
			for i := range d {
				d[i] = byte(-random.IntN(2))
			}
			return d
		},
		"equal beginnings": func() (d layout.Digest) {
			d[31] = byte(random.Uint32())
			d[random.IntN(9)] = 1
			return d
		},
		"few": func() layout.Digest { return layout.Digest{byte(random.IntN(3)), byte(random.IntN(3)), 31: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				table, newest := &Table{}, map[layout.Digest]uint32{}
				for range random.IntN(3000) {
					d, modified := next(), random.Uint32N(4)
					table.add(record{digest: d, modified: modified, size: int64(d[31])})
					newest[d] = max(newest[d], modified)
				}
				table.seal()
				if table.Len() != len(newest) {
					t.Fatalf("%d blobs, want %d", table.Len(), len(newest))
				}
				for id := range uint32(table.Len()) {
					d := table.digest(id)
					modified, listed := newest[d]
					found, ok := table.find(d)
					if !listed || !ok || found != id || table.Modified[id] != modified || table.Sizes[id] != int64(d[31]) {
						t.Fatalf("%s: id %d, found %d %t, listed %t, time %d, want %d", d, id, found, ok, listed, table.Modified[id], modified)
					}
					if id > 0 && table.digest(id-1).Compare(d) >= 0 {
						t.Fatalf("%s is not above the one before", d)
					}
				}
				for range 1000 {
					d := next()
					d[30] ^= byte(random.IntN(2))
					if _, listed := newest[d]; !listed {
						if id, ok := table.find(d); ok {
							t.Fatalf("%s wasn't listed, and has the id %d", d, id)
						}
					}
				}
			}
		})
	}
}

func evenTable(n int) *Table {
	random, table := rand.New(rand.NewPCG(1, 1)), &Table{}
	for range n {
		var d layout.Digest
		for i := 0; i < len(d); i += 8 {
			binary.BigEndian.PutUint64(d[i:], random.Uint64())
		}
		table.add(record{digest: d})
	}
	return table
}

func BenchmarkSeal(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		t := evenTable(100_000)
		b.StartTimer()
		t.seal()
	}
}

func BenchmarkFind(b *testing.B) {
	const n = 4_000_000
	t := evenTable(n)
	t.seal()
	digests := make([]layout.Digest, n)
	for i := range digests {
		digests[i] = t.digest(uint32(i * 7919 % n))
	}
	i := 0
	for b.Loop() {
		t.find(digests[i%n])
		i++
	}
}
