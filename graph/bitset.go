package graph

// bitset is a set of small numbers, a bit each. It grows as needed.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint32) bool {
	return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0
}

// add puts i into the set and reports whether it is new there.
func (b *bitset) add(i uint32) bool {
	for int(i/64) >= len(*b) {
		*b = append(*b, 0)
	}
	was := (*b)[i/64]
	(*b)[i/64] = was | 1<<(i%64)
	return was&(1<<(i%64)) == 0
}
