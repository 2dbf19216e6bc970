package report

import (
	"strings"
	"time"
	"unicode/utf8"

	"regfsck/graph/usage"
)

// ListSchema names the form of the documents of ls.
const ListSchema = "regfsck.ls/1"

// List is what all answers of ls have in common.
type List struct {
	Check
	All int // rows there are; those of a list may be fewer, by --limit
	Cut int // rows that a terminal shows; 0 for all
}

// OnTerminal is how many rows a terminal shows unless more are asked for.
const OnTerminal = 30

// lister is a list on its way to a printer.
type lister struct {
	*text
	list *List
}

func newLister(l *List, yield func(Block) bool, o TextOptions) lister {
	t := newText(&l.Check, yield, o)
	t.verb, t.limit = "ls", 0
	if o.Terminal {
		t.limit = l.Cut
	}
	return lister{t, l}
}

// head writes what the list is about.
func (t lister) head(name string) {
	t.title(t.paint(bold, "regfsck ls"), "  ", Clean(t.Target), name)
	t.blank()
}

// rest says how many rows of n are not shown, and how to see them.
func (t lister) rest(n int) {
	shown := n
	if t.limit > 0 {
		shown = min(n, t.limit)
	}
	if shown < t.list.All {
		t.line(1, t.paint(dim, "… and "+Number(t.list.All-shown)+" more: "+t.command("--limit", "0")))
	}
}

// foot says what may be wrong with the numbers, or with the tags.
func (t lister) foot() {
	if t.Result.Doubts.Database != "" {
		t.blank()
		t.prose(1, t.paint(yellow, "This registry keeps its links in a database: these numbers may be wrong."))
	}
	if !t.Result.Complete {
		t.blank()
		t.prose(1, t.paint(red, "INCOMPLETE")+": something could not be read, so this list may lack entries. This names what:")
		t.line(2, t.at("check"))
	}
}

// brokenMark says how many tags can't be pulled, for the end of a row.
func (t lister) brokenMark(n int) string {
	if n == 0 {
		return ""
	}
	return "  " + t.paint(red, Number(n)+" broken")
}

// pinned says why no tag has bytes of its own.
func (t lister) pinned(why string) {
	if why == "" {
		return
	}
	t.blank()
	t.prose(1, t.paint(yellow, "Removing a tag frees nothing here, because the whole repository is kept")+": "+Clean(why)+". This shows what to do:")
	t.line(2, t.at("check"))
}

// day writes a time for a table, to the minute; the zero time is a dash.
func day(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04")
}

// name cuts a digest to what people tell apart.
func name(digest string) string {
	return longHex.ReplaceAllString(Clean(digest), "$1…")
}

// maxName is how wide a column of names is at most. The few that are longer, as those
// of signatures are, push their own rows to the right and nobody else's.
const maxName = 40

// widest returns the width of a column of n names.
func widest(n int, of func(i int) string) (width int) {
	width = 10
	for i := range n {
		if w := utf8.RuneCountInString(of(i)); w <= maxName {
			width = max(width, w)
		}
	}
	return width
}

// listFields are those with which every document of ls begins.
type listFields struct {
	timedFields
	Complete bool         `json:"complete"`
	Notes    []string     `json:"notes"`
	Database bool         `json:"links_in_database,omitempty"` // so that the numbers may be wrong
	Again    *againFields `json:"again,omitempty"`
}

// footFields are those with which it ends.
type footFields struct {
	Rows int        `json:"rows"`
	Exit exitFields `json:"exit"`
}

func (l *List) fields() listFields {
	return listFields{
		l.timed(ListSchema), l.Result.Complete, listed(l.Result.Notes), l.Result.Doubts.Database != "",
		&againFields{Same: listed(l.Repeat), Reach: listed(l.Reach)},
	}
}

func (l *List) foot() footFields { return footFields{l.All, exitOf(l.Exit)} }

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
