package finding

import "slices"

// Group is a name for several kinds of findings. Its text form is stable.
type Group struct {
	Name  string
	Brief string // a line without a full stop
	has   func(Kind) bool
}

// Groups are all groups.
var Groups = []Group{
	{"repairs", "all that a fix rebuilds or copies from a source, without a request", Kind.IsRepaired},
	{"garbage", "all garbage", func(k Kind) bool { return k.Severity() == Garbage }},
	{"error", "all findings of that severity", func(k Kind) bool { return k.Severity() == Error }},
	{"warning", "all findings of that severity", func(k Kind) bool { return k.Severity() == Warning }},
}

// IsRepaired reports whether a fix may restore the objects of such findings without a
// request.
func (k Kind) IsRepaired() bool { return slices.ContainsFunc(k.Cures(), Cure.Restores) }

// Names returns the text forms of the kinds that wanted selects, in order. It is never nil.
func Names(wanted func(Kind) bool) []string {
	names := []string{}
	for k := range Kinds {
		if wanted(k) {
			names = append(names, k.String())
		}
	}
	return names
}

// Set is a set of kinds.
type Set [NumKinds]bool

// SetOf returns the set of the kinds with these text forms. unknown is the first name that no
// kind of a set has; "" if all have one.
func SetOf(names []string) (s Set, unknown string) {
	for _, name := range names {
		k, ok := Parse(name)
		if !ok || k >= NumKinds {
			return s, name
		}
		s[k] = true
	}
	return s, ""
}

// Names returns the text forms of the set's kinds, in order. It is never nil.
func (s *Set) Names() []string { return Names(func(k Kind) bool { return s[k] }) }

// Kinds returns the kinds of the group.
func (g *Group) Kinds() (all []Kind) {
	for k := range Kinds {
		if g.has(k) {
			all = append(all, k)
		}
	}
	return all
}

// ParseGroup returns the group of that name; ok is false where there is none.
func ParseGroup(name string) (g *Group, ok bool) {
	at := slices.IndexFunc(Groups, func(g Group) bool { return g.Name == name })
	if at < 0 {
		return nil, false
	}
	return &Groups[at], true
}
