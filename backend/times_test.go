package backend

import (
	"math"
	"testing"
	"time"
)

func TestNanosecondsKeepTheOrderOfTimes(t *testing.T) {
	was := int64(math.MinInt64)
	for _, year := range []int{1, 1600, 1677, 1678, 1960, 1970, 2026, 2106, 2107, 2261, 2262, 2263, 2400, 2555, 2847, 9999} {
		at := time.Date(year, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
		got := Nanoseconds(at.Unix(), int64(at.Nanosecond()))
		if got < was {
			t.Errorf("%v: %d, and an earlier time is %d", at, got, was)
		}
		if 1678 <= year && year < 2262 && got != at.UnixNano() {
			t.Errorf("%v: %d, want %d", at, got, at.UnixNano())
		}
		was = got
	}
}
