package retain

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Time is one of a tag's dates.
type Time uint8

// The dates that rules can go by.
const (
	Pushed Time = iota
	Created
)

// ParseTime reads "pushed" or "created".
func ParseTime(s string) (Time, error) {
	for t := Pushed; t <= Created; t++ {
		if t.String() == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q is no time to go by: it is pushed or created", s)
}

func (t Time) String() string {
	if t == Created {
		return "created"
	}
	return "pushed"
}

// There were no registries of this kind before the first date; what is later
// than a little after now was written by a clock that is wrong.
const (
	earliest = 1_356_998_400 * int64(time.Second) // 2013-01-01
	leeway   = 5 * time.Minute
)

// Nanoseconds returns a date as a Tag has it: nanoseconds since 1970. The zero
// Time is 0, a date that isn't known. What lies before 1678 or after 2262 is
// the first or the last of the numbers, and 1970's first moment is 1, so that each
// is told for what it is.
func Nanoseconds(t time.Time) int64 {
	switch year := t.UTC().Year(); {
	case t.IsZero():
		return 0
	case year < 1678:
		return math.MinInt64
	case year >= 2262:
		return math.MaxInt64
	}
	return cmp.Or(t.UnixNano(), 1)
}

func believable(date int64, now time.Time) bool {
	return date >= earliest && date <= Nanoseconds(now.Add(leeway))
}

// fault returns why a date can't be believed; "" if it can.
func fault(what Time, date int64, now time.Time) string {
	switch {
	case believable(date, now):
		return ""
	case date == 0:
		return what.String() + " isn't known"
	}
	written := time.Unix(0, date).UTC().Format(time.DateOnly)
	if date < earliest {
		return fmt.Sprintf("%s %s is before 2013", what, written)
	}
	return fmt.Sprintf("%s %s is in the future", what, written)
}
