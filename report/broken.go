package report

import (
	"cmp"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"regfsck/backend/words"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/replica"
	"regfsck/report/view"
)

// tags writes the state of the tags.
func (t *text) tags() {
	n := &t.Result.Totals
	switch {
	case n.TagsBroken > 0:
		t.Heading(view.Red, t.broken())
	case n.Tags == 0:
		t.Heading(view.Bold, t.none())
	case n.TagsUnknown > 0:
		t.Heading(view.Yellow, words.Number(n.TagsUnknown)+" of "+words.Plural(n.Tags, "tag", "tags")+" could not be judged")
		if rest := n.Tags - n.TagsUnknown; rest > 0 {
			t.Line(1, "The other ", words.Number(rest), " can be pulled.")
		}
	default:
		t.Heading(view.Green, t.all())
	}
	t.brokenTags(t.Result.Broken)
	if n.TagsUnknown > 0 && n.TagsBroken > 0 {
		t.Heading(view.Yellow, words.Plural(n.TagsUnknown, "more tag", "more tags")+" could not be judged")
		t.Prose(1, Unjudged)
	}
	t.brokenTags(t.Result.Unknown)
}

// Unjudged is why the state of a tag is unknown.
const Unjudged = "Something they need is unreadable, in an unknown format, or changed during the check."

// none returns the sentence for a store without tags, or without readable ones.
func (t *text) none() string {
	if !t.Result.Complete {
		return "No tag could be read"
	}
	return "There are no tags"
}

// all returns the sentence if nothing is wrong with the tags, or with those that could be
// read.
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
		return "All " + words.Number(n) + " tags " + which + "can be pulled"
	}
}

// brokenTags lists all of the tags, each on a line with its outlook and findings.
func (t *text) brokenTags(tags iter.Seq[finding.BrokenTag]) {
	ref, help := 10, 0
	for b := range tags {
		if n := utf8.RuneCountInString(words.Clean(b.Ref())); n <= maxName {
			ref = max(ref, n)
		}
		help = max(help, utf8.RuneCountInString(t.helps(&b)))
	}
	first := true
	for b := range tags {
		if first {
			t.Gap()
			t.BareTable(1, view.Column{Name: "tag", Width: ref}, view.Column{Name: "what helps", Width: help, Gap: 2}, view.Column{Name: "because", Gap: 2, Width: 16, Drop: 1})
			first = false
		}
		t.Row(t.Paint(view.Bold, words.Clean(b.Ref())), t.helps(&b), t.Paint(view.Dim, words.Clean(strings.Join(t.Because(&b), ", "))))
	}
}

