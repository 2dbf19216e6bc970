package report

import (
	"io"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph"
)

// TextOptions says for whom the text is.
type TextOptions struct {
	Color    bool
	Terminal bool // a person looks on: long lists are cut
	Width    int  // of the terminal, in columns; 0 when unknown
	Limit    int  // entries a list on a terminal; 0 for 10
}

// WriteText writes the report for people. What a cut list leaves out is
// counted, with the command that shows it.
func (c *Check) WriteText(w io.Writer, o TextOptions) error {
	t := newText(c, w, o)
	t.line(0, t.paint(bold, "regfsck check"), "  ", Clean(c.Target))
	t.phases()
	t.store()
	t.tags()
	t.findings()
	t.garbage()
	t.notes()
	t.blank()
	t.verdict()
	t.next()
	t.exit()
	return t.flush()
}

// WriteVerdict writes the one line that matters most.
func (c *Check) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newText(c, w, o)
	t.verdict()
	return t.flush()
}

// text is a Check on its way to a printer.
type text struct {
	*Check
	*printer
	verb  string // the command that shows the same again
	limit int    // of a list; 0 for none
	cut   bool
	whole string // where all of it is to be found, where no command shows it; or ""
}

func newText(c *Check, w io.Writer, o TextOptions) *text {
	t := &text{Check: c, printer: newPrinter(w, o.Color, o.Width), verb: "check"}
	if o.Terminal {
		t.limit = o.Limit
		if t.limit <= 0 {
			t.limit = 10
		}
	}
	return t
}

// shown reports whether the nth entry of a list, from 0, is to be written.
func (t *text) shown(n int) bool { return t.limit == 0 || n < t.limit }

// more says how many entries of a list of n were left out.
func (t *text) more(steps, n int) { t.moreOf(steps, n, "") }

// moreOf is more of a list of what, which begins with a space.
func (t *text) moreOf(steps, n int, what string) {
	if t.shown(n - 1) {
		return
	}
	t.cut = true
	where := t.whole
	if where == "" {
		where = t.command("--json")
	}
	t.line(steps, t.paint(dim, "… and "+Number(n-t.limit)+" more"+what+": "+where))
}

// at returns a command about the same store.
func (c *Check) at(verb string, more ...string) string {
	return commandOf(slices.Concat([]string{verb, c.Repeat[0]}, more, c.Reach)...)
}

// command returns the command that shows the same again, with more flags.
func (t *text) command(flags ...string) string {
	return strings.Join(append([]string{commandOf(append([]string{t.verb}, t.Repeat...)...)}, flags...), " ")
}

// quote returns s as a shell takes it for one word.
func quote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%="
	if Clean(s) != s {
		return "$'" + strings.ReplaceAll(Clean(s), "'", `\'`) + "'"
	}
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// heading begins a part of the report.
func (t *text) heading(st style, s string) {
	t.blank()
	t.line(0, t.paint(st, s))
}

func (t *text) phases() {
	t.blank()
	name, count := 0, 0
	for _, p := range t.Phases {
		name, count = max(name, len(p.Name)), max(count, len(counted(p)))
	}
	for _, p := range t.Phases {
		t.line(1, left(p.Name, name), "  ", right(counted(p), count), "  ",
			t.paint(dim, right(Span(p.Duration), 11)))
	}
	if t.Bucket {
		t.requests()
	}
}

// requests says what a bucket was asked, which is what it costs.
func (t *text) requests() {
	c := &t.Cost
	t.blank()
	line := requests(c)
	if t.ManifestsCached > 0 {
		line += "; " + Plural(t.ManifestsCached, "manifest was", "manifests were") + " known from before"
	}
	if all := t.LinksRead + t.LinksByETag; all > 0 {
		line += "; the listing itself proved " + Number(t.LinksByETag) + " of " + Plural(all, "link", "links")
	}
	t.line(1, line)
}

// requests puts what a bucket was asked into words.
func requests(c *backend.Cost) string {
	line := Number(c.List) + " list, " + Number(c.Get) + " get"
	if c.Put+c.Delete > 0 {
		return line + ", " + Number(c.Head) + " head, " + Number(c.Put) + " put and " + Number(c.Delete) + " delete requests"
	}
	return line + " and " + Number(c.Head) + " head requests"
}

// counted writes what a phase went through.
func counted(p graph.Phase) string {
	switch p.Unit {
	case "":
		return ""
	case "bytes":
		return Size(p.Count)
	}
	return Number(p.Count) + " " + p.Unit
}

func (t *text) store() {
	n := &t.Result.Totals
	t.blank()
	t.line(1, Plural(n.Repositories, "repository", "repositories")+", "+
		Plural(n.Tags, "tag", "tags")+", "+
		Plural(n.Revisions, "manifest", "manifests")+", "+
		Plural(n.Blobs, "blob", "blobs")+" of "+Size(n.Bytes))
	t.line(1, t.paint(dim, "needed of these: "+Plural(n.ReferencedBlobs, "blob", "blobs")+" of "+Size(n.ReferencedBytes)))
	t.untagged()
	if n.CacheAbsent > 0 {
		t.line(1, t.paint(dim, "a pull-through cache: "+Plural(n.CacheAbsent, "thing is", "things are")+" legally absent"))
	}
}

// untagged says how many manifests have no tag, and what it would free to remove
// them.
func (t *text) untagged() {
	n := &t.Result.Totals
	if n.Untagged == 0 {
		return
	}
	line := Plural(n.Untagged, "manifest has", "manifests have") + " no tag"
	if n.UntaggedGoing > 0 {
		line += ": --untagged would remove " + Number(n.UntaggedGoing) + " of them, and free " + Size(n.UntaggedBytes) + " more"
	}
	t.line(1, line)
}

func (t *text) notes() {
	if len(t.Result.Notes) == 0 {
		return
	}
	t.heading(bold, "NOTES")
	for _, n := range t.Result.Notes {
		t.blank()
		t.prose(1, Clean(n))
	}
}
