package report

import (
	"iter"
	"time"
	"unicode/utf8"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report/document"
	"regfsck/report/view"
)

// ListSchema is the name and version of the documents of ls.
const ListSchema = "regfsck.ls/1"

// List is the common part of the answers of ls.
type List struct {
	Check
	All int // the number of rows; --limit may leave out some
	Cut int // rows to show on a terminal; 0 for all
}

// OnTerminal is the default number of rows on a terminal.
const OnTerminal = 30

// lister writes a list.
type lister struct {
	*text
	list *List
}

// list returns the view that say writes.
func (l *List) list(o view.Options, say func(lister)) view.View {
	return l.text("ls", o, func(t *text) {
		if t.Terminal {
			t.Limit = l.Cut
		}
		say(lister{t, l})
	})
}

// head writes the title.
func (t lister) head(name string) {
	t.title(t.Paint(view.Bold, "regfsck ls"), "  ", words.Clean(t.Target), name)
	t.Gap()
}

// rest writes how many rows of n are not shown, and how to see them.
func (t lister) rest(n int) {
	shown := n
	if t.Limit > 0 {
		shown = min(n, t.Limit)
	}
	if shown < t.list.All {
		t.Line(1, t.Paint(view.Dim, "… and "+words.Number(t.list.All-shown)+" more: "+t.command("--limit", "0")))
	}
}

// foot writes what may be wrong with the numbers or tags.
func (t lister) foot() {
	if t.Result.Doubts.Database != "" {
		t.Para(1, t.Paint(view.Yellow, "This registry keeps its links in a database: these numbers may be wrong."))
	}
	if !t.Result.Complete {
		t.Para(1, t.Paint(view.Red, "INCOMPLETE")+": something could not be read, so this list may lack entries. This names what:")
		t.Line(2, t.at("check"))
	}
}

// pinned writes why no tag has own bytes.
func (t lister) pinned(why string) {
	if why == "" {
		return
	}
	t.Para(1, t.Paint(view.Yellow, "Removing a tag frees nothing here, because the whole repository is kept")+": "+words.Clean(why)+". This shows what to do:")
	t.Line(2, t.at("check"))
}

// Day formats a time to the minute; the zero time is a dash.
func Day(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04")
}

// ShortDigest shortens a digest to twelve digits.
func ShortDigest(digest string) string {
	return longHex.ReplaceAllString(words.Clean(digest), "$1…")
}

// maxName is the greatest width of a column of names. A longer name shifts only its own row.
const maxName = 40

// widest returns the width of a column of names.
func widest[T any](all []T, name func(*T) string) (width int) {
	for name := range document.Each(all, name) {
		if w := utf8.RuneCountInString(name); w <= maxName {
			width = max(width, w)
		}
	}
	return width
}

// listFields are the first members of documents of ls.
type listFields struct {
	timedFields
	Complete bool         `json:"complete"`
	Notes    []string     `json:"notes"`
	Database bool         `json:"links_in_database,omitempty"` // so the numbers may be wrong
	Again    *againFields `json:"again,omitempty"`
}

// footFields are their last members.
type footFields struct {
	Rows int        `json:"rows"`
	Exit exitFields `json:"exit"`
}

func (l *List) fields() listFields {
	return listFields{
		l.timed(ListSchema), l.Result.Complete, document.List(l.Result.Notes), l.Result.Doubts.Database != "",
		&againFields{Same: document.List(l.Repeat), Reach: document.List(l.Reach)},
	}
}

func (l *List) foot() footFields { return footFields{l.All, exitOf(l.Exit)} }

// RepositoryList is the answer of ls for a store.
type RepositoryList struct {
	List
	Rows   []usage.RepositoryUsage // in the order of display
	Shared int64                   // bytes of blobs that several repositories refer to, each once
}

