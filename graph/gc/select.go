package gc

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

// This file makes a Removal of the references that were requested. What is removed with them,
// and what can't be removed, is found by marking the store under it. A retention policy makes
// a Removal too (retention.go).

// Ref names a repository, a tag of it or a manifest of it.
type Ref struct{ Repository, Tag, Digest string }

// String returns the reference as ParseRef parses it.
func (r Ref) String() string {
	switch {
	case r.Digest != "":
		return r.Repository + "@" + r.Digest
	case r.Tag != "":
		return r.Repository + ":" + r.Tag
	}
	return r.Repository
}

var errNoRepository = errors.New("names no repository")

// ParseRef parses "repo", "repo:tag" or "repo@algorithm:hex". Names aren't validated: a store
// may have some that no registry accepts.
func ParseRef(s string) (Ref, error) {
	if repository, digest, ok := strings.Cut(s, "@"); ok {
		if repository == "" {
			return Ref{}, errNoRepository
		}
		if _, good := layout.ParseAnyDigest(digest); !good {
			return Ref{}, errors.New("a digest is sha256: and 64 of the digits 0 to 9 and a to f, or another algorithm and its digits")
		}
		return Ref{Repository: repository, Digest: digest}, nil
	}
	r := Ref{Repository: s}
	if at := strings.LastIndexByte(s, ':'); at > strings.LastIndexByte(s, '/') {
		r.Repository, r.Tag = s[:at], s[at+1:]
		if r.Tag == "" {
			return Ref{}, errors.New("there is no tag behind the colon")
		}
	}
	if r.Repository == "" {
		return Ref{}, errNoRepository
	}
	return r, nil
}

// Selector is a Ref whose repository and tag may be patterns.
type Selector struct {
	Ref
	text         string // as it was given
	repositories pattern
	tags         pattern
}

// pattern is a name or a pattern of names.
type pattern struct {
	name string
	glob retain.Glob
	is   bool // it is a pattern
}

func patternOf(s string) (p pattern, err error) {
	p.name, p.is = s, strings.ContainsAny(s, "*?[")
	if p.is {
		p.glob, err = retain.ParseGlob(s)
	}
	return p, err
}

func (p pattern) match(name string) bool {
	if p.is {
		return p.glob.Match(name)
	}
	return p.name == name
}

// ParseSelector parses a Ref with patterns in its names; see retain.Glob.
func ParseSelector(text string) (s Selector, err error) {
	s.text = text
	if s.Ref, err = ParseRef(text); err != nil {
		return s, err
	}
	if strings.Contains(s.Repository, ":") && s.Digest != "" {
		if bare, _ := ParseRef(s.Repository); bare.Tag != "" {
			return s, errors.New("names a tag and a digest; give one of the two")
		}
	}
	if s.repositories, err = patternOf(s.Repository); err == nil {
		s.tags, err = patternOf(s.Tag)
	}
	return s, err
}

// Unmatched is the error of a Selector that selects nothing.
type Unmatched struct {
	Why   string   // a clause
	Name  string   // the missing name; "" of a pattern or digest
	Names []string // existing names of its kind
}

func (u *Unmatched) Error() string { return u.Why }

// newRemoval returns an empty removal.
func newRemoval() *Removal {
	return &Removal{
		Repositories: map[string]string{}, Tags: map[string]map[string]string{}, Manifests: map[string]map[string]string{},
	}
}

// request adds a tag or manifest of a repository to a removal; its first reason counts.
func request(all map[string]map[string]string, repository, what, why string) {
	if all[repository] == nil {
		all[repository] = map[string]string{}
	}
	all[repository][what] = cmp.Or(all[repository][what], why)
}

// Select returns the removal of what selectors name; with tagsOnly only the tags are removed.
// The error is an *Unmatched if a selector selects nothing.
func Select(scan *graph.Scan, selectors []Selector, tagsOnly bool) (*Removal, error) {
	r := newRemoval()
	r.TagsOnly = tagsOnly
	for _, s := range selectors {
		if err := s.find(scan, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// find adds what a selector selects.
func (s Selector) find(scan *graph.Scan, to *Removal) error {
	why := "asked for"
	if s.repositories.is || s.tags.is {
		why += " by " + s.text
	}
	all := scan.Repositories()
	repositories := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !s.repositories.match(name) })
	if len(repositories) == 0 {
		return s.unmatched("repository", s.repositories, all)
	}
	var tags []string
	found := false
	for _, name := range repositories {
		switch {
		case s.Digest != "":
			for digest := range scan.Manifests(name) {
				if digest == s.Digest {
					found = true
					request(to.Manifests, name, digest, why)
				}
			}
		case s.Tag != "":
			for t := range scan.Tags(name) {
				tags = append(tags, t.Name)
				if s.tags.match(t.Name) {
					found = true
					request(to.Tags, name, t.Name, why)
				}
			}
		default:
			found = true
			to.Repositories[name] = why
		}
	}
	switch {
	case found:
		return nil
	case s.Digest != "":
		return &Unmatched{Why: s.text + ": there is no such manifest in " + strings.Join(repositories, ", ")}
	}
	return s.unmatched("tag", s.tags, tags)
}

// unmatched returns the error of a selector that selects nothing of a kind.
func (s Selector) unmatched(kind string, p pattern, names []string) error {
	if p.is {
		return &Unmatched{Why: s.text + ": there is no " + kind + " like " + p.name}
	}
	return &Unmatched{Why: s.text + ": there is no " + kind + " " + p.name, Name: p.name, Names: names}
}
