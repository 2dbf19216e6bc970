package report

import (
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// TagList is what ls says of a repository.
type TagList struct {
	List
	Repository usage.RepositoryUsage
	Pinned     string   // why no tag has bytes of its own, "" where some may
	Rows       []TagRow // in the order in which they are shown
}

// TagRow is a tag and what was read of its manifest.
type TagRow struct {
	usage.TagUsage
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

// View is a table of tags.
func (l *TagList) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		r := &l.Repository
		t.head("  " + t.paint(bold, Clean(r.Name)))
		t.line(1, Plural(l.All, "tag", "tags")+", "+Plural(r.Manifests, "manifest", "manifests")+", "+
			Size(r.Total())+": "+Size(r.Own)+" own, "+Size(r.Shared)+" shared with other repositories")
		if l.All == 0 {
			return
		}
		t.blank()
		width := widest(len(l.Rows), func(i int) string { return tagName(l.Rows[i].Name) })
		t.table(1, Column{Name: "tag", Width: width}, Column{Name: "digest", Width: 20, Gap: 2, Drop: 3}, Column{Name: "size", Width: 11, Right: true, Drop: 2},
			Column{Name: "own", Width: 11, Right: true}, Column{Name: "pushed", Width: 16, Gap: 2, Drop: 1}, Column{Name: "created", Width: 16, Gap: 2, Drop: 4}, Column{Name: "kind", Gap: 2})
		for i := range l.Rows {
			if !t.shown(i) {
				break
			}
			t.tagRow(&l.Rows[i])
		}
		t.rest(len(l.Rows))
		t.blank()
		t.prose(1, "size: what a pull of all platforms downloads. own: freed if only this tag is removed, with what only it uses.")
		t.pinned(l.Pinned)
		t.foot()
	}
}

func (t lister) tagRow(r *TagRow) {
	digest := "-"
	if r.Digest != "" {
		digest = name(r.Digest)
	}
	mark := ""
	if r.Because != nil {
		mark = "  " + t.paint(red, "broken")
	}
	t.row(tagName(r.Name), t.paint(dim, digest), some(r.Size), t.paint(bold, some(r.Own)), day(r.Pushed), day(r.Created), r.kind()+mark)
	more := strings.Join(slices.DeleteFunc([]string{platforms(r.Platforms), r.about()}, func(s string) bool { return s == "" }), "; ")
	if more != "" {
		t.line(2, t.paint(dim, more))
	}
}

// maxPlatforms is how many platforms a row of a table names.
const maxPlatforms = 6

func platforms(all []string) string {
	if len(all) > maxPlatforms {
		return Clean(strings.Join(all[:maxPlatforms], ", ")) + " and " + Number(len(all)-maxPlatforms) + " more"
	}
	return Clean(strings.Join(all, ", "))
}

// View is the tags that can't be pulled, each with its reasons.
func (l *BrokenList) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		where := ""
		if l.Repository != "" {
			where = "  " + t.paint(bold, Clean(l.Repository))
		}
		t.head(where)
		switch {
		case l.All > 0:
			t.line(1, t.paint(red, Plural(l.All, "tag", "tags")+" can't be pulled"))
		case t.Result.Complete && len(l.Unknown) == 0:
			t.line(1, t.paint(green, "Every tag can be pulled."))
		default:
			t.line(1, "No broken tag was found, but not all tags could be judged.")
		}
		for i := range l.Rows {
			if !t.shown(i) {
				break
			}
			t.blank()
			t.brokenTag(l.Rows[i], red)
		}
		t.rest(len(l.Rows))
		if n := len(l.Unknown); n > 0 {
			t.blank()
			t.line(1, t.paint(yellow, Plural(n, "tag", "tags")+" could not be judged"))
			t.prose(1, unjudged)
			t.blank()
			for _, b := range l.Unknown {
				t.brokenTag(b, yellow)
			}
		}
		t.foot()
	}
}

// Short is how much there is.
func (l *TagList) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.line(0, Plural(l.All, "tag", "tags")+" in "+Clean(l.Repository.Name))
	}
}

// Short is how many tags can't be pulled.
func (l *BrokenList) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newLister(&l.List, yield, o)
		t.line(0, Plural(l.All, "tag", "tags")+" can't be pulled")
	}
}

// tagFields are a tag and what was read of its manifest.
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
		r.Name, r.Digest, string(r.Form), r.ArtifactType, listed(r.Platforms), r.Size, r.Own,
		stamp(r.Pushed), stamp(r.Created), r.Signatures, r.Others, append([]usage.Referrer{}, r.Referrers...), reasonsOf(r.Because),
	}
}

// tagsFields are the document of a list of tags.
type tagsFields struct {
	listFields
	Repository repositoryFields    `json:"repository"`
	Pinned     string              `json:"pinned"`
	Tags       iter.Seq[tagFields] `json:"tags"`
	footFields
}

// Fields is the list for machines.
func (l *TagList) Fields() any {
	return tagsFields{l.fields(), repositoryOf(&l.Repository), l.Pinned, each(l.Rows, tagOf), l.foot()}
}

// brokenTagsFields are the document of a list of broken tags.
type brokenTagsFields struct {
	listFields
	Repository  string                 `json:"repository"` // "" for the whole store
	TagsUnknown int                    `json:"tags_unknown"`
	BrokenTags  iter.Seq[brokenFields] `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields] `json:"unknown_tags"`
	footFields
}

// Fields is the list for machines.
func (l *BrokenList) Fields() any {
	return brokenTagsFields{l.fields(), l.Repository, len(l.Unknown), mapped(slices.Values(l.Rows), brokenOf), mapped(slices.Values(l.Unknown), brokenOf), l.foot()}
}
