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

// dated is a tag with the dates it is put in order by.
type dated struct {
	tag    int
	date   int64
	pushed int64 // where the dates are the same; 0 if it tells nothing
}

func (d dated) compare(o dated) int {
	return cmp.Or(cmp.Compare(d.date, o.date), cmp.Compare(d.pushed, o.pushed))
}

// dateOf returns what a tag is put in order by, and writes its date into its verdict.
// Where it can't be judged there is a reason for it to stay.
func (o Options) dateOf(t *Tag, by Time, v *Verdict) (d dated, stays string) {
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
		stays = "in doubt (" + t.Doubt + ")"
	case t.Digest == layout.Digest{}:
		stays = "in doubt (its digest isn't known)"
	case d.date == 0:
		stays = "of unknown age (" + v.Note + ")"
	}
	return d, stays
}

// date gives each verdict its date, sets signatures and what can't be judged
// apart, and puts the rest in order.
func (e *evaluation) date() {
	for i := range e.tags {
		t, v := &e.tags[i], &e.verdicts[i]
		if v.Subject, v.Signature = layout.SubjectOf(t.Name); v.Signature {
			v.Why = "it is kept as long as " + v.Subject.String()
			continue
		}
		d, stays := e.options.dateOf(t, e.rules.By, v)
		if stays != "" {
			e.keep(i, stays)
			continue
		}
		d.tag = i
		e.order = append(e.order, d)
	}
	sortNewest(e.order)
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

// ties calls each with tags of the same date, the newest first. Those before
// them are as many as the number says.
func (e *evaluation) ties(each func(before int, same []dated)) {
	for at := 0; at < len(e.order); {
		first := e.order[at]
		n := leading(e.order[at:], func(d dated) bool { return d.compare(first) == 0 })
		each(at, e.order[at:at+n])
		at += n
	}
}
