package retain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"regfsck/walker/layout"
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

// fault returns why a date can't be believed; "" if it can.
func fault(what Time, date int64, now time.Time) string {
	written := time.Unix(0, date).UTC().Format(time.DateOnly)
	switch {
	case date == 0:
		return what.String() + " isn't known"
	case date < earliest:
		return fmt.Sprintf("%s %s is before 2013", what, written)
	case date > Nanoseconds(now.Add(leeway)):
		return fmt.Sprintf("%s %s is in the future", what, written)
	}
	return ""
}

func believable(date int64, now time.Time) bool {
	return date >= earliest && date <= Nanoseconds(now.Add(leeway))
}

// dated is a tag with the dates it is put in order by.
type dated struct {
	tag    int
	date   int64
	pushed int64 // where the dates are the same; 0 if it tells nothing
}

func (d dated) compare(o dated) int {
	return cmp.Or(cmp.Compare(d.date, o.date), cmp.Compare(d.pushed, o.pushed))
}

// on returns a tag's date, and writes into its verdict which one that is.
func (s Setting) on(t *Tag, by Time, v *Verdict) dated {
	d := dated{}
	if believable(t.Pushed, s.Now) && !(by == Created && s.Store.Copied()) {
		d.pushed = t.Pushed
	}
	if by == Created && believable(t.Created, s.Now) {
		d.date, v.By = t.Created, Created
	} else {
		if by == Created {
			v.Note = fault(Created, t.Created, s.Now)
		}
		if d.date = d.pushed; d.date == 0 {
			v.Note = join(append(nonEmpty(v.Note), cmp.Or(fault(Pushed, t.Pushed, s.Now), "pushed is when the store was copied")))
		}
	}
	v.Date = d.date
	return d
}

// date gives each verdict its date, sets signatures and what can't be judged
// apart, and puts the rest in order.
func (j *judgement) date() {
	for i := range j.tags {
		t, v := &j.tags[i], &j.verdicts[i]
		if v.Subject, v.Signature = layout.SubjectOf(t.Name); v.Signature {
			v.Why = "it stays as long as " + v.Subject.String()
			continue
		}
		d := j.setting.on(t, j.rules.By, v)
		d.tag = i
		switch {
		case t.Doubt != "":
			j.keep(i, "in doubt ("+t.Doubt+")")
		case t.Digest == layout.Digest{}:
			j.keep(i, "in doubt (what it names isn't known)")
		case d.date == 0:
			j.keep(i, "of unknown age ("+v.Note+")")
		default:
			j.order = append(j.order, d)
		}
	}
	sortNewest(j.order)
}

// sortNewest puts the newest first. Among tags of the same date the pushed
// times decide only if all are known.
func sortNewest(order []dated) {
	slices.SortFunc(order, func(a, b dated) int { return cmp.Compare(b.date, a.date) })
	for rest := order; len(rest) > 0; {
		same := rest[:leading(rest, func(d dated) bool { return d.date == rest[0].date })]
		if slices.ContainsFunc(same, func(d dated) bool { return d.pushed == 0 }) {
			for i := range same {
				same[i].pushed = 0
			}
		}
		rest = rest[len(same):]
	}
	slices.SortFunc(order, func(a, b dated) int { return b.compare(a) })
}

// leading returns how many of the first elements are so.
func leading(order []dated, so func(dated) bool) int {
	if n := slices.IndexFunc(order, func(d dated) bool { return !so(d) }); n >= 0 {
		return n
	}
	return len(order)
}
