package report

import (
	"io"
	"slices"
	"strings"

	"regfsck/graph/finding"
)

// WriteText writes a table of repositories, what belongs to none of them, and what
// the columns mean.
func (l *RepositoryList) WriteText(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	t.head("")
	if l.All == 0 {
		t.line(1, t.none())
	}
	width := widest(len(l.Rows), func(i int) string { return Clean(l.Rows[i].Name) })
	if l.All > 0 {
		t.line(1, t.paint(dim, left("repository", width)+right("tags", 9)+right("manifests", 11)+
			right("own", 11)+right("shared", 11)+right("total", 11)+"  "+"newest tag"))
	}
	for i := range l.Rows {
		r := &l.Rows[i]
		if !t.shown(i) {
			break
		}
		t.line(1, left(Clean(r.Name), width), right(Number(r.Tags), 9), right(Number(r.Manifests), 11),
			t.paint(bold, right(some(r.Own), 11)), right(some(r.Shared), 11), right(some(r.Total()), 11), "  ", day(r.Pushed), t.brokenMark(r.Broken))
	}
	t.rest(len(l.Rows))
	t.sums(l.Shared)
	t.blank()
	t.prose(1, "own: freed if the repository went. shared: other repositories refer to it too.")
	t.foot()
	return t.flush()
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

// WriteText writes a table of tags.
func (l *TagList) WriteText(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
	r := &l.Repository
	t.head("  " + t.paint(bold, Clean(r.Name)))
	t.line(1, Plural(l.All, "tag", "tags")+", "+Plural(r.Manifests, "manifest", "manifests")+", "+
		Size(r.Total())+": "+Size(r.Own)+" its own, "+Size(r.Shared)+" shared with other repositories")
	if l.All == 0 {
		return t.flush()
	}
	t.blank()
	width := widest(len(l.Rows), func(i int) string { return tagName(l.Rows[i].Name) })
	t.line(1, t.paint(dim, left("tag", width)+"  "+left("digest", 20)+right("size", 11)+right("own", 11)+
		"  "+left("pushed", 16)+"  "+left("created", 16)+"  kind"))
	for i := range l.Rows {
		if !t.shown(i) {
			break
		}
		t.tagRow(&l.Rows[i], width)
	}
	t.rest(len(l.Rows))
	t.blank()
	t.prose(1, "size: all that a pull brings, of all platforms. own: freed if only this tag went, with what only it leads to.")
	t.pinned(l.Pinned)
	t.foot()
	return t.flush()
}

func (t lister) tagRow(r *TagRow, width int) {
	digest := "-"
	if r.Digest != "" {
		digest = name(r.Digest)
	}
	mark := ""
	if r.Because != nil {
		mark = "  " + t.paint(red, "broken")
	}
	t.line(1, left(tagName(r.Name), width), "  ", t.paint(dim, left(digest, 20)), right(some(r.Size), 11),
		t.paint(bold, right(some(r.Own), 11)), "  ", left(day(r.Pushed), 16), "  ", left(day(r.Created), 16), "  ", r.kind(), mark)
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

// pinned says why no tag has bytes of its own.
func (t lister) pinned(why string) {
	if why == "" {
		return
	}
	t.blank()
	t.prose(1, t.paint(yellow, "Nothing would be freed with a tag of this repository, for all of it is kept")+": "+Clean(why)+". See what can be done about that:")
	t.line(2, t.at("check"))
}

// WriteText writes the tags that can't be pulled, each with its reasons.
func (l *BrokenList) WriteText(w io.Writer, o TextOptions) error {
	t := newLister(&l.List, w, o)
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
		t.line(1, "No tag is known that can't be pulled.")
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
		t.brokenTags(slices.Values(l.Unknown), yellow)
	}
	t.foot()
	return t.flush()
}
