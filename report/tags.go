package report

import (
	"iter"
	"regexp"
	"strings"

	"regfsck/graph/finding"
)

// tags answers the first question after a disaster: what can't be pulled?
func (t *text) tags() {
	n := &t.Result.Totals
	switch {
	case n.TagsBroken > 0:
		t.heading(red, Number(n.TagsBroken)+" of "+Plural(n.Tags, "tag", "tags")+" can't be pulled")
	case n.Tags == 0:
		t.heading(bold, t.none())
	case n.TagsUnknown > 0:
		t.heading(yellow, "Nobody can say whether "+Number(n.TagsUnknown)+" of "+Plural(n.Tags, "tag", "tags")+" can be pulled")
		if rest := n.Tags - n.TagsUnknown; rest > 0 {
			t.line(1, "The other ", Number(rest), " can.")
		}
	default:
		t.heading(green, t.all())
	}
	t.brokenTags(t.Result.Broken, red)
	if n.TagsUnknown > 0 && n.TagsBroken > 0 {
		t.heading(yellow, Plural(n.TagsUnknown, "more tag", "more tags")+" could not be judged")
		t.prose(1, unjudged)
	}
	t.brokenTags(t.Result.Unknown, yellow)
}

// unjudged is why nobody can say whether a tag can be pulled.
const unjudged = "Something that is needed is unreadable, in an unknown format, or changed meanwhile."

// none says that there are no tags, or that nobody saw one.
func (t *text) none() string {
	if !t.Result.Complete {
		return "No tag could be read"
	}
	return "There are no tags"
}

// all says that nothing is wrong with the tags: with all of them, or with all
// that could be read.
func (t *text) all() string {
	which := ""
	if !t.Result.Complete {
		which = "that could be read "
	}
	switch n := t.Result.Totals.Tags; n {
	case 1:
		return "The one tag " + which + "can be pulled"
	case 2:
		return "Both tags " + which + "can be pulled"
	default:
		return "All " + Number(n) + " tags " + which + "can be pulled"
	}
}

// brokenTags names tags, each with its reasons.
func (t *text) brokenTags(tags iter.Seq[finding.BrokenTag], colour style) {
	n := 0
	for b := range tags {
		if n++; !t.shown(n - 1) {
			continue
		}
		if n == 1 {
			t.blank()
		}
		t.brokenTag(b, colour)
	}
	t.more(1, n)
}

// brokenTag names a tag with its reasons, on a terminal with the first of them.
func (t *text) brokenTag(b finding.BrokenTag, colour style) {
	const first = 3
	t.line(1, t.paint(bold, Clean(b.Ref())))
	for i, why := range b.Because {
		if t.limit > 0 && i == first {
			t.line(2, t.paint(dim, "… and "+Plural(len(b.Because)-i, "reason more", "reasons more")))
			break
		}
		id, path, _ := strings.Cut(why, " ")
		t.line(2, t.paint(colour, left(Clean(id), 21)), "  ", short(Clean(path)))
	}
}

// A whole path stands with its finding; a reason need only be recognised.
var longHex = regexp.MustCompile(`([0-9a-f]{12})[0-9a-f]{20,}`)

// short cuts digests in a path to twelve digits.
func short(path string) string {
	return longHex.ReplaceAllString(strings.TrimPrefix(path, "docker/registry/v2/"), "$1…")
}
