// Package heap limits the garbage of a large heap.
//
// By default, the Go runtime lets garbage grow to the size of the live heap, half of a large
// process. The live heap here is mostly arrays without pointers, which are cheap to scan: so
// the larger the heap, the smaller the share of garbage.
package heap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	spare = 64 << 20 // bytes of garbage that are always allowed
	least = 20       // lowest value of GOGC
)

// most is the largest value of GOGC, the argument of Limit.
var most atomic.Int64

// Limit sets GOGC to percent while the heap is small and lowers it as the heap grows. It
// adjusts the value after each collection. A later call replaces percent. GOMEMLIMIT holds
// besides.
func Limit(percent int) {
	first := most.Swap(int64(percent)) == 0
	adjust()
	if first {
		runtime.SetFinalizer(&cycle{new(int)}, (*cycle).ended)
	}
}

// cycle is unreachable, so that each collection finalizes it.
type cycle struct{ _ *int }

// ended adjusts GOGC after a collection and arranges the next call.
func (c *cycle) ended() {
	adjust()
	runtime.SetFinalizer(c, (*cycle).ended)
}

// adjust sets GOGC for the live heap.
func adjust() { debug.SetGCPercent(share(inUse(), most.Load())) }

// share returns GOGC for a live heap of so many bytes.
func share(live uint64, most int64) int {
	if live == 0 {
		return int(most)
	}
	return int(max(least, min(most, int64(spare*100/live))))
}

// inUse returns the bytes of the live heap at the last collection.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
