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

// The dates that rules can use.
const (
	Pushed Time = iota
	Created
)

// ParseTime parses "pushed" or "created".
func ParseTime(s string) (Time, error) {
	for t := Pushed; t <= Created; t++ {
		if t.String() == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q isn't a time that rules can use: give pushed or created", s)
}

func (t Time) String() string {
	if t == Created {
		return "created"
	}
	return "pushed"
}

// The range of valid dates. There were no such registries before the first; dates after now,
// with a tolerance, come from a wrong clock.
const (
	earliest = 1_356_998_400 * int64(time.Second) // 2013-01-01
	leeway   = 5 * time.Minute
)

// Nanoseconds returns a date as a Tag has it, in nanoseconds since 1970. The zero Time is 0:
// unknown. Times outside the range are clamped, and 1970's first nanosecond is 1.
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

// fault returns why a date can't be used; "" if it can.
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

// dated is a tag with the dates that order it.
type dated struct {
	tag    int
	date   int64
	pushed int64 // decides between equal dates; 0 if unknown
}

func (d dated) compare(o dated) int {
	return cmp.Or(cmp.Compare(d.date, o.date), cmp.Compare(d.pushed, o.pushed))
}

// dateOf returns the dates of a tag and writes them to its verdict. kept is why a tag
// without a usable date is kept.
func (o Options) dateOf(t *Tag, by Time, v *Verdict) (d dated, kept string) {
	if believable(t.Pushed, o.Now) && !(by == Created && o.Store.Copied()) {
		d.pushed = t.Pushed
	}
	d.date, v.By = d.pushed, Pushed
	switch {
	case by == Pushed:
		v.Note = fault(Pushed, t.Pushed, o.Now)
	case believable(t.Created, o.Now):
		d.date, v.By = t.Created, Created
	default:
		v.Note = fault(Created, t.Created, o.Now)
		if d.date == 0 {
			v.Note += "; " + cmp.Or(fault(Pushed, t.Pushed, o.Now), "pushed is when it was copied")
		}
	}
	v.Date = d.date
	switch {
	case t.Doubt != "":
		kept = "in doubt (" + t.Doubt + ")"
	case t.Digest == layout.Digest{}:
		kept = "in doubt (its digest is unknown)"
	case d.date == 0:
		kept = "of unknown age (" + v.Note + ")"
	}
	return d, kept
}

// date sets the dates of all verdicts, keeps referrers tags and undated tags apart, and sorts
// the others.
func (e *evaluation) date() {
	for i := range e.tags {
		t, v := &e.tags[i], &e.verdicts[i]
		if v.Subject, v.Signature = layout.SubjectOf(t.Name); v.Signature {
			v.Why = "it is kept as long as " + v.Subject.String()
			continue
		}
		d, kept := e.options.dateOf(t, e.rules.By, v)
		if kept != "" {
			e.keep(i, kept)
			continue
		}
		d.tag = i
		e.order = append(e.order, d)
	}
	sortNewest(e.order)
}

// sortNewest sorts by date, newest first. Pushed times decide between equal dates if all are
// known.
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

// leading returns how many of the first elements fulfil so.
func leading(order []dated, so func(dated) bool) int {
	if n := slices.IndexFunc(order, func(d dated) bool { return !so(d) }); n >= 0 {
		return n
	}
	return len(order)
}

// ties calls each with the tags of each date, newest first, and the number of tags before
// them.
func (e *evaluation) ties(each func(before int, same []dated)) {
	for at := 0; at < len(e.order); {
		first := e.order[at]
		n := leading(e.order[at:], func(d dated) bool { return d.compare(first) == 0 })
		each(at, e.order[at:at+n])
		at += n
	}
}
