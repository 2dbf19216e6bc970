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
