package graph

import (
	"math"
	"time"
)

// Age says what is within the grace period. Only here a time is compared with it.
type Age struct{ from int64 } // nanoseconds since 1970: what is newer is within it

// NewAge returns the Age of a store that is read at the time now. Without a grace period
// nothing is within it.
func NewAge(now time.Time, grace time.Duration) Age {
	if grace <= 0 {
		return Age{math.MaxInt64}
	}
	return Age{now.Add(-grace).UnixNano()}
}

// Covers reports whether what was written at a time is within the grace period; in
// nanoseconds since 1970.
func (a Age) Covers(ns int64) bool { return ns > a.from }

// CoversSeconds is Covers for a time as Seconds has made it. The last of the seconds
// stands for all that come after it, so it is within any grace period.
func (a Age) CoversSeconds(s uint32) bool {
	if s == math.MaxUint32 {
		return a.from < math.MaxInt64
	}
	return a.Covers(int64(s) * 1e9)
}
