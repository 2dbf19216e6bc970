package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report/accept"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// DiffSchema is the name and version of the document of a comparison.
const DiffSchema = "regfsck.diff/1"

// Comparison compares two reports of checks.
type Comparison struct {
	Version  string
	Old, New *Past
}

// Past is a saved report of a check.
type Past struct {
	Schema string `json:"schema"`
	sideFields
	Broken   []brokenFields  `json:"broken_tags"`
	Unknown  []brokenFields  `json:"unknown_tags"`
	Findings []findingFields `json:"findings"`
	Exit     exitFields      `json:"exit"`
}

// maxPast is the most bytes of a report, enough for five million findings.
var maxPast int64 = 2 << 30

// ReadPast reads the JSON of a check. For another document the error names what it is.
func ReadPast(r io.Reader) (*Past, error) {
	p := &Past{}
	bounded := &io.LimitedReader{R: r, N: maxPast + 1}
	d := json.NewDecoder(bounded)
	err := d.Decode(p)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the report; a file holds one")
		}
	}
	switch {
	case bounded.N <= 0:
		return nil, fmt.Errorf("it is bigger than %s", words.Size(maxPast))
	case err != nil:
		return nil, fmt.Errorf("no JSON report: %w", err)
	}
	if p.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q, and what is compared is %q", p.Schema, Schema)
	}
	if p.Findings == nil {
		return nil, errors.New("it has no findings, which every report has, if only none")
	}
	return p, nil
}

// Accept returns a file that accepts the chosen findings by key, with a reason. left
// describes, in clauses, what isn't included: findings that are accepted already, or can't
// be.
func (p *Past) Accept(reason, until string, chosen func(id, severity, key string) bool) (file accept.File, left []string) {
	file = accept.File{Schema: accept.Schema, Target: p.Target}
	seen, already, never := map[[2]string]int{}, 0, 0
	for _, f := range p.Findings {
		kind, known := finding.Parse(f.ID)
		at, twice := seen[[2]string{f.ID, f.Path}]
		switch {
		case f.Young || !chosen(f.ID, f.Severity, f.Path):
		case f.Accepted != nil:
			already++
		case !known || kind.Severity() == finding.Fatal || f.Path == "":
			never++
		case twice:
			file.Entries[at].Tags = max(file.Entries[at].Tags, f.AffectsCount)
		default:
			seen[[2]string{f.ID, f.Path}] = len(file.Entries)
			file.Entries = append(file.Entries, accept.Entry{ID: f.ID, Key: f.Path, Tags: f.AffectsCount, Reason: reason, Until: until})
		}
	}
	if already > 0 {
		left = append(left, words.Number(already)+" accepted already")
	}
	if never > 0 {
		left = append(left, words.Number(never)+" that can't be accepted")
	}
	return file, left
}

// same returns the identity of a finding: its kind and key, and the tag for kinds with
// several findings at one key.
func (f *findingFields) same() string {
	return f.ID + "\x00" + accept.Legible(f.Path) + "\x00" + accept.Legible(f.Tag) // JSON replaces bytes that are not UTF-8
}

// without returns the findings of p that other lacks, in order.
func (p *Past) without(other *Past) (all []findingFields) {
	known := map[string]bool{}
	for i := range other.Findings {
		known[other.Findings[i].same()] = true
	}
	for _, f := range p.Findings {
		if !known[f.same()] {
			all = append(all, f)
		}
	}
	return all
}

// differences compares the reports. Tags whose state is unknown now, or whose damage was not
// looked for, don't count as healed. A finding that only the old report has is gone if the new
// check looked for it.
func (c *Comparison) differences() differenceFields[[]findingFields] {
	looked := slices.DeleteFunc(slices.Clone(c.Old.Broken), func(t brokenFields) bool {
		return slices.ContainsFunc(t.Because, func(why reasonFields) bool { return !c.looksFor(why.ID) })
	})
	d := differenceFields[[]findingFields]{
		Broke: tagsWithout(c.New.Broken, c.Old.Broken), Healed: tagsWithout(looked, slices.Concat(c.New.Broken, c.New.Unknown)),
		Added: document.List(c.New.without(c.Old)), Gone: []findingFields{}, Unsought: []findingFields{},
	}
	d.Unchanged = len(c.New.Findings) - len(d.Added)
	for _, f := range c.Old.without(c.New) {
		if c.looksFor(f.ID) {
			d.Gone = append(d.Gone, f)
		} else {
			d.Unsought = append(d.Unsought, f)
		}
	}
	return d
}

// looksFor reports whether the new check looked for a kind of finding of the old one. An
// interrupted check may not have hashed the blob.
func (c *Comparison) looksFor(id string) bool {
	interrupted := exitcode.Code(c.New.Exit.Code)&exitcode.Cancelled != 0
	if kind, _ := finding.Parse(id); interrupted && (kind == finding.BlobCorrupt || kind == finding.DescriptorWrong) {
		return false
	}
	return c.New.Looked.covers(c.Old.Looked, id)
}

