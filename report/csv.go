package report

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"

	"regfsck/graph"
)

// tabular is a document that is a table too.
type tabular interface{ WriteCSV(io.Writer) error }

func csvWriter(d Document) func(io.Writer) error {
	if t, ok := d.(tabular); ok {
		return t.WriteCSV
	}
	return nil
}

// table writes rows with a header. What comes from a store is escaped as in text.
func table(w io.Writer, header []string, n int, row func(i int) []string) error {
	out := csv.NewWriter(w)
	err := out.Write(header)
	for i := 0; i < n && err == nil; i++ {
		cells := row(i)
		for at, cell := range cells {
			cells[at] = Clean(cell)
		}
		err = out.Write(cells)
	}
	out.Flush()
	if err != nil {
		return err
	}
	return out.Error()
}

func digits[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// WriteCSV writes the rows; sizes in bytes, times as in JSON.
func (l *RepositoryList) WriteCSV(w io.Writer) error {
	header := []string{"repository", "tags", "tags_broken", "manifests", "own_bytes", "shared_bytes", "total_bytes", "upload_bytes", "pushed"}
	return table(w, header, len(l.Rows), func(i int) []string {
		r := &l.Rows[i]
		return []string{
			r.Name, digits(r.Tags), digits(r.Broken), digits(r.Manifests), digits(r.Own), digits(r.Shared), digits(r.Total()),
			digits(r.Uploads), stamp(r.Pushed),
		}
	})
}

var tagHeader = []string{
	"repository", "tag", "digest", "kind", "artifact_type", "platforms", "size_bytes", "own_bytes", "pushed", "created",
	"signatures", "other_referrers", "broken_because",
}

func tagCells(repository string, r *TagRow) []string {
	return []string{
		repository, r.Name, r.Digest, string(r.Form), r.ArtifactType, strings.Join(r.Platforms, " "), digits(r.Size), digits(r.Own),
		stamp(r.Pushed), stamp(r.Created), digits(r.Signatures), digits(r.Others), strings.Join(r.Because, "; "),
	}
}

// WriteCSV writes the rows; sizes in bytes, times as in JSON.
func (l *TagList) WriteCSV(w io.Writer) error {
	return table(w, tagHeader, len(l.Rows), func(i int) []string { return tagCells(l.Repository.Name, &l.Rows[i]) })
}

// WriteCSV writes the tags with their reasons; state is "broken" or "unknown".
func (l *BrokenList) WriteCSV(w io.Writer) error {
	all := slices.Concat(l.Rows, l.Unknown)
	return table(w, []string{"repository", "tag", "broken_because", "state"}, len(all), func(i int) []string {
		state := "broken"
		if i >= len(l.Rows) {
			state = "unknown"
		}
		return []string{all[i].Repository, all[i].Tag, strings.Join(all[i].Because, "; "), state}
	})
}

// WriteCSV writes the tree, one thing a row, from above.
func (l *TagTree) WriteCSV(w io.Writer) error {
	var rows [][]string
	var add func(n *graph.Node, depth int)
	add = func(n *graph.Node, depth int) {
		rows = append(rows, []string{l.Repository, l.Tag.Name, digits(depth), n.Digest, string(n.Role), l.Words[n.Digest], digits(n.Size), n.Broken})
		for i := range n.Children {
			add(&n.Children[i], depth+1)
		}
	}
	if l.Tree.Digest != "" {
		add(&l.Tree, 0)
	}
	header := []string{"repository", "tag", "depth", "digest", "role", "kind", "size_bytes", "broken"}
	return table(w, header, len(rows), func(i int) []string { return rows[i] })
}
