package report

import (
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report/accept"
	"regfsck/report/view"
	"regfsck/walker/layout"
)

// cures describes what a fix does about a finding.
var cures = map[finding.Cure]string{
	finding.CureNone:    "nothing in this store can repair it",
	finding.CureRemove:  "fix removes it",
	finding.CureAbort:   "fix aborts it, which can't be undone",
	finding.CureRebuild: "fix rebuilds this link",
	finding.CureHeal:    "fix copies it from a source",
}

// cureOf describes what can be done about a finding of the store.
func (t *text) cureOf(id finding.Kind, cure finding.Cure) string {
	also := "--also " + id.String()
	ask := "needs your decision: " + also
	switch {
	case id == finding.CacheStateInvalid:
		return ask + " moves the file away; the registry then starts and writes a new one"
	case cure == finding.CureRebuild && (id == finding.BlobMissing || id == finding.BlobCorrupt):
		return "fix rebuilds it: its digest proves its content"
	case cure == finding.CureMoveAsk && t.Result.Cache:
		return ask + " moves the bad file away; the next pull through this cache fetches it again"
	case cure == finding.CureMoveAsk && id == finding.BlobCorrupt:
		return ask + " moves the bad file away; then push the image again with " + finding.Lookers + " (for " + finding.Skippers + " add --also " + finding.BlobMissing.String() + ")"
	case cure == finding.CureMoveAsk:
		return ask + " moves the bad file away; then push the image again"
	case cure == finding.CureRemoveAsk && id == finding.SignatureOrphaned:
		return ask + " removes it"
	case cure == finding.CureRemoveAsk:
		return "push the image again, or decide: " + also + " removes it"
	case cure == finding.CureWriteAsk && id == finding.TagTargetForeign:
		return "push the image again, or decide: " + also + " sets the tag back to its newest complete image"
	case cure == finding.CureWriteAsk && id == finding.ManifestLost:
		return ask + " gives it a tag"
	case cure == finding.CureWriteAsk:
		return ask + " writes the link"
	case cure == finding.CureWithdrawAsk:
		return "push the image again with " + finding.Lookers + "; before a push with " + finding.Skippers + ", " + also + " withdraws it"
	}
	return cures[cure]
}

// findings writes all but garbage, worst first, by kind: on a terminal the first of each,
// elsewhere all.
func (t *text) findings() {
	group, n := finding.None, 0
	cure := ""
	var foreign strays
	end := func() {
		n += t.strays(&foreign, n, cure)
		if group != finding.None {
			t.More(2, n, "")
		}
	}
	for f := range t.Result.Findings {
		if f.Kind.Severity() == finding.Garbage {
			break
		}
		if t.Accepted.By(&f) != nil {
			continue
		}
		if f.Kind != group {
			end()
			cure = t.group(group, f)
			group, n = f.Kind, 0
		}
		switch {
		case !t.Terminal:
			t.Line(0, lineOf(&f))
		case f.Kind == finding.ForeignFile:
			foreign.add(f)
			continue
		case t.Shown(n):
			t.finding(f, cure)
		}
		n++
	}
	end()
}

var severities = [...]struct {
	title   string
	style   view.Style
	meaning string // a clause
}{
	finding.Fatal:   {"NOT READABLE", view.Red, "something is unknown, so nothing is removed"},
	finding.Error:   {"ERRORS", view.Red, "an image can't be pulled, or soon can't be"},
	finding.Warning: {"WARNINGS", view.Yellow, "unusual but legal, or changing: look at it"},
	finding.Garbage: {"GARBAGE", view.Cyan, "unused, safe to remove; not damage"},
	finding.Asked:   {"ASKED FOR", view.Cyan, "removed because you asked for it; no check reports it"},
}

// group begins the findings of one kind, of which f is the first, and returns its cure, the
// default of the group.
func (t *text) group(before finding.Kind, f finding.Finding) (cure string) {
	s := f.Kind.Severity()
	if before == finding.None || before.Severity() != s {
		t.Heading(severities[s].style, severities[s].title)
	}
	t.Lead(1, t.Paint(severities[s].style, f.Kind.String()), "  ", words.Number(t.Left(f.Kind).Count),
		"  ", f.Kind.Explanation().Brief)
	if cure = t.curing(&f); cure != "" {
		t.Prose(2, cure)
	}
	return cure
}

// curing describes what can be done about a finding, "" for nothing.
func (t *text) curing(f *finding.Finding) string {
	switch f.Cure {
	case finding.CureNone:
		return ""
	case finding.CureHeal:
		return "fix copies it from " + words.Clean(f.Blob.From)
	}
	return t.cureOf(f.Kind, f.Cure)
}

