package retain

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// keepWithin keeps tags that are less than the duration older than the newest tag.
func (e *evaluation) keepWithin() {
	if e.rules.Within == (Duration{}) || len(e.order) == 0 {
		return
	}
	rule, border := "keep-within "+e.rules.Within.String(), e.rules.Within.Before(time.Unix(0, e.order[0].date).In(e.options.Zone))
	e.keepAfter(rule, border, func(dated) string { return "after " + border.Format("2006-01-02 15:04") })
}

// keepNewerThan keeps tags that are less than the duration older than now. The reason names
// the tag's date and not the limit, which changes every minute: the same plan made later must
// be equal.
func (e *evaluation) keepNewerThan() {
	if e.rules.NewerThan == (Duration{}) {
		return
	}
	e.keepAfter("keep-newer-than "+e.rules.NewerThan.String(), e.rules.NewerThan.Before(e.options.Now.In(e.options.Zone)), func(d dated) string {
		return e.verdicts[d.tag].By.String() + " " + time.Unix(0, d.date).In(e.options.Zone).Format("2006-01-02 15:04")
	})
}

// keepAfter keeps tags newer than border. detail returns why a tag isn't kept.
func (e *evaluation) keepAfter(rule string, border time.Time, detail func(dated) string) {
	for _, d := range e.order {
		if time.Unix(0, d.date).After(border) {
			e.keep(d.tag, rule)
		} else {
			e.miss(d.tag, fmt.Sprintf("%s (%s)", rule, detail(d)))
		}
	}
}

// keepTags keeps tags by name.
func (e *evaluation) keepTags() {
	for _, re := range e.rules.Tags {
		rule := "keep-tags " + re.String()
		for i := range e.tags {
			switch {
			case e.verdicts[i].Signature:
			case re.MatchString(e.tags[i].Name):
				e.keep(i, rule)
			default:
				e.miss(i, rule)
			}
		}
	}
}

// keepListed keeps tags of images in use.
func (e *evaluation) keepListed() {
	if len(e.rules.Lists) == 0 {
		return
	}
	missed := "keep-list " + strings.Join(e.rules.Lists, ", ")
	for i := range e.tags {
		switch t := &e.tags[i]; {
		case e.verdicts[i].Signature:
		case t.Listed != "":
			e.keep(i, "keep-list "+t.Listed)
		default:
			e.miss(i, missed)
		}
	}
}

// keepPulled keeps tags that were pulled or pushed recently, or may have been. An expired tag
// must have been pulled.
func (e *evaluation) keepPulled() {
	if e.rules.PulledWithin == (Duration{}) {
		return
	}
	border := Nanoseconds(e.rules.PulledWithin.Before(e.options.Now))
	for i := range e.tags {
		t, v := &e.tags[i], &e.verdicts[i]
		if v.Signature {
			continue
		}
		newest, what := t.Pulled, "pulled"
		if t.Pushed > newest && e.expired[i] == "" && believable(t.Pushed, e.options.Now) {
			newest, what = t.Pushed, "pushed"
		}
		doubt := ""
		if e.expired[i] == "" {
			doubt = fault(Pushed, t.Pushed, e.options.Now)
		}
		switch text := e.rules.pulled(newest, what, e.options); {
		case newest > border:
			e.keep(i, text)
		case doubt != "":
			e.keep(i, fmt.Sprintf("keep-pulled-within %s (in doubt: %s)", e.rules.PulledWithin, doubt))
		default:
			e.miss(i, text)
		}
	}
}

// pulled returns the name of the rule, with the date of the pull.
func (r Rules) pulled(at int64, what string, o Options) string {
	if at == 0 {
		return fmt.Sprintf("keep-pulled-within %s (no pull in the logs)", r.PulledWithin)
	}
	return fmt.Sprintf("keep-pulled-within %s (%s %s)", r.PulledWithin, what, time.Unix(0, at).In(cmp.Or(o.Zone, time.UTC)).Format("2006-01-02 15:04"))
}

// InUse returns the rule that keeps a tag or manifest because it is in use: a list names it,
// or it was pulled recently; "" for none.
func (r Rules) InUse(t *Tag, o Options) string {
	switch {
	case t.Listed != "" && len(r.Lists) > 0:
		return "keep-list " + t.Listed
	case r.PulledWithin != Duration{} && t.Pulled > Nanoseconds(r.PulledWithin.Before(o.Now)):
		return r.pulled(t.Pulled, "pulled", o)
	}
	return ""
}

// protect keeps latest and the newest tag.
func (e *evaluation) protect() {
	for i := range e.tags {
		if e.tags[i].Name == "latest" && !e.mayRemove(i) {
			e.keep(i, "latest")
		}
	}
	var newest *dated
	for i, d := range e.order {
		if newest != nil && d.compare(*newest) != 0 {
			return
		}
		if !e.mayRemove(d.tag) {
			newest = &e.order[i]
			e.keep(d.tag, "newest")
		}
	}
}

func (e *evaluation) mayRemove(tag int) bool {
	return matchesAny(e.rules.MayRemove, e.tags[tag].Name)
}