// Because returns the kinds of findings that block a tag, each once, with "accepted" if all
// of them are.
func (c *Check) Because(b *finding.BrokenTag) (kinds []string) {
	for _, why := range b.Because {
		if kind, _, _ := strings.Cut(why, " "); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if c.Accepted.Knows(b) {
		kinds = append(kinds, "accepted")
	}
	return kinds
}

// helps describes the outlook of a broken tag.
func (t *text) helps(b *finding.BrokenTag) string {
	also := "decide: --also " + b.Ask.String()
	switch b.Outlook {
	case finding.Mended:
		return "fix heals"
	case finding.MendedByCopy:
		return "fix heals from a copy"
	case finding.NeedsDecision:
		return also
	case finding.NeedsRestore:
		return "restore from the archive"
	case finding.NeedsBytes:
		switch {
		case t.Result.Cache:
			return "pull again"
		case b.Ask != finding.None:
			return also + ", push again"
		case len(t.Result.Sources) == 0:
			return "push again, or heal from a copy"
		}
		return "push again"
	case finding.NeedsPush:
		return "push again"
	}
	return ""
}

// brokenTag writes a tag with its reasons, on a terminal with the first ones.
func (t *text) brokenTag(b finding.BrokenTag, colour view.Style) {
	t.Line(1, t.Paint(view.Bold, words.Clean(b.Ref())))
	most := len(b.Because)
	if t.Limit > 0 {
		most = min(most, 3)
	}
	t.reasons(b.Because[:most], colour)
	if n := len(b.Because) - most; n > 0 {
		t.Line(2, t.Paint(view.Dim, "… and "+words.Plural(n, "more reason", "more reasons")))
	}
}

// reasons writes why a tag can't be pulled.
func (t *text) reasons(because []string, colour view.Style) {
	t.BareTable(2, view.Column{Name: "finding", Width: 21}, view.Column{Name: "path", Gap: 2})
	for _, why := range because {
		id, path, _ := strings.Cut(why, " ")
		t.Row(t.Paint(colour, words.Clean(id)), Short(words.Clean(path)))
	}
}

// A finding shows its whole path; in a reason a short form is enough.
var longHex = regexp.MustCompile(`([0-9a-f]{12})[0-9a-f]{20,}`)

// Short shortens digests in a path to twelve digits.
func Short(path string) string {
	return longHex.ReplaceAllString(strings.TrimPrefix(path, "docker/registry/v2/"), "$1…")
}

// broken returns the number of tags that can't be pulled, with the number of accepted ones.
func (t *text) broken() string {
	line := words.Number(t.Result.Totals.TagsBroken) + " of " + words.Plural(t.Result.Totals.Tags, "tag", "tags") + " can't be pulled"
	switch n := t.Accepted.Tags(); {
	case n == 0:
		return line
	case n == t.Result.Totals.TagsBroken:
		return line + " (accepted)"
	default:
		return line + " (" + words.Number(n) + " of them accepted)"
	}
}

func (c *Check) brokenOf(b finding.BrokenTag) brokenFields {
	is := brokenOf(b)
	is.Accepted = c.Accepted.Knows(&b)
	return is
}

// prospect writes how many of the broken tags a fix with the given sources repairs, and what
// the others need.
func (t *text) prospect() {
	defer t.spare()
	if t.Result.Totals.TagsBroken == 0 || t.Result.Policy.Removal != nil || t.silent {
		return
	}
	t.Para(0, "After a fix "+sentenceOf(t.Result.Totals.TagsBroken, &t.Result.Totals.Prospect, len(t.Result.Sources) > 0))
}

// spare writes how many blobs a fix leaves in the sources, since no tag needs them.
func (t *text) spare() {
	n := t.Result.Totals.SpareHeals
	if n == 0 {
		return
	}
	it := "them"
	if n == 1 {
		it = "it"
	}
	t.Para(0, words.Plural(n, "more lost blob is", "more lost blobs are")+" in a source, and no tag is known to need "+it+": a fix copies "+it+" with --from-all.")
}

// prospect writes the same after a run.
func (t *runText) prospect() {
	if h := t.Outcome.Healed; h != nil && h.Broken > 0 {
		t.Para(0, sentenceOf(h.Broken, &h.Prospect, len(h.Sources) > 0))
	}
}

// sentenceOf returns a prospect as a sentence; sourced means that sources were asked.
func sentenceOf(broken int, p *check.Prospect, sourced bool) string {
	line := words.Number(p.Mended) + " of " + words.Plural(broken, "broken tag", "broken tags") + " can be pulled again"
	rest := p.Push + p.Decide + p.Lost + p.Unasked
	if rest == 0 {
		return line + "."
	}
	lost := [2]string{"a push or a copy (--from)", "a push or a copy (--from)"}
	if sourced {
		lost = [2]string{"a blob that is in no source", "blobs that are in no source"}
	}
	var needs []string
	for _, need := range []struct {
		count int
		what  [2]string // of one tag, and of several
	}{
		{p.Push, [2]string{"a push", "a push"}}, {p.Decide, [2]string{"your decision", "your decision"}}, {p.Lost, lost},
		{p.Unasked, [2]string{"a blob that could not be asked about", "blobs that could not be asked about"}},
	} {
		switch {
		case need.count == rest && rest > 1:
			needs = append(needs, "they need "+need.what[1])
		case need.count > 0:
			needs = append(needs, words.Plural(need.count, "needs "+need.what[0], "need "+need.what[1]))
		}
	}
	return line + "; " + words.Number(rest) + " can't: " + strings.Join(needs, ", ") + "."
}

// healingFields are what sources have for broken tags.
type healingFields apply.Healed

func healingOf(r *check.Result) *healingFields {
	if len(r.Sources) == 0 {
		return nil
	}
	return &healingFields{r.Sources, r.Totals.TagsBroken, r.Totals.Prospect, r.Totals.SpareHeals}
}

// replicas writes the differences from the sources that are stores.
func (t *text) replicas() {
	for i := range t.Replicas {
		c := &t.Replicas[i]
		t.Heading(view.Bold, "TAGS COMPARED WITH "+words.Clean(c.Source))
		switch differ := len(c.MissingHere) + len(c.MissingThere) + len(c.Elsewhere) + c.Unknown; {
		case !c.Compared:
			t.Prose(1, "The tags were not compared: "+words.Clean(c.Why)+".")
		case differ+c.Lacked+c.Unlisted == 0:
			t.Prose(1, "No difference: both have the same "+words.Plural(c.Same, "tag", "tags")+", and every blob here that a tag needs is there too.")
		default:
			t.Line(1, words.Plural(c.Here, "tag", "tags")+" here, "+words.Number(c.There)+" there; "+words.Number(c.Same)+" are the same")
		}
		unlike(t, c.MissingHere, "is missing here", "are missing here")
		unlike(t, c.MissingThere, "is missing there", "are missing there")
		unlike(t, c.Elsewhere, "points elsewhere there", "point elsewhere there")
		if c.Unknown > 0 {
			t.Line(1, words.Plural(c.Unknown, "tag", "tags")+" could not be compared, since a link could not be read")
		}
		if c.Lacked > 0 {
			t.Prose(1, words.Plural(c.Lacked, "blob", "blobs")+" that tags here need: missing there, or of another size ("+words.Size(c.LackedBytes)+")")
		}
		if c.Unlisted > 0 {
			t.Prose(1, words.Plural(c.Unlisted, "blob", "blobs")+" could not be compared, since a directory there could not be read")
		}
		unlike(t, c.Incomplete, "is the same and lacks blobs there", "are the same and lack blobs there")
	}
}

// unlike lists tags that differ from a source.
func unlike(t *text, tags []replica.Tag, one, many string) {
	if len(tags) == 0 {
		return
	}
	t.Line(1, words.Plural(len(tags), "tag "+one, "tags "+many))
	shown := tags[:t.First(len(tags))]
	ref := widest(shown, func(tag *replica.Tag) string { return words.Clean(tag.Ref) })
	t.BareTable(2, view.Column{Name: "tag", Width: ref}, view.Column{Name: "digest", Gap: 2, Drop: 1, Width: 22})
	for _, tag := range shown {
		digest := Short(cmp.Or(tag.Here, tag.There))
		if tag.Here != "" && tag.There != "" && tag.Here != tag.There {
			digest = Short(tag.Here) + " here, " + Short(tag.There) + " there"
		}
		t.Row(words.Clean(tag.Ref), t.Paint(view.Dim, digest))
	}
	t.More(2, len(tags), "")
}
