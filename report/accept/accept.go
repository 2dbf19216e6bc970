// Package accept holds the findings that an operator has accepted. A check reports them
// apart from others, and its exit code doesn't count them. They change nothing else: the
// verdict, the tags that can't be pulled, and what a fix does are the same with and
// without. No package that decides what is changed may import this one.
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

// Schema names the form of a file of accepted findings.
const Schema = "regfsck.accept/1"

// File is what a file of accepted findings says.
type File struct {
	Schema  string  `json:"schema"`
	Target  string  `json:"target,omitempty" about:"The store that it is for, as a report names it. In a check of another store it does not apply. Leave it out where it is for several."`
	Entries []Entry `json:"accepted" about:"What is accepted, an entry each."`
}

// Entry accepts findings of one kind: that at a key, or those whose keys a glob matches.
type Entry struct {
	ID     string `json:"id" about:"The kind of the findings, such as foreign-file."`
	Key    string `json:"key,omitempty" about:"The finding's path, as the JSON report has it. An entry has a key or a glob."`
	Glob   string `json:"glob,omitempty" about:"A pattern of paths. * and ? match within a directory, ** stands for any number of directories, [a-z] for a set, and a backslash takes a sign's meaning away."`
	Tags   int    `json:"tags,omitempty" about:"How many tags one such finding may keep from being pulled. Where it is more, nothing is accepted. Without it none."`
	Reason string `json:"reason" about:"Why it is accepted. Each report shows it."`
	Until  string `json:"until,omitempty" about:"The last day on which it is accepted, such as 2030-12-31, in UTC. Without it there is no end."`
}

// DateForm is the form of Entry.Until, as package time has it.
const DateForm = time.DateOnly

// maxReason bounds the bytes of a reason: it is shown with every finding.
const maxReason = 1000

// Rule is an entry that was understood, and what a check found of it.
type Rule struct {
	Entry
	File    string       // in which it is
	Line    int          // from 1
	Kind    finding.Kind // of the findings that it is about
	Expired bool         // its last day is over

	Named    int // findings that it is about, whether they are accepted or not
	Accepted int // findings that are accepted by it
	TooMany  int // findings that keep more tags from being pulled than it allows
	MaxTags  int // how many tags one of these keeps from being pulled at most

	glob Glob
}

// NewRule understands an entry. The error says what is wrong with it.
func NewRule(e Entry, file string, line int, now time.Time) (Rule, error) {
	r := Rule{Entry: e, File: file, Line: line}
	kind, known := finding.Parse(e.ID)
	switch {
	case e.ID == "":
		return r, errors.New("it has no id: regfsck explain lists them")
	case !known || kind.Severity() == finding.Asked:
		return r, fmt.Errorf("no check finds anything with the id %q: regfsck explain lists them", e.ID)
	case kind.Severity() == finding.Fatal:
		return r, fmt.Errorf("%s can't be accepted: what could not be read is unknown, whoever knows of it", e.ID)
	case e.Key == "" && e.Glob == "":
		return r, errors.New("it has no key and no glob; glob: '**' is about all keys")
	case e.Key != "" && e.Glob != "":
		return r, errors.New("it has a key and a glob: leave one of them out")
	case strings.TrimSpace(e.Reason) == "":
		return r, errors.New("it has no reason: say why this is accepted")
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

// Set is all rules of a check, and what it found of them. A nil Set accepts nothing.
type Set struct {
	Rules      []Rule
	Counts     [finding.NumKinds]finding.Count // of what is accepted
	TagsBroken int                             // tags that can't be pulled, and for no reason that isn't accepted

	byKey   map[place]int          // rules with a key
	byKind  map[finding.Kind][]int // rules with a glob
	reasons map[string]bool        // why tags can't be pulled, "id key": whether all that was found there is accepted
	all     bool                   // all that keeps tags from being pulled is accepted
}

// place is where a finding of a kind is.
type place struct {
	kind finding.Kind
	key  string
}

// New returns the set of these rules. Two that are about the same make an error.
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

// about returns the rules that are about a finding, those with its key first.
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

// accepts reports whether a rule that is about a finding accepts it.
func (r *Rule) accepts(f *finding.Finding) bool {
	return !r.Expired && f.AffectsCount <= r.Tags && !f.InGrace
}

// By returns the rule by which a finding is accepted, nil if it isn't. Garbage in grace
// counts nowhere, so it needs no acceptance.
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

// Tally counts what the rules accept of a check's findings, and the tags of those that
// can't be pulled that are broken by nothing else. It is called once.
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
		if f.AffectsCount > 0 && named { // what no rule is about, of which there may be millions, is not accepted
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

// Knows reports whether all that keeps a tag from being pulled is accepted. Of a tag
// with more reasons than are listed that is so only where all reasons of all tags are.
func (s *Set) Knows(b *finding.BrokenTag) bool {
	if s == nil || len(b.Because) == 0 || len(b.Because) >= finding.MaxAffects && !s.all {
		return false
	}
	return !slices.ContainsFunc(b.Because, func(why string) bool { return !s.reasons[why] })
}

// Left returns how many findings of a kind aren't accepted, of those that n counts.
func (s *Set) Left(kind finding.Kind, n finding.Count) finding.Count {
	if s == nil {
		return n
	}
	n.Count, n.Bytes = n.Count-s.Counts[kind].Count, n.Bytes-s.Counts[kind].Bytes
	return n
}

// Tags returns how many tags are broken by nothing that isn't accepted.
func (s *Set) Tags() int {
	if s == nil {
		return 0
	}
	return s.TagsBroken
}

// Each returns all rules, in their order.
func (s *Set) Each() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		for i := 0; s != nil && i < len(s.Rules); i++ {
			if !yield(&s.Rules[i]) {
				return
			}
		}
	}
}

// Expired returns of how many rules the last day is over.
func (s *Set) Expired() (n int) {
	for r := range s.Each() {
		if r.Expired {
			n++
		}
	}
	return n
}

// Sum returns how much is accepted in all.
func (s *Set) Sum() (sum finding.Count) {
	if s == nil {
		return sum
	}
	for _, n := range s.Counts {
		sum.Count, sum.Bytes = sum.Count+n.Count, sum.Bytes+n.Bytes
	}
	return sum
}

// Where names the rule's place, "accepted.yml, line 3".
func (r *Rule) Where() string { return fmt.Sprintf("%s, line %d", r.File, r.Line) }

// About is what a rule is about: its key or its glob.
func (r *Rule) About() string { return r.Key + r.Glob }

// Legible returns a key as a JSON report has it: each byte that is no UTF-8 is replaced.
func Legible(key string) string {
	if utf8.ValidString(key) {
		return key
	}
	return string([]rune(key))
}

// Glob is a pattern of keys: that of path.Match for each name between slashes, and ** for
// any number of names, none included.
type Glob struct{ parts []part }

type part struct {
	text    string
	literal bool // nothing in it has a meaning
}

// ParseGlob understands a pattern. The error says that it is malformed.
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
	ok, _ := path.Match(p.text, name) // ParseGlob has seen to it that it is well-formed
	return ok
}

// Match reports whether the pattern matches a whole key.
func (g Glob) Match(key string) bool { return g.match(strings.Split(Legible(key), "/")) }

func (g Glob) match(names []string) bool {
	if last := &g.parts[len(g.parts)-1]; last.text != "**" && !last.matches(names[len(names)-1]) {
		return false
	}
	at, name := 0, 0
	retry, from := -1, 0 // after the last **, and the first name that it doesn't take yet
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
