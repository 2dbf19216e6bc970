package retain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Count is a rule's number of slots. The zero Count is a rule that was not given.
type Count int

// Special counts.
const (
	All  Count = -1 // unlimited
	None Count = -2 // given as 0: no slots
)

// ParseCount parses a number from 0 to 999999999, or "all" or "unlimited".
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

// String prints a count as ParseCount parses it; the zero Count is "".
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

// slots returns the number of slots.
func (c Count) slots() int {
	if c == All {
		return int(^uint(0) >> 1)
	}
	return int(c)
}

// Duration is a calendar duration. The length of its days and months depends on its end. The
// zero Duration was not given.
type Duration struct{ Years, Months, Weeks, Days, Hours int }

// ParseDuration parses numbers with units, "36h", "30d", "2w", "6mo", "1y6mo": hours, days,
// weeks, months and years, each at most once, in any order, at most six digits each. A bare
// "m" is refused, because it may mean minutes or months; so is a duration of 0.
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
		return fmt.Errorf("%q is given twice", unit)
	}
	*field = n
	return nil
}

// String prints d as ParseDuration parses it, the longest unit first; the zero Duration is
// "".
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

// Before returns the time d before t, in t's location: first years and months, to the same
// day of the month or the month's last day; then weeks and days, to the same time of day;
// then hours of 60 minutes.
func (d Duration) Before(t time.Time) time.Time {
	year, month, day := t.Date()
	month -= time.Month(d.Months)
	lastDay := time.Date(year-d.Years, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	day = min(day, lastDay) - 7*d.Weeks - d.Days
	hour, minute, second := t.Clock()
	then := time.Date(year-d.Years, month, day, hour, minute, second, t.Nanosecond(), t.Location())
	if d.Years|d.Months|d.Weeks|d.Days == 0 {
		then = t // chooses one of the two equal hours of a clock change
	}
	return then.Add(-time.Duration(d.Hours) * time.Hour)
}

func (d Duration) negative() bool {
	return min(d.Years, d.Months, d.Weeks, d.Days, d.Hours) < 0
}
