package report

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// The signs of a diff's lines.
const (
	goes     = "-"
	rebuilt  = "+"
	undecide = "!"
)

var signStyles = map[string]style{goes: red, rebuilt: green, undecide: yellow}

// change is a line of the diff.
type change struct {
	sign, repository, name, reason string
	kind                           finding.Kind
	bytes                          int64
	blob, ownFolder                bool
	thing                          string       // what it is a part of, "" where that is all of it
	cure                           finding.Cure // of what needs a decision
}

// isOwnFolder reports whether a step removes one of the folders that make a
// repository.
func isOwnFolder(s *plan.Step) bool {
	return s.Kind == plan.Directory && s.Finding.TakesRepository()
}

// decisions are the findings whose cure nobody has asked for, in their order;
// none where the plan is about a removal alone.
func (p *Plan) decisions() iter.Seq[finding.Finding] {
	return func(yield func(finding.Finding) bool) {
		if p.Policy.Removal != nil {
			return
		}
		for f := range p.Result.Findings {
			if f.Cure.Asks() && !f.Young && !p.Policy.Cures(f.Kind) && !p.Policy.Leaves(f.Kind) && !yield(f) {
				return
			}
		}
	}
}

// changes are the lines of the diff: repositories by name, then what belongs to
// none, then blobs; in each what is done in the order in which it is done, and
// then what needs a decision.
func (p *Plan) changes() []change {
	var all []change
	for i := range p.Plan.Steps {
		s := &p.Plan.Steps[i]
		c := change{
			sign: goes, repository: s.Repository, name: nameOf(s.Repository, s.Key), reason: s.Reason, kind: s.Finding, bytes: s.Bytes,
			blob: s.Kind == plan.Blob || s.Kind == plan.RebuiltBlob, ownFolder: isOwnFolder(s),
		}
		if thing := s.Object(); thing != s.FullKey() {
			c.thing = thing
		}
		switch s.Op {
		case plan.Write:
			c.sign = rebuilt
			if c.blob {
				c.bytes = int64(len(s.Body))
			}
		case plan.Abort: // never named like a blob at its key, which stays
			c.name = pathOf(s.Repository, s.Key)
		}
		if last := len(all) - 1; last >= 0 && isOwnFolder(s) && all[last].ownFolder && all[last].repository == c.repository {
			all[last].name += " " + c.name // the folders of a repository are one thing
			continue
		}
		all = append(all, c)
	}
	for f := range p.decisions() {
		all = append(all, change{
			sign: undecide, repository: f.Repository, name: nameOf(f.Repository, f.Path), reason: f.Detail, kind: f.Kind, bytes: f.Bytes,
			blob: f.Repository == "", cure: f.Cure,
		})
	}
	slices.SortStableFunc(all, func(a, b change) int {
		return cmp.Or(cmp.Compare(place(&a), place(&b)), cmp.Compare(a.repository, b.repository))
	})
	return all
}

// place ranks the three parts of a diff.
func place(c *change) int {
	switch {
	case c.blob:
		return 2
	case c.repository == "":
		return 1
	}
	return 0
}

// diff writes what goes, what is rebuilt and what needs a decision.
func (t *planText) diff() {
	groups := groupsOf(t.all)
	repositories := 0
	for i, g := range groups {
		if place(&g[0]) > 0 || t.shown(i) {
			t.changesOf(g)
		}
		if place(&g[0]) == 0 {
			repositories++
		}
		if last := i+1 == len(groups) || place(&groups[i+1][0]) > 0; last && !t.shown(repositories-1) && place(&g[0]) == 0 {
			t.blank()
			t.moreOf(0, repositories, " repositories")
		}
	}
}

// groupsOf splits sorted changes by the part that they belong to.
func groupsOf(all []change) (groups [][]change) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(c change) bool {
			return place(&c) != place(&all[0]) || !c.blob && c.repository != all[0].repository
		})
		if n < 0 {
			n = len(all)
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	return groups
}

// changesOf writes the lines of one repository, or of another part.
func (t *planText) changesOf(all []change) {
	title := Clean(all[0].repository)
	switch place(&all[0]) {
	case 1:
		title = "of no repository"
	case 2:
		title = "blobs"
	}
	t.heading(bold, title)
	for i := range all {
		if t.shown(i) {
			t.change(&all[i])
		}
	}
	t.more(1, len(all))
}

// linkSize is what a link takes: not worth a word.
const linkSize = 71

func (t *planText) change(c *change) {
	name := t.cropped(Clean(c.name))
	switch {
	case c.blob:
		name += right(Size(c.bytes), 11)
	case c.bytes > linkSize:
		name += "  " + Size(c.bytes)
	}
	tail := "  " + c.kind.String()
	if c.sign == undecide {
		tail += "  --also " + c.kind.String()
	}
	t.line(1, t.paint(signStyles[c.sign], c.sign+" "), name, t.paint(dim, tail))
	if c.reason != "" && (t.p.Retention == nil || c.kind != finding.TagRemoved) { // each tag has said why
		t.prose(3, t.cropped(Clean(c.reason)))
	}
}

// nameOf is a path below its repository where it has one; of a blob it is the
// digest.
func nameOf(repository, path string) string {
	if key, err := layout.Parse(path); err == nil && key.Kind == layout.Blob {
		return key.Algorithm + ":" + key.Hex
	}
	return pathOf(repository, path)
}

// pathOf is a path below its repository where it has one, else below the root.
func pathOf(repository, path string) string {
	if repository != "" {
		return strings.TrimPrefix(path, layout.RepositoryKey(repository)+"/")
	}
	return strings.TrimPrefix(path, layout.Root+"/")
}

// cropped cuts digests on a terminal, where a line should fit; elsewhere they
// stand whole.
func (t *text) cropped(s string) string {
	if t.limit == 0 {
		return s
	}
	return short(s)
}
