package retain

import (
	"fmt"
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
