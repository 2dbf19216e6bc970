package report

import (
	"io"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
)

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

type jsonTag struct {
	Tag          string         `json:"tag"`
	Digest       string         `json:"digest"`
	Kind         string         `json:"kind"`
	ArtifactType string         `json:"artifact_type"`
	Platforms    []string       `json:"platforms"`
	Size         int64          `json:"size_bytes"`
	Own          int64          `json:"own_bytes"`
	Pushed       string         `json:"pushed"`
	Created      string         `json:"created"`
	Signatures   int            `json:"signatures"`
	Others       int            `json:"other_referrers"`
	Referrers    []jsonReferrer `json:"referrers"`
	Because      []string       `json:"broken_because"`
}

type jsonReferrer struct {
	Digest string `json:"digest"`
	Tag    string `json:"tag"`
}

func tagOf(r *TagRow) jsonTag {
	referrers := []jsonReferrer{}
	for _, about := range r.Referrers {
		referrers = append(referrers, jsonReferrer{about.Digest, about.Tag})
	}
	return jsonTag{
		r.Name, r.Digest, string(r.Form), r.ArtifactType, listed(r.Platforms), r.Size, r.Own,
		stamp(r.Pushed), stamp(r.Created), r.Signatures, r.Others, referrers, listed(r.Because),
	}
}

// begin writes the members with which every document of ls begins.
func (l *List) begin(w io.Writer) *document {
	d := newDocument(w)
	l.head(d, ListSchema)
	d.field("complete", l.Result.Complete)
	d.field("notes", listed(l.Result.Notes))
	return d
}

// end writes those with which it ends.
func (l *List) end(d *document) error {
	d.field("rows", l.All)
	d.exit(l.Exit)
	return d.close()
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

// WriteJSON writes all as one JSON document.
func (l *TagList) WriteJSON(w io.Writer) error {
	d := l.begin(w)
	d.field("repository", repositoryOf(&l.Repository))
	d.field("pinned", l.Pinned)
	d.open("tags")
	for i := range l.Rows {
		if !d.element(tagOf(&l.Rows[i])) {
			break
		}
	}
	d.shut()
	return l.end(d)
}

// WriteJSON writes all as one JSON document.
func (l *BrokenList) WriteJSON(w io.Writer) error {
	d := l.begin(w)
	d.field("tags_unknown", len(l.Unknown))
	d.brokenTags("broken_tags", slices.Values(l.Rows))
	d.brokenTags("unknown_tags", slices.Values(l.Unknown))
	return l.end(d)
}

type jsonNode struct {
	Digest   string     `json:"digest"`
	Role     string     `json:"role"`
	Kind     string     `json:"kind"` // of a manifest
	Size     int64      `json:"size_bytes"`
	Broken   string     `json:"broken"`
	Again    bool       `json:"again"`
	Children []jsonNode `json:"children"`
}

func (l *TagTree) nodeOf(n *graph.Node) jsonNode {
	to := jsonNode{n.Digest, string(n.Role), l.Words[n.Digest], n.Size, n.Broken, n.Again, []jsonNode{}}
	for i := range n.Children {
		to.Children = append(to.Children, l.nodeOf(&n.Children[i]))
	}
	return to
}

// WriteJSON writes all as one JSON document.
func (l *TagTree) WriteJSON(w io.Writer) error {
	d := l.begin(w)
	d.field("repository", l.Repository)
	d.field("pinned", l.Pinned)
	d.field("tag", tagOf(&l.Tag))
	d.field("tree", l.nodeOf(&l.Tree))
	return l.end(d)
}
