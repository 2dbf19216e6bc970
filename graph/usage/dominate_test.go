package usage

import (
	"math/rand/v2"
	"testing"
)

// avoiding returns which vertices can be reached from 0 without one.
func avoiding(first, to []uint32, not uint32) []bool {
	seen := make([]bool, len(first)-1)
	todo := []uint32{0}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v == not || seen[v] {
			continue
		}
		seen[v] = true
		todo = append(todo, to[first[v]:first[v+1]]...)
	}
	return seen
}

// TestDominators compares with the definition: u dominates v if v can't be reached without u.
func TestDominators(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(12)
		out := make([][]uint32, n)
		for v := 1; v < n; v++ { // makes each reachable
			from := r.IntN(v)
			out[from] = append(out[from], uint32(v))
		}
		for range r.IntN(2 * n) {
			from := r.IntN(n)
			out[from] = append(out[from], uint32(r.IntN(n)))
		}
		first, to := []uint32{0}, []uint32(nil)
		for _, all := range out {
			to = append(to, all...)
			first = append(first, uint32(len(to)))
		}
		order, by := dominators(first, to)
		if len(order) != n || len(by) != n {
			t.Fatalf("seed %d: %d of %d vertices", seed, len(order), n)
		}
		place := make([]int, n)
		for at, v := range order {
			place[v] = at
			if at > 0 && int(by[at]) >= at {
				t.Fatalf("seed %d: %d stands before its dominator", seed, v)
			}
		}
		for u := range uint32(n) {
			reached := avoiding(first, to, u)
			for v := range uint32(n) {
				if above := isAbove(by, place[u], place[v]); above == reached[v] {
					t.Fatalf("seed %d: %v: %d above %d: %v", seed, out, u, v, above)
				}
			}
		}
	}
}

func isAbove(by []uint32, u, v int) bool {
	for v != u && v != 0 {
		v = int(by[v])
	}
	return v == u
}

// TestDominatorsOfALongChain: a long chain with as many edges back takes no longer.
func TestDominatorsOfALongChain(t *testing.T) {
	const n = 300_000
	first, to := []uint32{0}, []uint32(nil)
	for v := range uint32(n) {
		if v+1 < n {
			to = append(to, v+1)
		}
		to = append(to, v/2)
		first = append(first, uint32(len(to)))
	}
	order, by := dominators(first, to)
	for at := 1; at < len(order); at++ {
		if order[by[at]]+1 != order[at] {
			t.Fatalf("%d is below %d", order[at], order[by[at]])
		}
	}
}
