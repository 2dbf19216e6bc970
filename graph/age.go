package graph

import (
	"math"
	"time"
)

// Age is the grace period of a scan. Only this file compares times with it.
type Age struct{ from int64 } // nanoseconds since 1970: newer times are in grace

// NewAge returns the Age of a scan at the time now. With grace 0, nothing is in grace.
func NewAge(now time.Time, grace time.Duration) Age {
	if grace <= 0 {
		return Age{math.MaxInt64}
	}
	return Age{now.Add(-grace).UnixNano()}
}

// Covers reports whether a time, in nanoseconds since 1970, is in grace.
func (a Age) Covers(ns int64) bool { return ns > a.from }

// CoversSeconds is Covers for a time of Seconds. The largest value stands for all later
// times, so it is always in grace.
func (a Age) CoversSeconds(s uint32) bool {
	if s == math.MaxUint32 {
		return a.from < math.MaxInt64
	}
	return a.Covers(int64(s) * 1e9)
}