func tagsWithout(tags, others []brokenFields) []string {
	known, refs := map[string]bool{}, []string{}
	for _, t := range others {
		known[t.Ref] = true
	}
	for _, t := range tags {
		if !known[t.Ref] {
			refs = append(refs, t.Ref)
		}
	}
	return refs
}

// View returns the tags that broke or healed, and the findings that are new or gone.
func (c *Comparison) View(o view.Options) view.View {
	return (&Check{}).text("check", o, func(t *text) {
		t.Rest = "--json has all of them"
		t.title(t.Paint(view.Bold, "regfsck diff"), "  ", words.Clean(c.New.Target))
		t.Gap()
		t.BareTable(1, view.Column{Name: "report", Width: 4}, view.Column{Name: "time", Width: 20, Gap: 2}, view.Column{Name: "verdict", Gap: 2})
		for _, side := range []struct {
			name string
			p    *Past
		}{{"old", c.Old}, {"new", c.New}} {
			incomplete := ""
			if !side.p.Complete {
				incomplete = ", incomplete"
			}
			t.Row(side.name, words.Clean(side.p.Finished), words.Clean(side.p.Verdict)+incomplete)
		}
		c.changesTo(t)
		t.Gap()
		t.Printer.Verdict(c.sum(t.Printer)...)
	})
}

// changesTo writes the differences.
func (c *Comparison) changesTo(t *text) {
	if c.Old.Target != c.New.Target {
		t.Para(1, "The reports name different stores. The old one is of "+words.Clean(c.Old.Target)+".")
	}
	if lines := c.Old.Looked.differ(c.New.Looked); len(lines) > 0 {
		t.Para(1, "The checks looked for different things:")
		for _, l := range lines {
			t.Line(2, words.Clean(l))
		}
	}
	d := c.differences()
	writeRefs(t, view.Red, "TAGS BROKEN SINCE", d.Broke)
	writeRefs(t, view.Green, "TAGS REPAIRED OR REMOVED SINCE", d.Healed)
	writeFindings(t, view.Red, "NEW FINDINGS", d.Added)
	writeFindings(t, view.Green, "FINDINGS GONE", d.Gone)
	writeFindings(t, view.Yellow, "FINDINGS THAT THE NEW CHECK DID NOT LOOK FOR", d.Unsought)
	if !c.Old.Complete || !c.New.Complete {
		t.Para(0, "An incomplete report lacks what could not be read, so some of these may not be new or gone.")
	}
}

// writeRefs lists tags.
func writeRefs(t *text, st view.Style, title string, refs []string) {
	if len(refs) > 0 {
		t.Section(st, title)
		t.Keys(1, refs)
	}
}

// writeFindings writes findings that only one report has, by kind.
func writeFindings(t *text, st view.Style, title string, all []findingFields) {
	if len(all) == 0 {
		return
	}
	t.Heading(st, title)
	for _, kind := range grouped(all, func(f *findingFields) string { return f.ID }) {
		t.Lead(1, t.Paint(st, words.Clean(kind[0].ID)), "  ", words.Number(len(kind)))
		t.Keys(2, words.All(kind, func(f *findingFields) string {
			if f.Accepted != nil {
				return f.Path + "  (accepted)"
			}
			return f.Path
		}))
	}
}

// Short returns the numbers of new, gone and unchanged findings.
func (c *Comparison) Short(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		p.Verdict(c.sum(p)...)
	})
}

// sum returns the comparison in one line.
func (c *Comparison) sum(p *view.Printer) []string {
	d := c.differences()
	word, st := "THE SAME", view.Green
	switch {
	case len(d.Broke) > 0 || slices.ContainsFunc(d.Added, isBad):
		word, st = "WORSE", view.Red
	case len(d.Added)+len(d.Gone)+len(d.Unsought) > 0:
		word, st = "DIFFERENT", view.Yellow
	}
	more := ""
	if len(d.Unsought) > 0 {
		more = ", " + words.Number(len(d.Unsought)) + " not looked for"
	}
	return []string{p.Paint(st, word), ": ", words.Plural(len(d.Added), "finding is", "findings are") + " new, " + words.Number(len(d.Gone)) + " gone, " + words.Number(d.Unchanged) + " unchanged" + more}
}

// isBad reports whether a finding is an error or worse. For kinds of other versions, the
// report's severity is used.
func isBad(f findingFields) bool {
	if kind, ok := finding.Parse(f.ID); ok {
		return kind.Severity() <= finding.Error
	}
	return slices.Contains([]string{fmt.Sprint(finding.Fatal), fmt.Sprint(finding.Error)}, f.Severity)
}

// diffFields is the document of a comparison.
type diffFields struct {
	headFields
	Old sideFields `json:"old"`
	New sideFields `json:"new"`
	differenceFields[iter.Seq[findingFields]]
	Exit exitFields `json:"exit"`
}

// changedFields are the changes since an earlier report.
type changedFields struct {
	Old sideFields `json:"old"`
	differenceFields[[]findingFields]
}

