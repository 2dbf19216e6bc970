// Package heap decides how much memory may be wasted before it is collected.
//
// The Go runtime lets garbage grow to as much as is in use. For a large registry that
// is half a process's memory, and what is in use there are arrays without pointers, which
// are collected in no time. So the larger a heap is the less of it may be garbage.
package heap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	spare = 64 << 20 // bytes of garbage that do no harm
	least = 20       // percent of what is in use that garbage may reach whatever that is
)

// most is the share that Limit allows, in percent.
var most atomic.Int64

// Limit lets garbage grow to so many percent of what is in use while that is small, and
// to ever less of a large heap. It holds from now on, and looks again after each
// collection; a later call changes the share. A limit of the whole process's memory
// (GOMEMLIMIT) holds besides.
func Limit(percent int) {
	first := most.Swap(int64(percent)) == 0
	adjust()
	if first {
		runtime.SetFinalizer(&cycle{new(int)}, (*cycle).ended)
	}
}

// cycle is of no use to anybody, so that each collection finds it.
type cycle struct{ _ *int }

// ended adjusts the share after a collection, and waits for the next one.
func (c *cycle) ended() {
	adjust()
	runtime.SetFinalizer(c, (*cycle).ended)
}

// adjust sets the share by what is in use.
func adjust() { debug.SetGCPercent(share(inUse(), most.Load())) }

// share returns how many percent of what is in use may be garbage.
func share(live uint64, most int64) int {
	if live == 0 {
		return int(most)
	}
	return int(max(least, min(most, int64(spare*100/live))))
}

// inUse returns the bytes that the last collection found in use.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
