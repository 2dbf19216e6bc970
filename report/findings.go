package report

import (
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// cures says what could be done about a finding.
var cures = map[finding.Cure]string{
	finding.CureNone:        "nothing on this disk can put it right",
	finding.CureRemove:      "can be removed",
	finding.CureAbort:       "can be aborted, for good",
	finding.CureRebuild:     "can be rebuilt from what the disk proves",
	finding.CureHeal:        "can be copied from a source",
	finding.CureRemoveAsk:   "can be removed, if you decide so",
	finding.CureMoveAsk:     "can be moved away, if you decide so: the next push then heals it",
	finding.CureWriteAsk:    "a link can be written, if you decide so",
	finding.CureWithdrawAsk: "a push by " + finding.Lookers + " heals it; so that one by " + finding.Skippers + " does too, its images can be withdrawn, if you decide so",
}

// cureOf says what could be done about a finding of the store.
func (t *text) cureOf(id finding.Kind, cure finding.Cure) string {
	switch {
	case id == finding.CacheStateInvalid:
		return "can be moved away, if you decide so: the registry then starts, and makes a new one"
	case cure == finding.CureRebuild && (id == finding.BlobMissing || id == finding.BlobCorrupt):
		return "regfsck fix writes it anew: its digest proves which bytes it has"
	case cure == finding.CureMoveAsk && t.Result.Cache:
		return "can be moved away, if you decide so: the next pull through this cache then heals it"
	case cure == finding.CureMoveAsk && id == finding.BlobCorrupt:
		return "can be moved away, if you decide so: " + cures[finding.CureWithdrawAsk]
	}
	return cures[cure]
}

// findings writes all but garbage, worst first, a group for each id.
func (t *text) findings() {
	group, n := finding.None, 0
	var foreign strays
	end := func() {
		n += t.strays(&foreign, n)
		if group != finding.None {
			t.more(2, n)
		}
	}
	for f := range t.Result.Findings {
		if f.Kind.Severity() == finding.Garbage {
			break
		}
		if f.Kind != group {
			end()
			t.group(group, f)
			group, n = f.Kind, 0
		}
		if f.Kind == finding.ForeignFile {
			foreign.add(f)
			continue
		}
		if t.shown(n) {
			t.finding(f)
		}
		n++
	}
	end()
}

var severityTitles = [...]struct {
	title string
	style style
}{
	finding.Fatal:   {"UNKNOWN: what could not be read", red},
	finding.Error:   {"ERRORS", red},
	finding.Warning: {"WARNINGS", yellow},
	finding.Garbage: {"GARBAGE", cyan},
	finding.Asked:   {"ASKED FOR", cyan},
}

// group opens the findings of one id, of which f is the first.
func (t *text) group(before finding.Kind, f finding.Finding) {
	s := f.Kind.Severity()
	if before == finding.None || before.Severity() != s {
		t.heading(severityTitles[s].style, severityTitles[s].title)
	}
	t.blank()
	t.line(1, t.paint(severityTitles[s].style, f.Kind.String()), "  ", Number(t.Result.Counts[f.Kind].Count),
		"  ", f.Kind.Explanation().Brief)
}

// finding writes one: whom it hurts, where it stands, what more is known.
func (t *text) finding(f finding.Finding) {
	if name := impact(f); name != "" {
		t.line(2, t.paint(bold, name))
		t.line(3, Clean(f.Path), t.paint(dim, aside(f)))
	} else {
		t.line(2, t.paint(bold, Clean(f.Path)), t.paint(dim, aside(f)))
	}
	if f.Detail != "" {
		t.prose(3, Clean(f.Detail))
	}
	switch {
	case f.Cure == finding.CureHeal:
		t.prose(3, "can be copied from "+Clean(f.Blob.From)+", "+Size(f.Blob.Size))
	case f.Cure != finding.CureNone:
		t.prose(3, t.cureOf(f.Kind, f.Cure))
	}
}

// impact names the tags that a finding hurts, or else what it is about.
func impact(f finding.Finding) string {
	if f.AffectsCount == 0 {
		return subject(f)
	}
	const names = 3
	shown := f.Affects[:min(names, len(f.Affects))]
	s := Clean(strings.Join(shown, ", "))
	if rest := f.AffectsCount - len(shown); rest > 0 {
		s += " and " + Number(rest) + " more"
	}
	return s + " can't be pulled"
}

// subject names the thing itself, tags before digests; "" where only its path
// does.
func subject(f finding.Finding) string {
	switch {
	case f.Repository != "" && f.Tag != "":
		return Clean(f.Repository + ":" + f.Tag)
	case f.Repository != "" && f.Digest != "":
		return Clean(f.Repository) + "@" + short(Clean(f.Digest))
	case f.Repository != "":
		return Clean(f.Repository)
	case f.Digest != "":
		return short(Clean(f.Digest))
	}
	return ""
}

func aside(f finding.Finding) string { return sized(f.Bytes) }

func sized(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return "  " + Size(bytes)
}

// strays gathers foreign files by the name under which they leave the layout:
// one file manager or file system can put thousands of them everywhere.
type strays struct {
	names []string // in the order in which they were met
	of    map[string]*stray
}

// stray is what stands under one name.
type stray struct {
	count int
	bytes int64
	first []finding.Finding // of these, up to fewStrays
}

// fewStrays is how many foreign files of one name are listed one by one.
const fewStrays = 3

func (s *strays) add(f finding.Finding) {
	name := layout.Stray(f.Path)
	if f.Detail != "" { // there is more to say of it than where it stands
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

// strays writes foreign files behind the n entries that a list has, and returns
// how many it adds: where there are many under one name, that is one.
func (t *text) strays(s *strays, n int) (more int) {
	for _, name := range s.names {
		all := s.of[name]
		if all.count > fewStrays {
			if t.shown(n + more) {
				t.line(2, t.paint(bold, Clean(name)), "  ", Plural(all.count, "file", "files"), t.paint(dim, sized(all.bytes)))
				t.line(3, Clean(all.first[0].Path), t.paint(dim, "  and others"))
			}
			more++
			continue
		}
		for _, f := range all.first {
			if t.shown(n + more) {
				t.finding(f)
			}
			more++
		}
	}
	*s = strays{}
	return more
}

// garbage writes the table of what takes space and hurts nobody.
func (t *text) garbage() {
	var sum finding.Count
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			sum = add(sum, t.Result.Counts[id])
		}
	}
	if sum.Count == 0 && sum.InGrace == 0 {
		return
	}
	t.heading(cyan, "GARBAGE: takes space, hurts nobody")
	t.blank()
	t.table(1, Column{Width: 24}, Column{Name: "things", Width: 12, Right: true}, Column{Name: "size", Width: 12, Right: true}, Column{Name: "kept as young", Width: 16, Right: true})
	for id := range finding.Kinds {
		if c := t.Result.Counts[id]; id.Severity() == finding.Garbage && (c.Count > 0 || c.InGrace > 0) {
			t.garbageRow(cyan, id.String(), c)
			t.line(2, t.paint(dim, id.Explanation().Brief))
		}
	}
	t.garbageRow(bold, "together", sum)
	if n := t.Result.Totals.ReclaimableBytes; n > 0 {
		t.blank()
		t.line(1, t.paint(bold, Size(n)), " could be freed.")
	}
}

func (t *text) garbageRow(st style, name string, c finding.Count) {
	young := "-"
	if c.InGrace > 0 {
		young = Number(c.InGrace)
	}
	t.row(t.paint(st, name), Number(c.Count), Size(c.Bytes), young)
}

func add(a, b finding.Count) finding.Count {
	return finding.Count{Count: a.Count + b.Count, Bytes: a.Bytes + b.Bytes, InGrace: a.InGrace + b.InGrace}
}
