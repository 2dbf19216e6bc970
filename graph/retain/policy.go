package retain

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Policy is rules for repositories, of which the first one that matches a
// repository is the only one that holds for it. Repositories that none matches
// are left alone.
type Policy []Rule

// Rule is rules and the repositories they are for.
type Rule struct {
	Repositories []Glob // none means every repository
	Exclude      []Glob // what these match falls through to the next Rule
	Rules
}

// For returns the rules for a repository; false if the policy has none for it.
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

// Check returns what is wrong with the policy, naming the rule by its number,
// from 1, and its first pattern.
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

// catchesAll reports whether no repository falls through.
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

// Rules are what keeps tags. A zero field is a rule that wasn't given.
type Rules struct {
	Last    Count // digests, the newest first
	Hourly  Count // the newest tag of each of the last hours that have one; and so on
	Daily   Count
	Weekly  Count // from Monday to Sunday
	Monthly Count
	Yearly  Count

	// Within keeps the tags that are less than so much older than the newest tag of
	// their repository. So one that nobody pushes to any more keeps its images.
	Within Duration

	// NewerThan keeps the tags that are less than so much older than the present.
	// Where nobody pushes any more it keeps nothing.
	NewerThan Duration

	// Tags keep the tags whose names they match anywhere: ^ and $ make it the whole
	// name.
	Tags []*regexp.Regexp

	// Semver keeps the newest versions among the tags whose names are versions, and all
	// others.
	Semver Levels

	// Lists are files that name images in use: what a Tag's Listed tells of is kept.
	// ListAge is how old such a file may be; a day, where it isn't given.
	Lists   []string
	ListAge Duration

	// PulledWithin keeps what was pulled or pushed less than so long ago, as the access
	// logs in PulledLogs tell. PulledGap is for how long these may hold nothing at all;
	// a day, where it isn't given.
	PulledWithin Duration
	PulledLogs   []string
	PulledGap    Duration

	// Expiry removes, alone among the rules: tags whose image says that it expires,
	// once so much time is over since the push. Of what has expired only the newest tag,
	// latest, what Tags name and what is in use stay.
	Expiry bool

	// UntaggedWithin is about manifests, not about tags: see JudgeUntagged.
	UntaggedWithin Duration

	By Time // the date that all of them go by

	// MayRemove are patterns over the names of tags that aren't kept for being
	// latest, or the newest. It keeps and removes nothing by itself.
	MayRemove []Glob
}

// Active reports whether any rule is about tags. If not, all tags are kept.
func (r Rules) Active() bool { return r.Expiry || r.keeps() }

// keeps reports whether any rule keeps tags, so that the others go.
func (r Rules) keeps() bool {
	return r.asksForDates() || len(r.Tags)+len(r.Lists) > 0 || r.PulledWithin != Duration{} || r.Semver != Levels{}
}

func (r Rules) asksForDates() bool {
	return r.Within != Duration{} || r.NewerThan != Duration{} || slices.ContainsFunc(r.counted(), func(c counted) bool { return c.count.given() })
}

// counted returns the rules with a number of slots, given or not.
func (r Rules) counted() (all []counted) {
	for _, row := range table {
		if row.count != nil {
			all = append(all, counted{name: row.Name, count: *row.count(&r)})
		}
	}
	return all
}

// Check returns what is wrong with the rules: numbers that are none, and rules
// that together keep nothing. To have no rules at all is fine.
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
		return errors.New("keep-pulled-within goes by access logs, and there is none: give pulled-log too")
	case !given && len(r.PulledLogs) > 0:
		return errors.New("pulled-log tells when images were pulled, and no rule goes by that: give keep-pulled-within too")
	case !given && r.PulledGap != (Duration{}):
		return errors.New("pulled-log-gap is about access logs, and no rule goes by any: give keep-pulled-within too")
	}
	if r.ListAge != (Duration{}) && len(r.Lists) == 0 {
		return errors.New("keep-list-age says how old a list may be, and there is none: give keep-list too")
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
