package report

import (
	"io"
	"strings"

	"regfsck/graph"
)

// WriteText writes what a tag means, what it takes, and all that it leads to.
func (l *TagTree) WriteText(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	r := &l.Tag
	t.head("  " + t.paint(bold, Clean(l.Repository+":"+r.Name)))
	for _, row := range [][2]string{
		{"digest", Clean(r.Digest)}, {"kind", r.kind()}, {"platforms", Clean(strings.Join(r.Platforms, ", "))},
		{"size", Size(r.Size) + " in all that a pull brings"}, {"own", Size(r.Own) + " freed if only this tag went"},
		{"pushed", day(r.Pushed)}, {"created", day(r.Created)}, {"about it", r.about()},
	} {
		if row[1] != "" {
			t.line(1, t.paint(dim, left(row[0], 11)), row[1])
		}
	}
	t.reasons(r.Because)
	if l.Tree.Digest != "" {
		t.blank()
		t.node(l, &l.Tree, 1)
	}
	t.pinned(l.Pinned)
	t.foot()
	return t.flush()
}

// reasons says why a tag can't be pulled.
func (t lister) reasons(because []string) {
	if because == nil {
		return
	}
	t.blank()
	t.line(1, t.paint(red, "It can't be pulled:"))
	for _, why := range because {
		id, path, _ := strings.Cut(why, " ")
		t.line(2, t.paint(red, left(Clean(id), 21)), "  ", short(Clean(path)))
	}
}

// maxSteps is how many steps in a tree is written; what is deeper stands no
// further to the right.
const maxSteps = 16

// node writes one thing of a tree and what is below it.
func (t lister) node(l *TagTree, n *graph.Node, steps int) {
	word := string(n.Role)
	if w := l.Words[n.Digest]; w != "" && n.Role == graph.RoleManifest {
		word = w
	} else if w != "" {
		word += ", " + w
	}
	what := right(some(n.Size), 11) + "  " + Clean(n.Digest) + "  " + Clean(word)
	if n.Broken != "" {
		what += "  " + t.paint(red, n.Broken)
	}
	if n.Again && len(n.Children) == 0 {
		what += "  " + t.paint(dim, "as above")
	}
	t.line(min(steps, maxSteps), what)
	for i := range n.Children {
		t.node(l, &n.Children[i], steps+1)
	}
}
