package retain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Count is how many slots a rule has. The zero Count is a rule that wasn't
// given.
type Count int

// The counts that are no numbers of slots.
const (
	All  Count = -1 // a slot for everything
	None Count = -2 // the rule was given with 0: it keeps nothing
)

// ParseCount reads a number from 0 to 999999999, or "all" ("unlimited" is the
// same).
func ParseCount(s string) (Count, error) {
	if s == "all" || s == "unlimited" {
		return All, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil || n > 999_999_999:
		return 0, fmt.Errorf("%q is neither a number, 0 or more, nor \"all\"", s)
	case n == 0:
		return None, nil
	}
	return Count(n), nil
}

// String writes a count as ParseCount reads it; the zero Count is "".
func (c Count) String() string {
	switch c {
	case 0:
		return ""
	case All:
		return "all"
	case None:
		return "0"
	}
	return strconv.Itoa(int(c))
}

func (c Count) given() bool { return c == All || c > 0 }

// slots returns c as a number.
func (c Count) slots() int {
	if c == All {
		return int(^uint(0) >> 1)
	}
	return int(c)
}

// Duration is a length of time on the calendar. A day isn't always 24 hours
// long, nor a month 30 days: it has a length only once it is known where it
// ends. The zero Duration is one that wasn't given.
type Duration struct{ Years, Months, Weeks, Days, Hours int }

// ParseDuration reads numbers with units, "36h", "30d", "2w", "6mo", "1y6mo":
// hours, days, weeks, months and years, each at most once, in any order, of at
// most six digits. A bare "m" is refused: it means minutes to some and months
// to others. So is a length of nothing.
func ParseDuration(s string) (Duration, error) {
	var d Duration
	rest := s
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		number := rest[:digits]
		rest = rest[digits:]
		letters := strings.IndexAny(rest, "0123456789")
		if letters < 0 {
			letters = len(rest)
		}
		if err := d.set(number, rest[:letters]); err != nil {
			return Duration{}, fmt.Errorf("%q: %w", s, err)
		}
		rest = rest[letters:]
	}
	if d == (Duration{}) {
		return d, fmt.Errorf("%q is no length of time: write one like 36h, 30d, 2w, 6mo or 1y6mo", s)
	}
	return d, nil
}

func (d *Duration) set(number, unit string) error {
	n, err := strconv.Atoi(number)
	if err != nil || len(number) > 6 {
		return fmt.Errorf("before %q there should be a whole number of at most six digits, not %q", unit, number)
	}
	field := map[string]*int{"h": &d.Hours, "d": &d.Days, "w": &d.Weeks, "mo": &d.Months, "y": &d.Years}[unit]
	switch {
	case unit == "m":
		return fmt.Errorf("\"%sm\" could be minutes or months: write %smo for months, or hours (h), the shortest unit", number, number)
	case unit == "":
		return fmt.Errorf("%s of what? The units are h, d, w, mo and y", number)
	case field == nil:
		return fmt.Errorf("%q is no unit: they are h, d, w, mo and y", unit)
	case *field != 0:
		return fmt.Errorf("%q stands there twice", unit)
	}
	*field = n
	return nil
}

// String writes d as ParseDuration reads it, the longest unit first; the zero
// Duration is "".
func (d Duration) String() string {
	var b strings.Builder
	for _, part := range []struct {
		n    int
		unit string
	}{{d.Years, "y"}, {d.Months, "mo"}, {d.Weeks, "w"}, {d.Days, "d"}, {d.Hours, "h"}} {
		if part.n != 0 {
			fmt.Fprintf(&b, "%d%s", part.n, part.unit)
		}
	}
	return b.String()
}

// Before returns the moment that lies d before t, on the calendar of t's
// location: first years and months, to the same day of the month or, where that
// month is shorter, to its last day; then weeks and days, to the same time of
// day; then hours, each 60 minutes long.
func (d Duration) Before(t time.Time) time.Time {
	year, month, day := t.Date()
	month -= time.Month(d.Months)
	lastDay := time.Date(year-d.Years, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	day = min(day, lastDay) - 7*d.Weeks - d.Days
	hour, minute, second := t.Clock()
	then := time.Date(year-d.Years, month, day, hour, minute, second, t.Nanosecond(), t.Location())
	if d.Years|d.Months|d.Weeks|d.Days == 0 {
		then = t // of the two hours that a clock put back shows alike, this one
	}
	return then.Add(-time.Duration(d.Hours) * time.Hour)
}

func (d Duration) negative() bool {
	return min(d.Years, d.Months, d.Weeks, d.Days, d.Hours) < 0
}
