package report

import (
	"iter"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/replica"
	"regfsck/graph/usage"
	"regfsck/report/accept"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
	"regfsck/report/view"
)

// Schema is the name and version of the document of a check. Fields may be added; none
// changes its meaning.
const Schema = "regfsck.check/1"

// Check is the result of a check, with the context for its report.
type Check struct {
	Version  string   // of the program
	Target   string   // the store, without credentials
	Noun     string   // kind of the store: see backend.Traits
	Repeat   []string // STORE and the flags that affect the result, for suggested commands
	Reach    []string // the flags to open STORE, for other commands
	Fix      []string // Repeat for fix
	Started  time.Time
	Finished time.Time

	Result   *check.Result
	Phases   []graph.Phase // in the order in which they ran
	Cost     backend.Cost
	Requests bool // requests cost money: the report has their number

	Objects     int64 // listed files or objects; 0 if not counted
	LinksRead   int64 // links that were read; 0 if not counted
	LinksByETag int64 // links that the listing proved
	Looked      Looked

	Listing *Listing // of the listing that the store was listed by; nil if it was listed itself

	Since *Past // an earlier report to compare with; nil for none

	Accepted *accept.Set // the accepted findings, after Tally; nil for none

	Replicas []replica.Comparison // differences from the named sources

	ManifestsCached int64 // manifests from the cache

	FailOn finding.Severity // the lowest severity that raises DamageLeft; finding.Fatal: none
	Exit   exitcode.Code    // of the process

	tool   *toolFields // of a saved report: the program that wrote it
	silent bool        // likewise: an earlier version wrote it, without the prospect of broken tags
}

// Listing is how far the names of repositories, tags and revisions in a listing were compared
// with those in the store, and what the listing lacks.
type Listing struct {
	Repositories int      `json:"repositories"` // in the listing
	Compared     int      `json:"compared"`     // of these: with their tags and sha256 revisions
	Requests     int      `json:"requests"`     // to the store, for the names
	Listed       []string `json:"listed"`       // directories that were listed from the store, because the listing lacks them or a part of them
	Lacking      []string `json:"lacking"`      // those that were not listed, so that what they contain is unknown
}

// Verdict returns "clean" or "damaged". It is about what could be read; see Result.Complete.
func (c *Check) Verdict() string {
	if c.Result.Damaged() {
		return "damaged"
	}
	return "clean"
}

// Usage returns the usage of the store; nil if it was not requested.
func (c *Check) Usage() *usage.Usage {
	if c.Result.Marks == nil || c.Result.Policy.Removal != nil { // the marks are those of the removal
		return nil
	}
	return usage.Of(c.Result.Marks, c.Result.Broken)
}

// View returns the report as text. Lists that are cut have the number of the rest and the
// command that shows it.
func (c *Check) View(o view.Options) view.View {
	return c.text("check", o, func(t *text) {
		t.title(t.Paint(view.Bold, "regfsck check"), "  ", words.Clean(c.Target))
		t.phases()
		t.store()
		t.tags()
		t.findings()
		t.garbage()
		t.accepted()
		t.unproven()
		t.Notes(t.Result.Notes)
		t.since()
		t.replicas()
		t.prospect()
		t.Gap()
		t.verdict()
		t.next()
		t.exit()
	})
}

// Short returns the verdict line.
func (c *Check) Short(o view.Options) view.View {
	return c.text("check", o, func(t *text) {
		t.expired()
		t.verdict()
	})
}

func (t *text) phases() {
	if !t.PhasesShown {
		t.phaseTable()
	}
	if t.Requests {
		t.requests()
	}
}

func (t *text) phaseTable() {
	t.Gap()
	name, count := 0, 0
	for _, p := range t.Phases {
		name, count = max(name, len(p.Name)), max(count, len(progress.Counted(p)))
	}
	t.BareTable(1, view.Column{Name: "phase", Width: name}, view.Column{Name: "count", Width: count, Right: true, Gap: 2}, view.Column{Name: "time", Width: 11, Right: true, Gap: 2})
	for _, p := range t.Phases {
		t.Row(p.Name, progress.Counted(p), t.Paint(view.Dim, words.Span(p.Duration)))
	}
}

