package report

import (
	"strings"

	"regfsck/graph/usage"
)

// TagTree is what ls says of one tag.
type TagTree struct {
	List
	Repository string
	Pinned     string
	Tag        TagRow
	Tree       usage.Node
	Words      map[string]string // by digest of a manifest: what it stands for
}

// View is what a tag means, what it takes, and all that it leads to.
func (l *TagTree) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		r := &l.Tag
		t.head("  " + t.paint(bold, Clean(l.Repository+":"+r.Name)))
		t.bareTable(1, Column{Width: 11}, Column{})
		for _, row := range [][2]string{
			{"digest", Clean(r.Digest)}, {"kind", r.kind()}, {"platforms", Clean(strings.Join(r.Platforms, ", "))},
			{"size", Size(r.Size) + " to pull all platforms"}, {"own", Size(r.Own) + " freed if only this tag is removed"},
			{"pushed", day(r.Pushed)}, {"created", day(r.Created)}, {"referrers", r.about()},
		} {
			if row[1] != "" {
				t.row(t.paint(dim, row[0]), row[1])
			}
		}
		if r.Because != nil {
			t.blank()
			t.line(1, t.paint(red, "It can't be pulled:"))
			t.reasons(r.Because, red)
		}
		if l.Tree.Digest != "" {
			t.blank()
			t.node(l, &l.Tree, 1)
		}
		t.pinned(l.Pinned)
		t.foot()
	}
}

// maxSteps is how many steps in a tree is written; what is deeper stands no
// further to the right.
const maxSteps = 16

// node writes one thing of a tree and what is below it.
func (t lister) node(l *TagTree, n *usage.Node, steps int) {
	word := string(n.Role)
	if w := l.Words[n.Digest]; w != "" && n.Role == usage.RoleManifest {
		word = w
	} else if w != "" {
		word += ", " + w
	}
	what := right(some(n.Size), 11) + "  " + t.cropped(Clean(n.Digest)) + "  " + Clean(word)
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

// Short is what the tag means.
func (l *TagTree) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.line(0, Clean(l.Repository+":"+l.Tag.Name)+"  "+Clean(l.Tag.Digest))
	}
}

// nodeFields are a thing that a tag leads to, with what is below it.
type nodeFields struct {
	Digest   string       `json:"digest"`
	Role     string       `json:"role"`
	Kind     string       `json:"kind"` // of a manifest
	Size     int64        `json:"size_bytes"`
	Broken   string       `json:"broken"`
	Again    bool         `json:"again"`
	Children []nodeFields `json:"children"`
}

func (l *TagTree) nodeOf(n *usage.Node) nodeFields {
	to := nodeFields{n.Digest, string(n.Role), l.Words[n.Digest], n.Size, n.Broken, n.Again, []nodeFields{}}
	for i := range n.Children {
		to.Children = append(to.Children, l.nodeOf(&n.Children[i]))
	}
	return to
}

// treeFields are the document of one tag.
type treeFields struct {
	listFields
	Repository string     `json:"repository"`
	Pinned     string     `json:"pinned"`
	Tag        tagFields  `json:"tag"`
	Tree       nodeFields `json:"tree"`
	footFields
}

// Fields is the tag for machines.
func (l *TagTree) Fields() any {
	return treeFields{l.fields(), l.Repository, l.Pinned, tagOf(&l.Tag), l.nodeOf(&l.Tree), l.foot()}
}
