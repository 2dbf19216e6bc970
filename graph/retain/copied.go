package retain

import (
	"errors"
	"fmt"
	"time"

	"regfsck/walker/layout"
)

// ErrCopied means that rules use pushed times, and these are the times of a copy.
var ErrCopied = errors.New("they were copied, so their pushed times are not their age: " +
	"use the created time, or rules that need no date (keep-tags)")

// Spans is the range of the dates of many tags. The zero Spans is of no tags.
type Spans struct {
	tags            int
	pushed, created span
}

type span struct{ first, last int64 }

func (s *span) add(date int64) {
	if s.first == 0 || date < s.first {
		s.first = date
	}
	s.last = max(s.last, date)
}

func (s span) length() time.Duration { return time.Duration(s.last - s.first) }

// Add adds a tag, unless it is a referrers tag or one of its dates can't be used.
func (s *Spans) Add(t Tag, now time.Time) {
	if _, signature := layout.SubjectOf(t.Name); signature || !believable(t.Pushed, now) || !believable(t.Created, now) {
		return
	}
	s.tags++
	s.pushed.add(t.Pushed)
	s.created.add(t.Created)
}

// Copied reports whether all tags were written by a copy that set new times: there are more
// than 50, and their pushed times lie within a hundredth of the range of their created times.
func (s Spans) Copied() bool {
	return s.tags > 50 && float64(s.pushed.length())*100 < float64(s.created.length())
}

// MayBeCopied reports whether created times could show that the tags of some repositories
// were copied: it assumes the widest range of created times. If it returns false, configs
// need not be read.
func MayBeCopied(now time.Time, repositories ...[]Tag) bool {
	var s Spans
	for _, tags := range repositories {
		for _, t := range tags {
			t.Created = earliest
			s.Add(t, now)
		}
	}
	if s.tags > 0 {
		s.created.add(Nanoseconds(now.Add(leeway)))
	}
	return s.Copied()
}

func (s Spans) refusal(of string) error {
	return fmt.Errorf("the %d tags of %s were pushed within %s and created within %s: %w",
		s.tags, of, roughly(s.pushed.length()), roughly(s.created.length()), ErrCopied)
}

// forRepository returns the options for one repository, which may be a mirror in a store that
// wasn't copied. It fails with ErrCopied if rules use pushed times of a copy.
func (o Options) forRepository(tags []Tag, byPush bool) (Options, error) {
	of := "the store"
	if !o.Store.Copied() {
		of, o.Store = "this repository", Spans{}
		for i := range tags {
			o.Store.Add(tags[i], o.Now)
		}
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if byPush && o.Store.Copied() {
		return o, o.Store.refusal(of)
	}
	return o, nil
}

// roughly prints a duration in seconds or, above two days, in days.
func roughly(d time.Duration) string {
	if d > 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Second).String()
}