// finding writes one finding: the tags that it blocks, its path, its detail, and its cure if
// it isn't the group's.
func (t *text) finding(f finding.Finding, cure string) {
	path := t.cropped(words.Clean(f.Path))
	if name := Impact(f); name != "" {
		t.Line(2, t.Paint(view.Bold, name))
		t.Line(3, path, t.Paint(view.Dim, sized(f.Bytes)))
	} else {
		t.Line(2, t.Paint(view.Bold, path), t.Paint(view.Dim, sized(f.Bytes)))
	}
	if f.Detail != "" {
		t.Prose(3, t.cropped(words.Clean(f.Detail)))
	}
	if own := t.curing(&f); own != cure {
		if own == "" {
			own = cures[finding.CureNone]
		}
		t.Prose(3, own)
	}
}

// lineOf returns a finding as a line.
func lineOf(f *finding.Finding) string {
	parts := []string{f.Kind.String(), words.Clean(f.Path)}
	if name := Impact(*f); name != "" {
		parts = append(parts, name)
	}
	if f.Detail != "" {
		parts = append(parts, words.Clean(f.Detail))
	}
	return strings.Join(parts, "  ")
}

// Impact returns the tags that a finding blocks, or else its object.
func Impact(f finding.Finding) string {
	if f.AffectsCount == 0 {
		return subject(f)
	}
	const names = 3
	shown := f.Affects[:min(names, len(f.Affects))]
	s := words.Clean(strings.Join(shown, ", "))
	if rest := f.AffectsCount - len(shown); rest > 0 {
		s += " and " + words.Number(rest) + " more"
	}
	return s + " can't be pulled"
}

// subject returns the object, by tag or digest; "" if it has only a path.
func subject(f finding.Finding) string {
	switch {
	case f.Repository != "" && f.Tag != "":
		return words.Clean(f.Repository + ":" + f.Tag)
	case f.Repository != "" && f.Digest != "":
		return words.Clean(f.Repository) + "@" + Short(words.Clean(f.Digest))
	case f.Repository != "":
		return words.Clean(f.Repository)
	case f.Digest != "":
		return Short(words.Clean(f.Digest))
	}
	return ""
}

func sized(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return "  " + words.Size(bytes)
}

// strays groups foreign files by the first name in their path that isn't of the layout: a
// program can write thousands of them.
type strays struct {
	names []string // in order of occurrence
	of    map[string]*stray
}

// stray is a group of foreign files.
type stray struct {
	count int
	bytes int64
	first []finding.Finding // at most fewStrays
}

// fewStrays is the largest group that is listed by file.
const fewStrays = 3

func (s *strays) add(f finding.Finding) {
	name := layout.Stray(f.Path)
	if f.Detail != "" { // listed alone, with its detail
		name = f.Path
	}
	if s.of == nil {
		s.of = map[string]*stray{}
	}
	all := s.of[name]
	if all == nil {
		all = &stray{}
		s.of[name], s.names = all, append(s.names, name)
	}
	all.count++
	all.bytes += f.Bytes
	if len(all.first) < fewStrays {
		all.first = append(all.first, f)
	}
}

// strays writes foreign files after the n entries of a list, and returns how many it adds:
// one for a large group.
func (t *text) strays(s *strays, n int, cure string) (more int) {
	for _, name := range s.names {
		all := s.of[name]
		if all.count > fewStrays {
			if t.Shown(n + more) {
				t.Line(2, t.Paint(view.Bold, words.Clean(name)), "  ", words.Plural(all.count, "file", "files"), t.Paint(view.Dim, sized(all.bytes)))
				t.Line(3, t.cropped(words.Clean(all.first[0].Path)), t.Paint(view.Dim, "  and more"))
			}
			more++
			continue
		}
		for _, f := range all.first {
			if t.Shown(n + more) {
				t.finding(f, cure)
			}
			more++
		}
	}
	*s = strays{}
	return more
}

// garbage writes the table of garbage.
func (t *text) garbage() {
	sum := t.bySeverity()[finding.Garbage]
	if sum.Count == 0 && sum.InGrace == 0 {
		return
	}
	title := "GARBAGE: unused, safe to remove"
	if t.Listing != nil {
		title = "GARBAGE according to the listing: fix asks the store itself"
	}
	t.Section(view.Cyan, title)
	t.Table(1, view.Column{Width: 24}, view.Column{Name: "count", Width: 12, Right: true}, view.Column{Name: "size", Width: 12, Right: true}, view.Column{Name: "newer than --grace", Width: 20, Right: true, Drop: 1})
	for id := range finding.Kinds {
		if c := t.Left(id); id.Severity() == finding.Garbage && (c.Count > 0 || c.InGrace > 0) {
			t.garbageRow(view.Cyan, id.String(), c)
			t.Line(2, t.Paint(view.Dim, id.Explanation().Brief))
		}
	}
	t.garbageRow(view.Bold, "total", sum)
	if n := t.Result.Totals.ReclaimableBytes; n > 0 {
		t.Lead(1, t.Paint(view.Bold, words.Size(n)), " can be freed.")
	}
	t.acceptedGarbage()
}

