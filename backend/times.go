package backend

import "math"

// Nanoseconds returns a time as an Item has it, in nanoseconds since 1970. A time
// that 64 bits can't hold, before 1678 or past 2262, is the nearer end of them, so
// that nothing from the future looks old.
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

// Seconds returns an Item's time in whole seconds since 1970, rounded up, so that
// nothing looks older than it is. One that 32 bits can't hold is the nearer end of them.
func Seconds(nanoseconds int64) int64 {
	s := nanoseconds / 1e9
	if nanoseconds > s*1e9 {
		s++
	}
	return min(max(s, 0), math.MaxUint32)
}
