package retain

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Glob is a pattern over the names of repositories, or of tags.
//
// A "*" stands for any characters but a slash, a "?" for one of them, and
// "[a-f]" or "[^a-f]" for one that is or isn't in the set. A "**" that is a
// whole component stands for any number of components: "app/**" is every
// repository below app, at any depth, but not app itself, "**/cache" is every
// repository whose last component is cache, and "**" is every repository. A
// pattern matches whole names alone, so "app" isn't "app/web", and "app/*"
// isn't "app/web/old".
//
// The zero Glob matches nothing.
type Glob struct {
	text       string
	components []string // a "**" is any number of them, none included
}

// ParseGlob parses a pattern. It refuses patterns that match no name, or that are ambiguous.
func ParseGlob(s string) (Glob, error) {
	g := Glob{text: s, components: strings.Split(s, "/")}
	for _, c := range g.components {
		if err := checkComponent(c); err != nil {
			return Glob{}, fmt.Errorf("the pattern %q: %w", s, err)
		}
	}
	if last := len(g.components) - 1; g.components[last] == "**" { // it needs one component more
		g.components = append(g.components[:last], "*", "**")
	}
	return g, nil
}

func checkComponent(c string) error {
	switch {
	case c == "":
		return errors.New("no name is empty, or has a slash at an end or two in a row")
	case c == "**":
		return nil
	case strings.Contains(c, "**"):
		return errors.New(`"**" matches whole components: put slashes around it, or write "*"`)
	case strings.ContainsAny(c, `{}\`):
		return errors.New("braces and backslashes aren't understood: give several patterns")
	case strings.Contains(c, "[!"):
		return errors.New(`a set that leaves characters out begins with "[^"`)
	}
	if _, err := path.Match(c, ""); err != nil {
		return errors.New(`a "[" has no "]", or there is nothing between them`)
	}
	return nil
}

// Match reports whether the pattern matches the whole name.
func (g Glob) Match(name string) bool {
	if len(g.components) == 0 || name == "" {
		return false
	}
	names := strings.Split(name, "/")
	// on a mismatch, the last "**" matches one component more
	at, again, tried := 0, -1, 0
	for i := 0; i < len(names); {
		switch {
		case at < len(g.components) && g.components[at] == "**":
			again, tried = at, i
			at++
		case at < len(g.components) && matches(g.components[at], names[i]):
			at++
			i++
		case again >= 0:
			tried++
			at, i = again+1, tried
		default:
			return false
		}
	}
	return !slices.ContainsFunc(g.components[at:], func(c string) bool { return c != "**" })
}

func matches(component, name string) bool {
	ok, err := path.Match(component, name)
	return ok && err == nil
}

// String returns the pattern as it was written.
func (g Glob) String() string { return g.text }

// Plain reports whether the pattern has no wildcards.
func (g Glob) Plain() bool { return g.text != "" && !strings.ContainsAny(g.text, "*?[") }

func matchesAny(globs []Glob, name string) bool {
	return slices.ContainsFunc(globs, func(g Glob) bool { return g.Match(name) })
}