// acceptedGarbage writes how much garbage is accepted, which doesn't affect a fix.
func (t *text) acceptedGarbage() {
	var sum finding.Count
	for id := range finding.Kinds {
		if t.Accepted != nil && id.Severity() == finding.Garbage {
			sum = add(sum, t.Accepted.Counts[id])
		}
	}
	if sum.Count > 0 {
		t.Line(1, words.Plural(sum.Count, "more object is", "more objects are")+" accepted ("+words.Size(sum.Bytes)+"). fix removes accepted garbage too.")
	}
}

// accepted writes the accepted findings by entry, and then the entries that expired or
// matched nothing.
func (t *text) accepted() {
	if t.Accepted == nil {
		return
	}
	if t.Accepted.Sum().Count > 0 {
		t.Heading(view.Yellow, "ACCEPTED: known, so --fail-on does not count it")
	}
	of := map[*accept.Rule][]finding.Finding{}
	for f := range t.Result.Findings {
		r := t.Accepted.By(&f)
		switch {
		case r == nil:
		case !t.Terminal:
			t.Line(0, "accepted  ", lineOf(&f), "  ", Grounds(r))
		case t.Shown(len(of[r])):
			of[r] = append(of[r], f)
		}
	}
	shown, endless := 0, 0
	for r := range t.Accepted.Each() {
		if r.Accepted > 0 && r.Until == "" {
			endless++
		}
		if len(of[r]) == 0 {
			continue
		}
		if shown++; !t.Shown(shown - 1) {
			continue
		}
		t.Lead(1, t.Paint(view.Yellow, r.ID), "  ", words.Number(r.Accepted), "  ", Grounds(r))
		for _, f := range of[r] {
			t.finding(f, t.curing(&f))
		}
		t.More(2, r.Accepted, "")
	}
	t.More(1, shown, " entries")
	if endless > 0 {
		t.Para(1, words.Plural(endless, "entry accepts", "entries accept")+" without an end. A line until: DATE sets one.")
	}
	t.entries()
}

// entries writes the entries of --accept that don't simply apply.
func (t *text) entries() {
	n := 0
	for _, state := range RuleStates[:len(RuleStates)-1] {
		for r := range t.Accepted.Each() {
			if t.StateOf(r) != state {
				continue
			}
			if n++; n == 1 {
				t.Section(view.Red, "ENTRIES OF --accept THAT DO NOT APPLY")
			}
			if t.Shown(n - 1) {
				t.entry(1, r)
			}
		}
	}
	t.More(1, n, " entries")
}

// entry writes the state of a rule.
func (t *text) entry(steps int, r *accept.Rule) {
	st := view.Dim
	if r.Expired {
		st = view.Red
	}
	t.Line(steps, words.Clean(r.Where()), "  ", r.ID, "  ", t.cropped(words.Clean(r.About())), "  ", t.Paint(st, t.Fate(r)))
}

// fewExpired is the most entries in the short answer.
const fewExpired = 10

// expired writes only the entries of --accept that expired.
func (t *text) expired() {
	n := 0
	for r := range t.Accepted.Each() {
		if !r.Expired {
			continue
		}
		if n++; n <= fewExpired {
			t.entry(0, r)
		}
	}
	if n > fewExpired {
		t.Line(0, "… and "+words.Number(n-fewExpired)+" more that expired")
	}
}

func (t *text) garbageRow(st view.Style, name string, c finding.Count) {
	young := "-"
	if c.InGrace > 0 {
		young = words.Number(c.InGrace)
	}
	t.Row(t.Paint(st, name), words.Number(c.Count), words.Size(c.Bytes), young)
}

func add(a, b finding.Count) finding.Count {
	return finding.Count{Count: a.Count + b.Count, Bytes: a.Bytes + b.Bytes, InGrace: a.InGrace + b.InGrace}
}

// Explanation returns the text about one kind of finding.
func Explanation(id finding.Kind) view.View {
	e := id.Explanation()
	return view.Of(view.Options{}, func(p *view.Printer) {
		p.Title(p.Paint(severities[id.Severity()].style, id.String()), "  ", id.Severity().String())
		p.Line(0, e.Brief)
		for _, part := range [...]struct{ title, body string }{
			{"What it means", e.Means}, {"How it happens", e.Cause}, {"What to do", e.Advice},
		} {
			p.Heading(view.Bold, part.title)
			p.Prose(1, part.body)
		}
	})
}

// Explanations returns a line about every kind of finding, worst first, then about the
// reasons of removals.
func Explanations() view.View {
	return view.Of(view.Options{}, func(p *view.Printer) {
		before := finding.Severity(255)
		for id := range finding.All {
			s := id.Severity()
			if s != before {
				if id != finding.None+1 {
					p.Gap()
				}
				p.Line(0, p.Paint(severities[s].style, s.String()), "  ", severities[s].meaning)
				p.BareTable(1, view.Column{Name: "finding", Width: 25}, view.Column{Name: "what"})
				before = s
			}
			p.Row(id.String(), id.Explanation().Brief)
		}
		p.Lead(0, p.Paint(view.Bold, "Next: "), "regfsck explain ID")
	})
}

// SeverityMeaning describes a severity, in a clause.
func SeverityMeaning(s finding.Severity) string { return severities[s].meaning }