// differenceFields are the differences of two reports. L is a sequence at the top of a
// document, and a slice within another.
type differenceFields[L any] struct {
	Unchanged int      `json:"unchanged"`
	Broke     []string `json:"tags_broke"`
	Healed    []string `json:"tags_healed"` // or removed
	Added     L        `json:"added"`
	Gone      L        `json:"gone"`
	Unsought  L        `json:"not_looked_for"` // the new check did not look for it
}

// sideFields are what a comparison shows of a report.
type sideFields struct {
	Target   string        `json:"target"`
	Finished string        `json:"finished"`
	Looked   *lookedFields `json:"looked,omitempty"` // nil: from an earlier version without it
	Complete bool          `json:"complete"`
	Verdict  string        `json:"verdict"`
}

// Fields returns the document.
func (c *Comparison) Fields() any {
	d := c.differences()
	streamed := differenceFields[iter.Seq[findingFields]]{d.Unchanged, d.Broke, d.Healed, slices.Values(d.Added), slices.Values(d.Gone), slices.Values(d.Unsought)}
	return diffFields{headFields{DiffSchema, toolOf(c.Version), c.New.Target}, c.Old.sideFields, c.New.sideFields, streamed, exitOf(0)}
}

// changed returns the changes since an earlier report, nil without one.
func (c *Check) changed() *changedFields {
	if c.Since == nil {
		return nil
	}
	d := c.Comparison()
	return &changedFields{d.Old.sideFields, d.differences()}
}

// Comparison compares the check with the earlier report.
func (c *Check) Comparison() *Comparison {
	looked := lookedFields(c.Looked)
	now := &Past{
		Schema: Schema, sideFields: sideFields{c.Target, c.timed(Schema).Finished, &looked, c.Result.Complete, c.Verdict()}, Exit: exitOf(c.Exit),
		Broken: slices.Collect(document.Map(c.Result.Broken, brokenOf)), Unknown: slices.Collect(document.Map(c.Result.Unknown, brokenOf)),
		Findings: slices.Collect(document.Map(c.Result.Findings, c.findingOf)),
	}
	return &Comparison{Version: c.Version, Old: c.Since, New: now}
}

// Changes yields the findings that only one of the reports has, by their state.
func (c *Comparison) Changes(yield func(string, []findingFields) bool) {
	d := c.differences()
	_ = yield("new", d.Added) && yield("gone", d.Gone) && yield("not looked for", d.Unsought)
}

// Looked is what a check looked for; a report is silent about the rest.
type Looked struct {
	Verify       string `json:"verify"` // what was hashed, as graph.Verify describes it
	Thorough     bool   `json:"thorough"`
	Untagged     bool   `json:"untagged"` // untagged manifests and what only they need count as garbage
	GraceSeconds int64  `json:"grace_seconds"`
}

// lookedFields is Looked in a document.
type lookedFields Looked

// hashed returns the percentage of blobs that were hashed; certain is false if checks hash
// different ones, or it is unknown.
func (l *lookedFields) hashed() (percent float64, certain bool) {
	switch l.Verify {
	case "all":
		return 100, true
	case "manifests", "":
		return 0, true
	}
	share, ok := strings.CutSuffix(l.Verify, "%")
	n, err := strconv.ParseFloat(share, 64)
	return n, ok && err == nil
}

// covers reports whether a check with l would have found again a finding of a check with
// other. nil stands for a check without flags.
func (l *lookedFields) covers(other *lookedFields, id string) bool {
	if l == nil {
		l = &lookedFields{}
	}
	if other == nil {
		other = &lookedFields{Verify: "all", Thorough: true, Untagged: true}
	}
	kind, _ := finding.Parse(id)
	switch kind {
	case finding.BlobCorrupt:
		mine, certain := l.hashed()
		theirs, known := other.hashed()
		return certain && (mine == 100 || known && mine >= theirs)
	case finding.ForeignFile, finding.TmpStale:
		return l.Thorough || !other.Thorough
	case finding.ManifestUntagged, finding.LayerLinkUnreferenced, finding.BlobOrphan, finding.RepoEmpty:
		return l.Untagged || !other.Untagged
	}
	return true
}

// differ describes the differences of two checks, a line each.
func (l *lookedFields) differ(to *lookedFields) (lines []string) {
	if l == nil || to == nil {
		if l == to {
			return nil
		}
		which := "old"
		if to == nil {
			which = "new"
		}
		return []string{"The " + which + " report was written by a version that didn't note what it looked for."}
	}
	say := func(what string, old, now any) {
		if old != now {
			lines = append(lines, fmt.Sprintf("%s: %v in the old one, %v in the new one", what, old, now))
		}
	}
	say("verify", l.Verify, to.Verify)
	say("thorough", l.Thorough, to.Thorough)
	say("untagged", l.Untagged, to.Untagged)
	say("grace", words.Span(time.Duration(l.GraceSeconds)*time.Second), words.Span(time.Duration(to.GraceSeconds)*time.Second))
	return lines
}
