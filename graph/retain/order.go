package retain

import (
	"cmp"
	"slices"

	"regfsck/walker/layout"
)

// dated is a tag with the dates it is put in order by.
type dated struct {
	tag    int
	date   int64
	pushed int64 // where the dates are the same; 0 if it tells nothing
}

func (d dated) compare(o dated) int {
	return cmp.Or(cmp.Compare(d.date, o.date), cmp.Compare(d.pushed, o.pushed))
}

// on returns what a tag is put in order by, and writes its date into its verdict.
// Where it can't be judged there is a reason for it to stay.
func (s Setting) on(t *Tag, by Time, v *Verdict) (d dated, stays string) {
	if believable(t.Pushed, s.Now) && !(by == Created && s.Store.Copied()) {
		d.pushed = t.Pushed
	}
	d.date, v.By = d.pushed, Pushed
	switch {
	case by == Pushed:
		v.Note = fault(Pushed, t.Pushed, s.Now)
	case believable(t.Created, s.Now):
		d.date, v.By = t.Created, Created
	default:
		v.Note = fault(Created, t.Created, s.Now)
		if d.date == 0 {
			v.Note += "; " + cmp.Or(fault(Pushed, t.Pushed, s.Now), "pushed is when it was copied")
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
func (j *judgement) date() {
	for i := range j.tags {
		t, v := &j.tags[i], &j.verdicts[i]
		if v.Subject, v.Signature = layout.SubjectOf(t.Name); v.Signature {
			v.Why = "it stays as long as " + v.Subject.String()
			continue
		}
		d, stays := j.setting.on(t, j.rules.By, v)
		if stays != "" {
			j.keep(i, stays)
			continue
		}
		d.tag = i
		j.order = append(j.order, d)
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

// ties calls each with tags of the same date, the newest first. Those before
// them are as many as the number says.
func (j *judgement) ties(each func(before int, same []dated)) {
	for at := 0; at < len(j.order); {
		first := j.order[at]
		n := leading(j.order[at:], func(d dated) bool { return d.compare(first) == 0 })
		each(at, j.order[at:at+n])
		at += n
	}
}
