package backend

import (
	"context"
	"math"
	"time"
)

// Nanoseconds returns the time of an Item, in nanoseconds since 1970. A time outside 64
// bits, before 1678 or after 2262, is clamped, so that no future time looks old.
func Nanoseconds(seconds, nanoseconds int64) int64 {
	const most = math.MaxInt64 / 1_000_000_000
	switch {
	case seconds >= most:
		return math.MaxInt64
	case seconds <= -most:
		return math.MinInt64
	}
	return seconds*1_000_000_000 + nanoseconds
}

// Seconds returns an Item's time in whole seconds since 1970, rounded up, so that nothing
// looks older than it is, and clamped to 32 bits.
func Seconds(nanoseconds int64) int64 {
	s := nanoseconds / 1e9
	if nanoseconds > s*1e9 {
		s++
	}
	return min(max(s, 0), math.MaxUint32)
}

// WaitUntil returns nil at a time, or the context's error when that ends before.
func WaitUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