// requests writes the number of requests to the store.
func (t *text) requests() {
	c := &t.Cost
	t.Gap()
	line := requests(c)
	if t.ManifestsCached > 0 {
		line += "; " + words.Plural(t.ManifestsCached, "manifest", "manifests") + " taken from the cache"
	}
	if all := t.LinksRead + t.LinksByETag; all > 0 {
		line += "; " + words.Number(t.LinksByETag) + " of " + words.Plural(all, "link", "links") + " verified by the listing alone"
	}
	t.Line(1, line)
}

// requests describes the requests to the store.
func requests(c *backend.Cost) string {
	line := words.Number(c.List) + " list, " + words.Number(c.Get) + " get"
	if c.Put+c.Delete > 0 {
		return line + ", " + words.Number(c.Head) + " head, " + words.Number(c.Put) + " put and " + words.Number(c.Delete) + " delete requests"
	}
	return line + " and " + words.Number(c.Head) + " head requests"
}

func (t *text) store() {
	n := &t.Result.Totals
	t.Lead(1, contents(n))
	t.Line(1, t.Paint(view.Dim, "in use: "+words.Plural(n.ReferencedBlobs, "blob", "blobs")+" of "+words.Size(n.ReferencedBytes)))
	if n.Untagged > 0 {
		line := words.Plural(n.Untagged, "manifest has", "manifests have") + " no tag"
		if n.UntaggedReclaimable > 0 {
			line += ": --untagged removes " + words.Number(n.UntaggedReclaimable) + " of them and frees " + words.Size(n.UntaggedBytes) + " more"
		}
		t.Line(1, line)
	}
	if p := t.Result.Proofs; p != nil {
		t.Prose(1, proofsLine(p))
	}
	if n.CacheAbsent > 0 {
		t.Line(1, t.Paint(view.Dim, "pull-through cache: "+words.Plural(n.CacheAbsent, "object is", "objects are")+" not cached, which is normal"))
	}
}

// contents describes what a store holds.
func contents(n *check.Totals) string {
	return words.Plural(n.Repositories, "repository", "repositories") + ", " + words.Plural(n.Tags, "tag", "tags") + ", " +
		words.Plural(n.Revisions, "manifest", "manifests") + ", " + words.Plural(n.Blobs, "blob", "blobs") + " of " + words.Size(n.Bytes)
}

// unproven lists the blobs that aren't verified, if all should be.
func (t *text) unproven() {
	if t.Result.Unproven == nil {
		return
	}
	t.Section(view.Yellow, "NOT PROVEN: nothing shows that the bytes are those that the digest names")
	n := 0
	for b := range t.Result.Unproven {
		if !t.Shown(n) {
			break
		}
		t.Line(1, t.cropped(words.Clean(b.Key)), "  ", t.Paint(view.Dim, words.Size(b.Bytes)))
		n++
	}
	t.More(1, t.Result.Proofs.Unproven.Blobs, " blobs")
}

// proofsLine summarizes the verified blobs.
func proofsLine(p *graph.Proofs) string {
	var parts []string
	for _, part := range []struct {
		name string
		of   graph.Amount
	}{
		{"hashed now: ", p.Hashed}, {"hashed before and unchanged: ", p.Known}, {"read as manifests: ", p.Manifests},
		{"corrupt: ", p.Wrong}, {"not hashed: ", p.Unproven},
	} {
		if part.of.Blobs > 0 {
			parts = append(parts, part.name+amount(part.of))
		}
	}
	if parts == nil {
		return "nothing to hash"
	}
	return strings.Join(parts, "; ")
}

// amount formats a number of blobs.
func amount(a graph.Amount) string {
	return words.Plural(a.Blobs, "blob", "blobs") + " of " + words.Size(a.Bytes)
}

// since writes the changes since an earlier report.
func (t *text) since() {
	if t.Since == nil {
		return
	}
	c := t.Comparison()
	t.Heading(view.Bold, "SINCE "+words.Clean(c.Old.Finished))
	c.changesTo(t)
	t.Lead(0, c.sum(t.Printer)...)
}

// verdict writes the verdict line. It is CLEAN only if everything could be read and all tags
// could be judged.
func (t *text) verdict() {
	word, st := "CLEAN", view.Green
	certain := t.Result.Complete && t.Result.Totals.TagsUnknown == 0 && !exitcode.Unproven(t.Result)
	switch {
	case t.Result.Damaged() && !certain:
		word, st = "DAMAGED and INCOMPLETE", view.Red
	case t.Result.Damaged():
		word, st = "DAMAGED", view.Red
	case !certain:
		word, st = "INCOMPLETE", view.Yellow
	}
	if t.Listing != nil {
		word += " according to the listing"
	}
	t.Printer.Verdict(t.Paint(st, word), ": ", t.summary())
}