// View returns a table of repositories, what is of none of them, and the meaning of the
// columns.
func (l *RepositoryList) View(o view.Options) view.View {
	return l.list(o, func(t lister) {
		t.head("")
		if l.All == 0 {
			t.Line(1, t.none())
		}
		width := max(10, widest(l.Rows, func(r *usage.RepositoryUsage) string { return words.Clean(r.Name) }))
		if l.All > 0 {
			t.Table(1, view.Column{Name: "repository", Width: width}, view.Column{Name: "tags", Width: 9, Right: true}, view.Column{Name: "manifests", Width: 11, Right: true, Drop: 5},
				view.Column{Name: "own", Width: 11, Right: true}, view.Column{Name: "shared", Width: 11, Right: true, Drop: 3}, view.Column{Name: "total", Width: 11, Right: true, Drop: 2},
				view.Column{Name: "newest tag", Gap: 2, Drop: 4}, view.Column{})
		}
		for i := range l.Rows[:t.First(len(l.Rows))] {
			r, broken := &l.Rows[i], ""
			if r.Broken > 0 {
				broken = "  " + t.Paint(view.Red, words.Number(r.Broken)+" broken")
			}
			t.Row(words.Clean(r.Name), words.Number(r.Tags), words.Number(r.Manifests), t.Paint(view.Bold, some(r.Own)), some(r.Shared), some(r.Total()),
				Day(r.Pushed), broken)
		}
		t.rest(len(l.Rows))
		t.sums(l.Shared)
		t.Para(1, "own: freed if the repository is removed. shared: other repositories use it too.")
		t.foot()
	})
}

// none returns the sentence for a store without repositories, or without readable ones.
func (t lister) none() string {
	if !t.Result.Complete {
		return "No repository could be read."
	}
	return "There are no repositories."
}

// sums writes what is of no single repository, and the total.
func (t lister) sums(shared int64) {
	garbage := t.Result.Counts[finding.BlobOrphan]
	t.Gap()
	t.BareTable(1, view.Column{Name: "what", Width: 46}, view.Column{Name: "size", Width: 11, Right: true}, view.Column{})
	t.Row("shared by several repositories, each blob once", some(shared), "")
	young := ""
	if garbage.InGrace > 0 {
		young = "  and " + words.Plural(garbage.InGrace, "unused blob", "unused blobs") + " newer than --grace"
	}
	t.Row("garbage, used by none", some(garbage.Bytes), young)
	t.Row(t.Paint(view.Bold, "all blobs"), t.Paint(view.Bold, some(t.Result.Totals.Bytes)), "")
}

// Short returns the totals.
func (l *RepositoryList) Short(o view.Options) view.View {
	return line(o, words.Plural(l.All, "repository", "repositories")+" in "+words.Clean(l.Target))
}

// repositoryFields is a repository and its usage.
type repositoryFields struct {
	Name      string `json:"name"`
	Tags      int    `json:"tags"`
	Broken    int    `json:"tags_broken"`
	Manifests int    `json:"manifests"`
	Own       int64  `json:"own_bytes"`
	Shared    int64  `json:"shared_bytes"`
	Total     int64  `json:"total_bytes"`
	Uploads   int64  `json:"upload_bytes"`
	Pushed    string `json:"pushed"`
}

func repositoryOf(r *usage.RepositoryUsage) repositoryFields {
	return repositoryFields{r.Name, r.Tags, r.Broken, r.Manifests, r.Own, r.Shared, r.Total(), r.Uploads, document.Time(r.Pushed)}
}

// usedFields is the usage of all repositories.
type usedFields struct {
	Repositories int   `json:"repositories"`
	Bytes        int64 `json:"bytes"`
	Shared       int64 `json:"shared_bytes"`
	Garbage      int64 `json:"garbage_bytes"`
	Young        int   `json:"young_garbage_blobs"`
}

// repositoriesFields is the document of a list of repositories.
type repositoriesFields struct {
	listFields
	Totals       usedFields                 `json:"totals"`
	Repositories iter.Seq[repositoryFields] `json:"repositories"`
	footFields
}

// Fields returns the document.
func (l *RepositoryList) Fields() any {
	n, garbage := &l.Result.Totals, l.Result.Counts[finding.BlobOrphan]
	return repositoriesFields{
		l.fields(), usedFields{n.Repositories, n.Bytes, l.Shared, garbage.Bytes, garbage.InGrace}, document.Each(l.Rows, repositoryOf), l.foot(),
	}
}
