package report

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// ListSchema names the form of the documents of ls.
const ListSchema = "regfsck.ls/1"

// List is what all answers of ls have in common.
type List struct {
	Check
	All int // rows there are; those of a list may be fewer, by --limit
	Cut int // rows that a terminal shows; 0 for all
}

// RepositoryList is what ls says of a store.
type RepositoryList struct {
	List
	Rows   []graph.RepositoryUsage // in the order in which they are shown
	Shared int64                   // bytes that several repositories refer to, each blob once
}

// TagList is what ls says of a repository.
type TagList struct {
	List
	Repository graph.RepositoryUsage
	Pinned     string   // why no tag has bytes of its own, "" where some may
	Rows       []TagRow // in the order in which they are shown
}

// TagRow is a tag and what was read of its manifest.
type TagRow struct {
	graph.TagUsage
	Form         manifest.Form // "" where the manifest could not be read
	ArtifactType string
	Platforms    []string  // of an image, or of an index's images
	Created      time.Time // by the image's config; zero where nothing says so
	Signatures   int
	Others       int // referrers that are no signatures
}

// BrokenList is what ls --broken says.
type BrokenList struct {
	List
	Repository string // "" for the whole store
	Rows       []finding.BrokenTag
	Unknown    []finding.BrokenTag // those that could not be judged; --limit leaves all of them
}

// TagTree is what ls says of one tag.
type TagTree struct {
	List
	Repository string
	Pinned     string
	Tag        TagRow
	Tree       graph.Node
	Words      map[string]string // by digest of a manifest: what it stands for
}

// lister is a list on its way to a printer.
type lister struct {
	*text
	list *List
}

func newLister(l *List, w io.Writer, o TextOptions) lister {
	t := newText(&l.Check, w, o)
	t.verb, t.limit = "ls", 0
	if o.Terminal {
		t.limit = l.Cut
	}
	return lister{t, l}
}

// head writes what the list is about.
func (t lister) head(name string) {
	t.line(0, t.paint(bold, "regfsck ls"), "  ", Clean(t.Target), name)
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
		t.prose(1, t.paint(yellow, "This registry keeps its links in a database: what is said here of who uses what may be wrong."))
	}
	if !t.Result.Complete {
		t.blank()
		t.prose(1, t.paint(red, "INCOMPLETE")+": something could not be read, so there may be more than is said here. What it is:")
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

// widest returns the width of a column of n names. The few that are very long, as
// those of signatures are, push their own rows to the right and nobody else's.
func widest(n int, of func(i int) string) (width int) {
	const long = 40
	width = 10
	for i := range n {
		if w := utf8.RuneCountInString(of(i)); w <= long {
			width = max(width, w)
		}
	}
	return width
}

// kind says in a word or two what a tag's manifest stands for.
func (r *TagRow) kind() string {
	switch {
	case r.Form == "":
		return "?"
	case r.Form == manifest.FormArtifact && r.ArtifactType != "":
		return Clean(r.ArtifactType)
	case r.Form == manifest.FormIndex && len(r.Platforms) > 0:
		return "index of " + Number(len(r.Platforms))
	}
	return string(r.Form)
}

// about says how many manifests are about a tag's.
func (r *TagRow) about() string {
	var parts []string
	if r.Signatures > 0 {
		parts = append(parts, Plural(r.Signatures, "signature", "signatures"))
	}
	if r.Others > 0 {
		parts = append(parts, Plural(r.Others, "other", "others"))
	}
	return strings.Join(parts, ", ")
}

// tagName returns a tag's name for a table: of a tag sha256-<hex>… only as much of
// the digest as tells it from others.
func tagName(name string) string {
	if _, ok := layout.SubjectOf(name); !ok {
		return Clean(name)
	}
	const shown = len("sha256-") + 12
	return name[:shown] + "…" + Clean(name[len("sha256-")+64:])
}