// summary returns the result in one line.
func (t *text) summary() string {
	n := &t.Result.Totals
	var parts []string
	switch {
	case n.TagsBroken > 0:
		parts = append(parts, t.broken())
	case n.TagsUnknown == 0 && n.Tags > 0:
		parts = append(parts, lower(t.all()))
	case n.Tags == 0 && !t.Result.Complete:
		parts = append(parts, lower(t.none()))
	case n.Tags == 0:
		parts = append(parts, "no tags")
	}
	if n.TagsUnknown > 0 {
		parts = append(parts, words.Plural(n.TagsUnknown, "tag", "tags")+" not judged")
	}
	of := t.bySeverity()
	if exitcode.Unproven(t.Result) {
		parts = append(parts, amount(t.Result.Proofs.Unproven)+" not proven")
	}
	for severity, noun := range [...][2]string{
		finding.Fatal: {"entry could not be read", "entries could not be read"}, finding.Error: {"error", "errors"}, finding.Warning: {"warning", "warnings"},
	} {
		if n := of[severity].Count; n > 0 {
			parts = append(parts, words.Plural(n, noun[0], noun[1]))
		}
	}
	if of[finding.Garbage].Count > 0 {
		parts = append(parts, words.Plural(of[finding.Garbage].Count, "garbage object", "garbage objects")+" ("+words.Size(of[finding.Garbage].Bytes)+")")
	}
	if sum := t.Accepted.Sum(); sum.Count > 0 {
		parts = append(parts, words.Plural(sum.Count, "finding", "findings")+" accepted")
	}
	if n := t.Accepted.Expired(); n > 0 {
		parts = append(parts, words.Plural(n, "entry", "entries")+" of --accept expired")
	}
	return strings.Join(parts, ", ")
}

// bySeverity returns the counts of findings that aren't accepted.
func (t *text) bySeverity() (of [finding.Garbage + 1]finding.Count) {
	for id := range finding.Kinds {
		of[id.Severity()] = add(of[id.Severity()], t.Left(id))
	}
	return of
}

// next writes suggested commands.
func (t *text) next() {
	var steps [][2]string
	if id, ok := t.worst(); ok {
		steps = append(steps, [2]string{"regfsck explain " + id.String(), "what this means, what to do"})
	}
	if t.Result.Complete && t.curable() {
		steps = append(steps, [2]string{commandOf(append([]string{"fix"}, t.Fix...)...), "shows the plan to repair and clean up; changes nothing"})
	}
	switch {
	case t.Result.Interrupted && t.Result.Proofs != nil:
		steps = append(steps, [2]string{t.command(), "continues where this was interrupted"})
	case t.Result.Interrupted:
		steps = append(steps, [2]string{t.command(), "hashes all of them, from the beginning (with --ledger FILE it would continue)"})
	case !t.Result.Complete:
		steps = append(steps, [2]string{t.command(), "run it again once everything is readable"})
	}
	if t.Cut() {
		steps = append(steps, [2]string{t.command("--report regfsck.json"), "writes all findings to a file"})
	}
	if exitcode.Unproven(t.Result) && t.Looked.Verify != "missing" {
		steps = append(steps, [2]string{t.command("--verify missing"), "hashes what nothing proves"})
	}
	if t.Result.Proofs == nil && t.Looked.Verify != "all" && t.Result.Complete && !t.Result.Damaged() {
		steps = append(steps, [2]string{t.command("--verify all"), "checks the bytes of every blob too"})
	}
	t.Commands(steps)
}

// curable reports whether a fix would change anything.
func (t *text) curable() bool {
	for f := range t.Result.Findings {
		if f.Cure != finding.CureNone && !f.InGrace {
			return true
		}
	}
	return false
}

// worst returns the first kind to explain.
func (t *text) worst() (finding.Kind, bool) {
	for id := range finding.Kinds {
		if id.Severity() != finding.Garbage && t.Left(id).Count > 0 {
			return id, true
		}
	}
	return 0, false
}

