// Package accept holds the findings that an operator has accepted. A check reports them
// separately, and they don't affect its exit code. Nothing else changes: the verdict, the
// broken tags, and what a fix does are the same. No package that decides changes may import
// this one.
package accept

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"regfsck/graph/finding"
)

// Schema is the name and version of a file of accepted findings.
const Schema = "regfsck.accept/1"

// File is the content of a file of accepted findings.
type File struct {
	Schema  string  `json:"schema"`
	Target  string  `json:"target,omitempty" about:"The store that it is for, as a report names it. In a check of another store it does not apply. Leave it out where it is for several."`
	Entries []Entry `json:"accepted" about:"What is accepted, an entry each."`
}

// Entry accepts findings of one kind: one key, or the keys that a glob matches.
type Entry struct {
	ID     string `json:"id" about:"The kind of the findings, such as foreign-file."`
	Key    string `json:"key,omitempty" about:"The finding's path, as the JSON report has it. An entry has a key or a glob."`
	Glob   string `json:"glob,omitempty" about:"A pattern of paths. * and ? match within a directory, ** matches any number of directories, [a-z] for a set, and a backslash takes a sign's meaning away."`
	Tags   int    `json:"tags,omitempty" about:"How many tags one such finding may keep from being pulled. Where it is more, nothing is accepted. Without it none."`
	Reason string `json:"reason" about:"Why it is accepted. Each report shows it."`
	Until  string `json:"until,omitempty" about:"The last day on which it is accepted, such as 2030-12-31, in UTC. Without it there is no end."`
}

// DateForm is the layout of Entry.Until for package time.
const DateForm = time.DateOnly

// maxReason is the most bytes of a reason, which is shown with every finding.
const maxReason = 1000

// Rule is a parsed entry with its results in a check.
type Rule struct {
	Entry
	File    string       // the file of the entry
	Line    int          // from 1
	Kind    finding.Kind // of its findings
	Expired bool         // its last day has passed

	Named    int // findings that it is about
	Accepted int // findings that it accepts
	TooMany  int // findings that block more tags than it allows
	MaxTags  int // the most tags that one of these blocks

	glob Glob
}

// NewRule parses an entry. An error describes what is wrong.
func NewRule(e Entry, file string, line int, now time.Time) (Rule, error) {
	r := Rule{Entry: e, File: file, Line: line}
	kind, known := finding.Parse(e.ID)
	switch {
	case e.ID == "":
		return r, errors.New("it has no id: regfsck explain lists them")
	case !known || kind.Severity() == finding.Asked:
		return r, fmt.Errorf("no check finds anything with the id %q: regfsck explain lists them", e.ID)
	case kind.Severity() == finding.Fatal:
		return r, fmt.Errorf("%s can't be accepted: what could not be read is unknown", e.ID)
	case e.Key == "" && e.Glob == "":
		return r, errors.New("it has no key and no glob; glob: '**' is about all keys")
	case e.Key != "" && e.Glob != "":
		return r, errors.New("it has a key and a glob: leave one of them out")
	case strings.TrimSpace(e.Reason) == "":
		return r, errors.New("it has no reason: give the reason why this is accepted")
	case len(e.Reason) > maxReason:
		return r, fmt.Errorf("its reason is longer than %d bytes", maxReason)
	case e.Tags < 0:
		return r, fmt.Errorf("tags is a number from 0, not %d", e.Tags)
	}
	var err error
	if r.Kind = kind; e.Glob != "" {
		r.glob, err = ParseGlob(e.Glob)
	}
	if err != nil || e.Until == "" {
		return r, err
	}
	last, err := time.Parse(DateForm, e.Until)
	if err != nil {
		return r, fmt.Errorf("until is a day like 2030-12-31, not %q", e.Until)
	}
	r.Expired = !now.Before(last.AddDate(0, 0, 1))
	return r, nil
}

// Set is all rules of a check with their results. A nil Set accepts nothing.
type Set struct {
	Rules      []Rule
	Counts     [finding.NumKinds]finding.Count // accepted findings
	TagsBroken int                             // tags that are broken only by accepted findings

	byKey   map[place]int          // rules with a key
	byKind  map[finding.Kind][]int // rules with a glob
	reasons map[string]bool        // reasons of broken tags, "id key": whether all findings there are accepted
	all     bool                   // all findings that block tags are accepted
}

// place is the kind and key of a finding.
type place struct {
	kind finding.Kind
	key  string
}

// New returns the set of these rules. Two with the same kind and key or glob are an error.
func New(rules []Rule) (*Set, error) {
	s := &Set{Rules: rules, byKey: map[place]int{}, byKind: map[finding.Kind][]int{}}
	seen := map[[3]string]int{}
	for i := range rules {
		r := &rules[i]
		is := [3]string{r.ID, Legible(r.Key), r.Glob}
		if before, twice := seen[is]; twice {
			return nil, fmt.Errorf("%s: the same is accepted by %s; keep one of them", r.Where(), rules[before].Where())
		}
		seen[is] = i
		if r.Key != "" {
			s.byKey[place{r.Kind, is[1]}] = i
		} else {
			s.byKind[r.Kind] = append(s.byKind[r.Kind], i)
		}
	}
	return s, nil
}

// about yields the rules for a finding, those with its key first.
func (s *Set) about(f *finding.Finding) iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		key := Legible(f.Path)
		if i, ok := s.byKey[place{f.Kind, key}]; ok && !yield(&s.Rules[i]) || len(s.byKind[f.Kind]) == 0 {
			return
		}
		names := strings.Split(key, "/")
		for _, i := range s.byKind[f.Kind] {
			if r := &s.Rules[i]; r.glob.match(names) && !yield(r) {
				return
			}
		}
	}
}

