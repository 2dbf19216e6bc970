package retain

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Policy is a list of rules. Of the rules that match a repository, only the first applies.
// Repositories without a match are left alone.
type Policy []Rule

// Rule is retention rules for some repositories.
type Rule struct {
	Repositories []Glob // empty means all
	Exclude      []Glob // exceptions, which later rules may match
	Rules
}

// For returns the rules for a repository; ok is false if there are none.
func (p Policy) For(repository string) (Rules, bool) {
	for i := range p {
		if p[i].matches(repository) {
			return p[i].Rules, true
		}
	}
	return Rules{}, false
}

func (r *Rule) matches(repository string) bool {
	return (len(r.Repositories) == 0 || matchesAny(r.Repositories, repository)) && !matchesAny(r.Exclude, repository)
}

// Check returns an error for an invalid policy. It names the rule by number, from 1, and
// first pattern.
func (p Policy) Check() error {
	for i := range p {
		if err := p[i].Check(); err != nil {
			return fmt.Errorf("%s: %w", p.name(i), err)
		}
		if i > 0 && p[i-1].catchesAll() {
			return fmt.Errorf("%s is never reached: %s matches every repository", p.name(i), p.name(i-1))
		}
	}
	return nil
}

// catchesAll reports whether the rule matches every repository.
func (r *Rule) catchesAll() bool {
	everything := func(g Glob) bool { return g.text == "**" }
	return len(r.Exclude) == 0 && (len(r.Repositories) == 0 || slices.ContainsFunc(r.Repositories, everything))
}

func (p Policy) name(i int) string {
	if len(p[i].Repositories) == 0 {
		return fmt.Sprintf("rule %d (every repository)", i+1)
	}
	return fmt.Sprintf("rule %d (%s)", i+1, p[i].Repositories[0])
}

// Rules are the retention rules for tags and untagged manifests. A zero field is a rule that
// was not given.
type Rules struct {
	Last    Count // slots for digests, newest first
	Hourly  Count // slots for hours, each for the newest tag in it; likewise the following
	Daily   Count
	Weekly  Count // from Monday to Sunday
	Monthly Count
	Yearly  Count

	// Within keeps tags that are less than this older than the newest tag of the repository,
	// so an inactive repository keeps its images.
	Within Duration

	// NewerThan keeps tags that are less than this older than now. An inactive repository
	// keeps none.
	NewerThan Duration

	// Tags keeps tags whose names a pattern matches anywhere; ^ and $ anchor it.
	Tags []*regexp.Regexp

	// Semver keeps the newest versions of the tags whose names are versions, and all other
	// tags.
	Semver Levels

	// Lists are files of images in use, which are kept. ListAge is the greatest age of such a
	// file; a day by default.
	Lists   []string
	ListAge Duration

	// PulledWithin keeps what was pulled or pushed less than this ago, by the access logs
	// PulledLogs. PulledGap is the longest period without a line in the logs; a day by
	// default.
	PulledWithin Duration
	PulledLogs   []string
	PulledGap    Duration

	// Expiry is the only rule that removes: tags whose image has an expiry, once that time
	// has passed since the push. Exempt are latest, the newest tag, tags that Tags matches,
	// and images in use.
	Expiry bool

	// UntaggedWithin applies to untagged manifests: see JudgeUntagged.
	UntaggedWithin Duration

	By Time // the date that all rules use

	// MayRemove are patterns of tags that aren't protected as latest or the newest tag. They
	// keep and remove nothing themselves.
	MayRemove []Glob
}

// Active reports whether any rule is about tags. If none is, all tags are kept.
func (r Rules) Active() bool { return r.Expiry || r.keeps() }

// keeps reports whether any rule keeps tags, so that others are removed.
func (r Rules) keeps() bool {
	return r.asksForDates() || len(r.Tags)+len(r.Lists) > 0 || r.PulledWithin != Duration{} || r.Semver != Levels{}
}

func (r Rules) asksForDates() bool {
	return r.Within != Duration{} || r.NewerThan != Duration{} || slices.ContainsFunc(r.counted(), func(c counted) bool { return c.count.given() })
}

// counted returns all rules with slots, given or not.
func (r Rules) counted() (all []counted) {
	for _, row := range table {
		if row.count != nil {
			all = append(all, counted{name: row.Name, count: *row.count(&r)})
		}
	}
	return all
}

// Check returns an error for invalid values, and for rules that keep nothing. No rules at all
// are valid.
func (r Rules) Check() error {
	var nothing string
	for _, c := range r.counted() {
		switch {
		case c.count < None:
			return fmt.Errorf("%s is %d: it is a number, 0 or more, or \"all\"", c.name, int(c.count))
		case c.count == None && nothing == "":
			nothing = c.String()
		}
	}
	if r.Within.negative() {
		return errors.New("keep-within is below nothing")
	}
	if r.NewerThan.negative() {
		return errors.New("keep-newer-than is below nothing")
	}
	for i, c := range r.Semver.all() {
		if c < All {
			return fmt.Errorf("keep-semver %s is %d: it is a number, 1 or more, or \"all\"", levelNames[i], int(c))
		}
	}
	if r.PulledWithin.negative() {
		return errors.New("keep-pulled-within is below nothing")
	}
	switch given := r.PulledWithin != (Duration{}); {
	case given && len(r.PulledLogs) == 0:
		return errors.New("keep-pulled-within needs an access log: give pulled-log too")
	case !given && len(r.PulledLogs) > 0:
		return errors.New("pulled-log is used only by keep-pulled-within: give that too")
	case !given && r.PulledGap != (Duration{}):
		return errors.New("pulled-log-gap is used only by keep-pulled-within: give that too")
	}
	if r.ListAge != (Duration{}) && len(r.Lists) == 0 {
		return errors.New("keep-list-age is the allowed age of a list: give keep-list too")
	}
	if r.UntaggedWithin.negative() {
		return errors.New("keep-untagged-within is below nothing")
	}
	if r.By > Created {
		return fmt.Errorf("there is no time number %d", r.By)
	}
	if nothing != "" && !r.keeps() {
		return fmt.Errorf("%s alone keeps nothing: give a rule that keeps something, or none, which leaves all tags alone", nothing)
	}
	return nil
}