func (t *text) exit() {
	meaning := meaningOf(t.verb, t.Exit)
	switch {
	case t.verb != "check":
	case t.Result.Damaged() && t.Exit&exitcode.DamageLeft == 0:
		why := "--fail-on never"
		if t.FailOn >= finding.Error {
			why = "all of it is accepted: --accept"
		}
		meaning = "damage was found, but does not count (" + why + ")"
		if rest := t.Exit; rest != 0 {
			meaning = rest.Meaning() + "; " + meaning
		}
	case !t.Result.Damaged() && t.Exit&exitcode.DamageLeft != 0:
		meaning += "; this counts as damage: --fail-on " + t.FailOn.String()
	}
	exitLine(t.Printer, t.Exit, meaning)
}

// checkFields is the document of a check.
type checkFields struct {
	timedFields
	Looked   lookedFields `json:"looked"`
	Complete bool         `json:"complete"`
	Verdict  string       `json:"verdict"`
	Totals   check.Totals `json:"totals"`
	examinedFields
	Healing     *healingFields                   `json:"healing,omitempty"`  // if sources were asked
	Replicas    []replica.Comparison             `json:"replicas,omitempty"` // of each source
	Proofs      *proofsFields                    `json:"proofs,omitempty"`   // with a ledger
	Cost        costFields                       `json:"cost"`
	Counts      iter.Seq2[string, finding.Count] `json:"counts"`
	Notes       []string                         `json:"notes"`
	BrokenTags  iter.Seq[brokenFields]           `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields]           `json:"unknown_tags"`
	Since       *changedFields                   `json:"since,omitempty"`    // with an earlier report
	Accepted    *acceptanceFields                `json:"accepted,omitempty"` // with --accept
	Findings    iter.Seq[findingFields]          `json:"findings"`
	Unproven    iter.Seq[graph.Blob]             `json:"unproven,omitempty"` // blobs that aren't verified, if all should be
	Exit        exitFields                       `json:"exit"`
}

// examinedFields are the other parts of a Check that a view needs, to make it again from a
// saved document.
type examinedFields struct {
	Cache       bool            `json:"pull_through_cache,omitempty"`
	Listing     *Listing        `json:"listing,omitempty"`     // with --listing
	Interrupted bool            `json:"interrupted,omitempty"` // while it hashed blobs
	After       *check.Prospect `json:"after_fix,omitempty"`   // of the broken tags
	FailOn      string          `json:"fail_on,omitempty"`
	Again       *againFields    `json:"again,omitempty"`
}

// againFields are arguments of suggested commands.
type againFields struct {
	Same  []string `json:"same"`            // of the same command
	Reach []string `json:"reach"`           // the flags to open the store
	Fix   []string `json:"fix,omitempty"`   // of fix
	Apply []string `json:"apply,omitempty"` // the command that applies the plan
}

func (c *Check) examined() examinedFields {
	e := examinedFields{Cache: c.Result.Cache, Listing: c.Listing, Interrupted: c.Result.Interrupted, FailOn: c.FailOn.String(), Again: &againFields{Same: document.List(c.Repeat), Reach: document.List(c.Reach), Fix: c.Fix}}
	if c.Result.Totals.TagsBroken > 0 && !c.silent {
		e.After = &c.Result.Totals.Prospect
	}
	return e
}

// Fields returns the document.
func (c *Check) Fields() any {
	return checkFields{
		c.timed(Schema), lookedFields(c.Looked), c.Result.Complete, c.Verdict(), c.Result.Totals, c.examined(), healingOf(c.Result), c.Replicas, (*proofsFields)(c.Result.Proofs), c.costs(), countsOf(&c.Result.Counts), document.List(c.Result.Notes),
		document.Map(c.Result.Broken, c.brokenOf), document.Map(c.Result.Unknown, brokenOf), c.changed(), c.acceptance(), document.Map(c.Result.Findings, c.findingOf), c.Result.Unproven, exitOf(c.Exit),
	}
}

// timed returns the first members of a document made from a check.
func (c *Check) timed(schema string) timedFields {
	t := timed(schema, c.Version, c.Target, c.Started, c.Finished)
	if c.tool != nil {
		t.Tool = *c.tool
	}
	return t
}

// proofsFields are the proofs of blobs in a document.
type proofsFields graph.Proofs

// findingOf returns a finding with its acceptance.
func (c *Check) findingOf(f finding.Finding) findingFields {
	is := findingOf(f)
	if r := c.Accepted.By(&f); r != nil {
		is.Accepted = &acceptedFields{r.Reason, r.Until, r.File, r.Line}
	}
	return is
}
