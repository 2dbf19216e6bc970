package report

import (
	"io"

	"regfsck/graph"
	"regfsck/graph/finding"
)

// RepositoryList is what ls says of a store.
type RepositoryList struct {
	List
	Rows   []graph.RepositoryUsage // in the order in which they are shown
	Shared int64                   // bytes that several repositories refer to, each blob once
}

// View is a table of repositories, what belongs to none of them, and what
// the columns mean.
func (l *RepositoryList) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.head("")
		if l.All == 0 {
			t.line(1, t.none())
		}
		width := widest(len(l.Rows), func(i int) string { return Clean(l.Rows[i].Name) })
		if l.All > 0 {
			t.table(1, Column{Name: "repository", Width: width}, Column{Name: "tags", Width: 9, Right: true}, Column{Name: "manifests", Width: 11, Right: true},
				Column{Name: "own", Width: 11, Right: true}, Column{Name: "shared", Width: 11, Right: true}, Column{Name: "total", Width: 11, Right: true},
				Column{Name: "newest tag", Gap: 2})
		}
		for i := range l.Rows {
			r := &l.Rows[i]
			if !t.shown(i) {
				break
			}
			t.row(Clean(r.Name), Number(r.Tags), Number(r.Manifests), t.paint(bold, some(r.Own)), some(r.Shared), some(r.Total()),
				day(r.Pushed)+t.brokenMark(r.Broken))
		}
		t.rest(len(l.Rows))
		t.sums(l.Shared)
		t.blank()
		t.prose(1, "own: freed if the repository went. shared: other repositories refer to it too.")
		t.foot()
	}
}

// none says that there is no repository, or that nobody saw one.
func (t lister) none() string {
	if !t.Result.Complete {
		return "No repository could be read."
	}
	return "There are no repositories."
}

// sums writes what belongs to no single repository, and all there is.
func (t lister) sums(shared int64) {
	garbage := t.Result.Counts[finding.BlobOrphan]
	t.blank()
	t.line(1, left("shared by several repositories, each blob once", 48), right(some(shared), 11))
	line := left("garbage, which belongs to none", 48) + right(some(garbage.Bytes), 11)
	if garbage.Young > 0 {
		line += "  and " + Plural(garbage.Young, "young blob", "young blobs") + " that nothing needs yet (--grace)"
	}
	t.line(1, line)
	t.line(1, t.paint(bold, left("all blobs", 48)+right(some(t.Result.Totals.Bytes), 11)))
}

// Short is how much there is.
func (l *RepositoryList) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.line(0, Plural(l.All, "repository", "repositories")+" in "+Clean(l.Target))
	}
}

type jsonRepository struct {
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

func repositoryOf(r *graph.RepositoryUsage) jsonRepository {
	return jsonRepository{r.Name, r.Tags, r.Broken, r.Manifests, r.Own, r.Shared, r.Total(), r.Uploads, stamp(r.Pushed)}
}

// WriteJSON writes all as one JSON document.
func (l *RepositoryList) WriteJSON(w io.Writer) error {
	d := l.begin(w)
	n, garbage := &l.Result.Totals, l.Result.Counts[finding.BlobOrphan]
	d.field("totals", struct {
		Repositories int   `json:"repositories"`
		Bytes        int64 `json:"bytes"`
		Shared       int64 `json:"shared_bytes"`
		Garbage      int64 `json:"garbage_bytes"`
		Young        int   `json:"young_garbage_blobs"`
	}{n.Repositories, n.Bytes, l.Shared, garbage.Bytes, garbage.Young})
	d.open("repositories")
	for i := range l.Rows {
		if !d.element(repositoryOf(&l.Rows[i])) {
			break
		}
	}
	d.shut()
	return l.end(d)
}
