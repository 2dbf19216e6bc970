package report

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report/document"
	"regfsck/report/view"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// TagList is the answer of ls for a repository.
type TagList struct {
	List
	Repository usage.RepositoryUsage
	Pinned     string   // why no tag has own bytes, "" if it isn't pinned
	Rows       []TagRow // in the order of display
}

// TagRow is a tag and facts of its manifest.
type TagRow struct {
	usage.TagUsage
	Form         manifest.Form // "" if the manifest could not be read
	ArtifactType string
	Platforms    []string  // of an image, or of an index's images
	Created      time.Time // by the image's config; zero if unknown
	Signatures   int
	Others       int // referrers that aren't signatures
}

// BrokenList is the answer of ls --broken.
type BrokenList struct {
	List
	Repository string // "" for the whole store
	Rows       []finding.BrokenTag
	Unknown    []finding.BrokenTag // those whose state is unknown, without --limit
}

// kind describes the kind of a tag's manifest.
func (r *TagRow) kind() string {
	switch {
	case r.Form == "":
		return "?"
	case r.Form == manifest.FormArtifact && r.ArtifactType != "":
		return words.Clean(r.ArtifactType)
	case r.Form == manifest.FormIndex && len(r.Platforms) > 0:
		return "index of " + words.Number(len(r.Platforms))
	}
	return string(r.Form)
}

// about describes the referrers of a tag's manifest.
func (r *TagRow) about() string {
	var parts []string
	if r.Signatures > 0 {
		parts = append(parts, words.Plural(r.Signatures, "signature", "signatures"))
	}
	if r.Others > 0 {
		parts = append(parts, words.Plural(r.Others, "other", "others"))
	}
	return strings.Join(parts, ", ")
}

// TagName returns a tag's name for a table; the digest in a referrers tag is shortened.
func TagName(name string) string {
	if _, ok := layout.SubjectOf(name); !ok {
		return words.Clean(name)
	}
	const shown = len("sha256-") + 12
	return name[:shown] + "…" + words.Clean(name[len("sha256-")+64:])
}

// View returns a table of tags.
func (l *TagList) View(o view.Options) view.View {
	return l.list(o, func(t lister) {
		r := &l.Repository
		t.head("  " + t.Paint(view.Bold, words.Clean(r.Name)))
		t.Line(1, words.Plural(l.All, "tag", "tags")+", "+words.Plural(r.Manifests, "manifest", "manifests")+", "+
			words.Size(r.Total())+": "+words.Size(r.Own)+" own, "+words.Size(r.Shared)+" shared with other repositories")
		if l.All == 0 {
			return
		}
		t.Gap()
		width := max(10, widest(l.Rows, func(r *TagRow) string { return TagName(r.Name) }))
		t.Table(1, view.Column{Name: "tag", Width: width}, view.Column{Name: "digest", Width: 20, Gap: 2, Drop: 3}, view.Column{Name: "size", Width: 11, Right: true, Drop: 2},
			view.Column{Name: "own", Width: 11, Right: true}, view.Column{Name: "pushed", Width: 16, Gap: 2, Drop: 1}, view.Column{Name: "created", Width: 16, Gap: 2, Drop: 4}, view.Column{Name: "kind", Gap: 2})
		for i := range l.Rows[:t.First(len(l.Rows))] {
			t.tagRow(&l.Rows[i])
		}
		t.rest(len(l.Rows))
		t.Para(1, "size: what a pull of all platforms downloads. own: freed if only this tag is removed, with what only it uses.")
		t.pinned(l.Pinned)
		t.foot()
	})
}

func (t lister) tagRow(r *TagRow) {
	digest := "-"
	if r.Digest != "" {
		digest = ShortDigest(r.Digest)
	}
	mark := ""
	if r.Because != nil {
		mark = "  " + t.Paint(view.Red, "broken")
	}
	t.Row(TagName(r.Name), t.Paint(view.Dim, digest), some(r.Size), t.Paint(view.Bold, some(r.Own)), Day(r.Pushed), Day(r.Created), r.kind()+mark)
	more := strings.Join(slices.DeleteFunc([]string{platforms(r.Platforms), r.about()}, func(s string) bool { return s == "" }), "; ")
	if more != "" {
		t.Line(2, t.Paint(view.Dim, more))
	}
}

// maxPlatforms is the most platforms in a row.
const maxPlatforms = 6

func platforms(all []string) string {
	if len(all) > maxPlatforms {
		return words.Clean(strings.Join(all[:maxPlatforms], ", ")) + " and " + words.Number(len(all)-maxPlatforms) + " more"
	}
	return words.Clean(strings.Join(all, ", "))
}

// View returns the broken tags with their reasons.
func (l *BrokenList) View(o view.Options) view.View {
	return l.list(o, func(t lister) {
		where := ""
		if l.Repository != "" {
			where = "  " + t.Paint(view.Bold, words.Clean(l.Repository))
		}
		t.head(where)
		switch {
		case l.All > 0:
			t.Line(1, t.Paint(view.Red, words.Plural(l.All, "tag", "tags")+" can't be pulled"))
		case t.Result.Complete && len(l.Unknown) == 0:
			t.Line(1, t.Paint(view.Green, "Every tag can be pulled."))
		default:
			t.Line(1, "No broken tag was found, but not all tags could be judged.")
		}
		for i := range l.Rows[:t.First(len(l.Rows))] {
			t.Gap()
			t.brokenTag(l.Rows[i], view.Red)
		}
		t.rest(len(l.Rows))
		if n := len(l.Unknown); n > 0 {
			t.Lead(1, t.Paint(view.Yellow, words.Plural(n, "tag", "tags")+" could not be judged"))
			t.Prose(1, Unjudged)
			t.Gap()
			for _, b := range l.Unknown {
				t.brokenTag(b, view.Yellow)
			}
		}
		t.foot()
	})
}