// accepts reports whether a rule for a finding accepts it.
func (r *Rule) accepts(f *finding.Finding) bool {
	return !r.Expired && f.AffectsCount <= r.Tags && !f.InGrace
}

// By returns the rule that accepts a finding, nil if there is none. Garbage in grace counts
// nowhere, so it is never accepted.
func (s *Set) By(f *finding.Finding) *Rule {
	if s == nil {
		return nil
	}
	for r := range s.about(f) {
		if r.accepts(f) {
			return r
		}
	}
	return nil
}

// Tally counts what the rules accept of a check's findings, and the tags that only those
// break. It is called once.
func (s *Set) Tally(findings iter.Seq[finding.Finding], broken iter.Seq[finding.BrokenTag]) {
	if s == nil {
		return
	}
	s.reasons, s.all = map[string]bool{}, true
	for f := range findings {
		named, accepted := false, false
		for r := range s.about(&f) {
			named = true
			r.Named++
			switch {
			case r.accepts(&f):
				if !accepted {
					r.Accepted++
				}
				accepted = true
			case !r.Expired && f.AffectsCount > r.Tags:
				r.TooMany, r.MaxTags = r.TooMany+1, max(r.MaxTags, f.AffectsCount)
			}
		}
		if f.AffectsCount > 0 {
			s.all = s.all && accepted
		}
		if f.AffectsCount > 0 && named { // findings without a rule, maybe millions, aren't accepted
			why := f.Kind.String() + " " + f.Path
			before, seen := s.reasons[why]
			s.reasons[why] = accepted && (before || !seen)
		}
		if accepted {
			n := &s.Counts[f.Kind]
			n.Count, n.Bytes = n.Count+1, n.Bytes+f.Bytes
		}
	}
	for b := range broken {
		if s.Knows(&b) {
			s.TagsBroken++
		}
	}
}

// Knows reports whether all that blocks a tag is accepted. If not all reasons of a tag are
// listed, all reasons of all tags must be.
func (s *Set) Knows(b *finding.BrokenTag) bool {
	if s == nil || len(b.Because) == 0 || len(b.Because) >= finding.MaxAffects && !s.all {
		return false
	}
	return !slices.ContainsFunc(b.Because, func(why string) bool { return !s.reasons[why] })
}

// Left returns n without the accepted findings of a kind.
func (s *Set) Left(kind finding.Kind, n finding.Count) finding.Count {
	if s == nil {
		return n
	}
	n.Count, n.Bytes = n.Count-s.Counts[kind].Count, n.Bytes-s.Counts[kind].Bytes
	return n
}

// Tags returns the number of tags that only accepted findings break.
func (s *Set) Tags() int {
	if s == nil {
		return 0
	}
	return s.TagsBroken
}

// Each yields all rules in order.
func (s *Set) Each() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		for i := 0; s != nil && i < len(s.Rules); i++ {
			if !yield(&s.Rules[i]) {
				return
			}
		}
	}
}

// Expired returns the number of rules whose last day has passed.
func (s *Set) Expired() (n int) {
	for r := range s.Each() {
		if r.Expired {
			n++
		}
	}
	return n
}

// Sum returns the total of accepted findings.
func (s *Set) Sum() (sum finding.Count) {
	if s == nil {
		return sum
	}
	for _, n := range s.Counts {
		sum.Count, sum.Bytes = sum.Count+n.Count, sum.Bytes+n.Bytes
	}
	return sum
}

// Where returns the file and line of the rule, "accepted.yml, line 3".
func (r *Rule) Where() string { return fmt.Sprintf("%s, line %d", r.File, r.Line) }

// About returns the key or glob of the rule.
func (r *Rule) About() string { return r.Key + r.Glob }

// Legible returns a key as in JSON reports: bytes that aren't UTF-8 are replaced.
func Legible(key string) string {
	if utf8.ValidString(key) {
		return key
	}
	return string([]rune(key))
}

// Glob is a pattern of keys: path.Match for each name between slashes, and ** for any number
// of names.
type Glob struct{ parts []part }

type part struct {
	text    string
	literal bool // without wildcards
}

// ParseGlob parses a pattern. The error means that it is malformed.
func ParseGlob(text string) (g Glob, err error) {
	for p := range strings.SplitSeq(text, "/") {
		if _, err := path.Match(p, ""); err != nil {
			return g, fmt.Errorf("the glob %q is malformed: a [ without its ], or a backslash before a / or at the end", text)
		}
		g.parts = append(g.parts, part{p, !strings.ContainsAny(p, `*?[\`)})
	}
	return g, nil
}

func (p *part) matches(name string) bool {
	if p.literal {
		return p.text == name
	}
	ok, _ := path.Match(p.text, name) // ParseGlob has checked the syntax
	return ok
}

// Match reports whether the pattern matches a whole key.
func (g Glob) Match(key string) bool { return g.match(strings.Split(Legible(key), "/")) }

func (g Glob) match(names []string) bool {
	if last := &g.parts[len(g.parts)-1]; last.text != "**" && !last.matches(names[len(names)-1]) {
		return false
	}
	at, name := 0, 0
	retry, from := -1, 0 // after the last **, and the first name that it doesn't match yet
	for name < len(names) {
		switch {
		case at < len(g.parts) && g.parts[at].text == "**":
			at++
			retry, from = at, name
			continue
		case at < len(g.parts) && g.parts[at].matches(names[name]):
			at, name = at+1, name+1
			continue
		case retry < 0:
			return false
		}
		from++
		at, name = retry, from
	}
	for at < len(g.parts) && g.parts[at].text == "**" {
		at++
	}
	return at == len(g.parts)
}
