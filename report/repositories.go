package report

import (
	"iter"

	"regfsck/graph/finding"
	"regfsck/graph/usage"
)

// RepositoryList is what ls says of a store.
type RepositoryList struct {
	List
	Rows   []usage.RepositoryUsage // in the order in which they are shown
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
			t.table(1, Column{Name: "repository", Width: width}, Column{Name: "tags", Width: 9, Right: true}, Column{Name: "manifests", Width: 11, Right: true, Drop: 5},
				Column{Name: "own", Width: 11, Right: true}, Column{Name: "shared", Width: 11, Right: true, Drop: 3}, Column{Name: "total", Width: 11, Right: true, Drop: 2},
				Column{Name: "newest tag", Gap: 2, Drop: 4}, Column{})
		}
		for i := range l.Rows {
			r := &l.Rows[i]
			if !t.shown(i) {
				break
			}
			t.row(Clean(r.Name), Number(r.Tags), Number(r.Manifests), t.paint(bold, some(r.Own)), some(r.Shared), some(r.Total()),
				day(r.Pushed), t.brokenMark(r.Broken))
		}
		t.rest(len(l.Rows))
		t.sums(l.Shared)
		t.blank()
		t.prose(1, "own: freed if the repository is removed. shared: other repositories use it too.")
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
	t.bareTable(1, Column{Name: "what", Width: 46}, Column{Name: "size", Width: 11, Right: true}, Column{})
	t.row("shared by several repositories, each blob once", some(shared), "")
	young := ""
	if garbage.InGrace > 0 {
		young = "  and " + Plural(garbage.InGrace, "unused blob", "unused blobs") + " newer than --grace"
	}
	t.row("garbage, used by none", some(garbage.Bytes), young)
	t.row(t.paint(bold, "all blobs"), t.paint(bold, some(t.Result.Totals.Bytes)), "")
}

// Short is how much there is.
func (l *RepositoryList) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.line(0, Plural(l.All, "repository", "repositories")+" in "+Clean(l.Target))
	}
}

// repositoryFields are a repository and what it uses.
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
	return repositoryFields{r.Name, r.Tags, r.Broken, r.Manifests, r.Own, r.Shared, r.Total(), r.Uploads, stamp(r.Pushed)}
}

// usedFields are what all repositories use together.
type usedFields struct {
	Repositories int   `json:"repositories"`
	Bytes        int64 `json:"bytes"`
	Shared       int64 `json:"shared_bytes"`
	Garbage      int64 `json:"garbage_bytes"`
	Young        int   `json:"young_garbage_blobs"`
}

// repositoriesFields are the document of a list of repositories.
type repositoriesFields struct {
	listFields
	Totals       usedFields                 `json:"totals"`
	Repositories iter.Seq[repositoryFields] `json:"repositories"`
	footFields
}

// Fields is the list for machines.
func (l *RepositoryList) Fields() any {
	n, garbage := &l.Result.Totals, l.Result.Counts[finding.BlobOrphan]
	return repositoriesFields{
		l.fields(), usedFields{n.Repositories, n.Bytes, l.Shared, garbage.Bytes, garbage.InGrace}, each(l.Rows, repositoryOf), l.foot(),
	}
}