// Short returns the totals.
func (l *TagList) Short(o view.Options) view.View {
	return line(o, words.Plural(l.All, "tag", "tags")+" in "+words.Clean(l.Repository.Name))
}

// Short returns the number of broken tags.
func (l *BrokenList) Short(o view.Options) view.View {
	return line(o, words.Plural(l.All, "tag", "tags")+" can't be pulled")
}

// tagFields is a tag and facts of its manifest.
type tagFields struct {
	Tag          string           `json:"tag"`
	Digest       string           `json:"digest"`
	Kind         string           `json:"kind"`
	ArtifactType string           `json:"artifact_type"`
	Platforms    []string         `json:"platforms"`
	Size         int64            `json:"size_bytes"`
	Own          int64            `json:"own_bytes"`
	Pushed       string           `json:"pushed"`
	Created      string           `json:"created"`
	Signatures   int              `json:"signatures"`
	Others       int              `json:"other_referrers"`
	Referrers    []usage.Referrer `json:"referrers"`
	Because      []reasonFields   `json:"broken_because"`
}

func tagOf(r *TagRow) tagFields {
	return tagFields{
		r.Name, r.Digest, string(r.Form), r.ArtifactType, document.List(r.Platforms), r.Size, r.Own,
		document.Time(r.Pushed), document.Time(r.Created), r.Signatures, r.Others, append([]usage.Referrer{}, r.Referrers...), reasonsOf(r.Because),
	}
}

// tagsFields is the document of a list of tags.
type tagsFields struct {
	listFields
	Repository repositoryFields    `json:"repository"`
	Pinned     string              `json:"pinned"`
	Tags       iter.Seq[tagFields] `json:"tags"`
	footFields
}

// Fields returns the document.
func (l *TagList) Fields() any {
	return tagsFields{l.fields(), repositoryOf(&l.Repository), l.Pinned, document.Each(l.Rows, tagOf), l.foot()}
}

// brokenTagsFields is the document of a list of broken tags.
type brokenTagsFields struct {
	listFields
	Repository  string                 `json:"repository"` // "" for the whole store
	TagsUnknown int                    `json:"tags_unknown"`
	BrokenTags  iter.Seq[brokenFields] `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields] `json:"unknown_tags"`
	footFields
}

// Fields returns the document.
func (l *BrokenList) Fields() any {
	return brokenTagsFields{l.fields(), l.Repository, len(l.Unknown), document.Map(slices.Values(l.Rows), brokenOf), document.Map(slices.Values(l.Unknown), brokenOf), l.foot()}
}

// TagTree is the answer of ls for one tag.
type TagTree struct {
	List
	Repository string
	Pinned     string
	Tag        TagRow
	Tree       usage.Node
	Words      map[string]string // by digest of a manifest: its kind
}

// View returns the tag's manifest, its size, and all that it needs.
func (l *TagTree) View(o view.Options) view.View {
	return l.list(o, func(t lister) {
		r := &l.Tag
		t.head("  " + t.Paint(view.Bold, words.Clean(l.Repository+":"+r.Name)))
		t.Facts(11, [][2]string{
			{"digest", words.Clean(r.Digest)}, {"kind", r.kind()}, {"platforms", words.Clean(strings.Join(r.Platforms, ", "))},
			{"size", words.Size(r.Size) + " to pull all platforms"}, {"own", words.Size(r.Own) + " freed if only this tag is removed"},
			{"pushed", Day(r.Pushed)}, {"created", Day(r.Created)}, {"referrers", r.about()},
		})
		if r.Because != nil {
			t.Lead(1, t.Paint(view.Red, "It can't be pulled:"))
			t.reasons(r.Because, view.Red)
		}
		if l.Tree.Digest != "" {
			t.Gap()
			t.node(l, &l.Tree, 1)
		}
		t.pinned(l.Pinned)
		t.foot()
	})
}

// maxSteps is the greatest indentation of a tree.
const maxSteps = 16

// node writes a node of a tree and its children.
func (t lister) node(l *TagTree, n *usage.Node, steps int) {
	word := string(n.Role)
	if w := l.Words[n.Digest]; w != "" && n.Role == usage.RoleManifest {
		word = w
	} else if w != "" {
		word += ", " + w
	}
	what := fmt.Sprintf("%11s", some(n.Size)) + "  " + t.cropped(words.Clean(n.Digest)) + "  " + words.Clean(word)
	if n.Broken != "" {
		what += "  " + t.Paint(view.Red, n.Broken)
	}
	if n.Again && len(n.Children) == 0 {
		what += "  " + t.Paint(view.Dim, "as above")
	}
	t.Line(min(steps, maxSteps), what)
	for i := range n.Children {
		t.node(l, &n.Children[i], steps+1)
	}
}

// Short returns the digest of the tag's manifest.
func (l *TagTree) Short(o view.Options) view.View {
	return line(o, words.Clean(l.Repository+":"+l.Tag.Name)+"  "+words.Clean(l.Tag.Digest))
}

// nodeFields is a node of a tree, with its children.
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

// treeFields is the document of one tag.
type treeFields struct {
	listFields
	Repository string     `json:"repository"`
	Pinned     string     `json:"pinned"`
	Tag        tagFields  `json:"tag"`
	Tree       nodeFields `json:"tree"`
	footFields
}

// Fields returns the document.
func (l *TagTree) Fields() any {
	return treeFields{l.fields(), l.Repository, l.Pinned, tagOf(&l.Tag), l.nodeOf(&l.Tree), l.foot()}
}
