package report

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// Schema names the form of the document of a check. Fields may
// be added to a schema; none changes its meaning.
const Schema = "regfsck.check/1"

// Check is the result of one check of a store, with what its report says besides.
type Check struct {
	Version  string   // of the tool
	Target   string   // the store, without credentials
	Noun     string   // what people call such a store: see backend.Traits
	Repeat   []string // STORE and the flags that decide what is found, for commands to run next
	Reach    []string // the flags by which STORE is reached, for commands that find something else
	Fix      []string // the same as Repeat, as fix takes them
	Started  time.Time
	Finished time.Time

	Result   *check.Result
	Phases   []graph.Phase // in the order in which they ran
	Cost     backend.Cost
	Requests bool // requests cost money: the report says how many there were

	Objects     int64 // files or objects that the listings named; 0 when not counted
	LinksRead   int64 // links whose content was read; 0 when not counted
	LinksByETag int64 // links that the listing itself proved
	Looked      Looked

	Since *Past // an earlier report, with which it is compared; nil for none

	Accepted *accept.Set // the findings that are accepted, after its Tally; nil for none

	Replicas []replica.Comparison // how the tags differ from those of the sources that were named

	ManifestsCached int64 // manifests that were read before, and that the listing proved to be the same still

	FailOn finding.Severity // the mildest findings that raise DamageLeft; finding.Fatal: none
	Exit   exitcode.Code    // what the process will say

	tool   *toolFields // of a report that was read back: what wrote it
	silent bool        // likewise: an earlier version wrote it, which didn't say what a fix does for broken tags
}

// Verdict returns "clean" or "damaged". It is about what could be read; ask
// Result.Complete whether that was everything.
func (c *Check) Verdict() string {
	if c.Result.Damaged() {
		return "damaged"
	}
	return "clean"
}

// Usage returns which repository uses how much; nil where that was not asked for.
func (c *Check) Usage() *usage.Usage {
	if c.Result.Marks == nil || c.Result.Policy.Removal != nil { // what a removal leaves is no picture of the store
		return nil
	}
	return usage.Of(c.Result.Marks, c.Result.Broken)
}

// View is the report for people. What a cut list leaves out is
// counted, with the command that shows it.
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

// Short is the one line that matters most.
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

// requests says what the store was asked, which is what it costs.
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

// requests puts what the store was asked into words.
func requests(c *backend.Cost) string {
	line := words.Number(c.List) + " list, " + words.Number(c.Get) + " get"
	if c.Put+c.Delete > 0 {
		return line + ", " + words.Number(c.Head) + " head, " + words.Number(c.Put) + " put and " + words.Number(c.Delete) + " delete requests"
	}
	return line + " and " + words.Number(c.Head) + " head requests"
}

func (t *text) store() {
	n := &t.Result.Totals
	t.Lead(1, words.Plural(n.Repositories, "repository", "repositories")+", "+
		words.Plural(n.Tags, "tag", "tags")+", "+
		words.Plural(n.Revisions, "manifest", "manifests")+", "+
		words.Plural(n.Blobs, "blob", "blobs")+" of "+words.Size(n.Bytes))
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

// unproven names the blobs that nothing proves, where all were to be proven.
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

// proofsLine sums up which blobs are proven.
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

// amount puts a number of blobs into words.
func amount(a graph.Amount) string {
	return words.Plural(a.Blobs, "blob", "blobs") + " of " + words.Size(a.Bytes)
}

// tags answers the first question after a disaster: what can't be pulled?
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

// since writes what has changed since an earlier report.
func (t *text) since() {
	if t.Since == nil {
		return
	}
	c := t.Comparison()
	t.Heading(view.Bold, "SINCE "+words.Clean(c.Old.Finished))
	c.changesTo(t)
	t.Lead(0, c.sum(t.Printer)...)
}

// Unjudged is why it is unknown whether a tag can be pulled.
const Unjudged = "Something they need is unreadable, in an unknown format, or changed during the check."

// none says that there are no tags, or that none could be read.
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
		return "All " + words.Number(n) + " tags " + which + "can be pulled"
	}
}

// brokenTags names all of the tags, a line each with what helps and what is found.
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

// Because returns the kinds of findings that break a tag, each once, and "accepted" where
// all of them are.
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

// helps says in a few words what helps a tag that can't be pulled.
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

// brokenTag names a tag with its reasons, on a terminal with the first of them.
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

// Short cuts digests in a path to twelve digits.
func Short(path string) string {
	return longHex.ReplaceAllString(strings.TrimPrefix(path, "docker/registry/v2/"), "$1…")
}

// verdict writes the line that matters most. CLEAN is said only of a store that
// was read to the end, and of whose tags all could be judged.
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
	t.Printer.Verdict(t.Paint(st, word), ": ", t.summary())
}

// summary puts the whole result into one line.
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
	if of[finding.Fatal].Count > 0 {
		parts = append(parts, words.Plural(of[finding.Fatal].Count, "entry", "entries")+" could not be read")
	}
	if of[finding.Error].Count > 0 {
		parts = append(parts, words.Plural(of[finding.Error].Count, "error", "errors"))
	}
	if of[finding.Warning].Count > 0 {
		parts = append(parts, words.Plural(of[finding.Warning].Count, "warning", "warnings"))
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

// broken says how many tags can't be pulled, those of them too that are accepted.
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

// bySeverity sums up the counts of what isn't accepted.
func (t *text) bySeverity() (of [finding.Garbage + 1]finding.Count) {
	for id := range finding.Kinds {
		of[id.Severity()] = add(of[id.Severity()], t.Left(id))
	}
	return of
}

// next names the commands that can be run next.
func (t *text) next() {
	var steps [][2]string
	if id, ok := t.worst(); ok {
		steps = append(steps, [2]string{"regfsck explain " + id.String(), "what this means, what to do"})
	}
	if t.Result.Complete && t.curable() {
		steps = append(steps, [2]string{commandOf(append([]string{"fix"}, t.Fix...)...), "shows the plan to repair and clean up; changes nothing"})
	}
	switch {
	case t.Result.Stopped() && t.Result.Proofs != nil:
		steps = append(steps, [2]string{t.command(), "goes on where this was interrupted"})
	case t.Result.Stopped():
		steps = append(steps, [2]string{t.command(), "hashes all of them, from the beginning (with --ledger FILE it would go on)"})
	case !t.Result.Complete:
		steps = append(steps, [2]string{t.command(), "run it again once everything is readable"})
	}
	if t.Cut() {
		steps = append(steps, [2]string{t.command("--report regfsck.json"), "writes all findings to a file"})
	}
	if exitcode.Unproven(t.Result) && !t.Looked.Verify.Missing {
		steps = append(steps, [2]string{t.command("--verify missing"), "hashes what nothing proves"})
	}
	if t.Result.Proofs == nil && !t.Looked.Verify.All && t.Result.Complete && !t.Result.Damaged() {
		steps = append(steps, [2]string{t.command("--verify all"), "checks the bytes of every blob too"})
	}
	t.Commands(steps)
}

// curable reports whether a fix could do anything.
func (t *text) curable() bool {
	for f := range t.Result.Findings {
		if f.Cure != finding.CureNone && !f.InGrace {
			return true
		}
	}
	return false
}

// worst returns the first id that is worth an explanation.
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

// checkFields are the document of a check.
type checkFields struct {
	timedFields
	Looked   lookedFields `json:"looked"`
	Complete bool         `json:"complete"`
	Verdict  string       `json:"verdict"`
	Totals   check.Totals `json:"totals"`
	examinedFields
	Healing     *healingFields                   `json:"healing,omitempty"`  // where sources were asked
	Replicas    []replica.Comparison             `json:"replicas,omitempty"` // of each source that was named
	Proofs      *proofsFields                    `json:"proofs,omitempty"`   // where a ledger was given
	Cost        costFields                       `json:"cost"`
	Counts      iter.Seq2[string, finding.Count] `json:"counts"`
	Notes       []string                         `json:"notes"`
	BrokenTags  iter.Seq[brokenFields]           `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields]           `json:"unknown_tags"`
	Since       *changedFields                   `json:"since,omitempty"`    // where an earlier report was given
	Accepted    *acceptanceFields                `json:"accepted,omitempty"` // where --accept was given
	Findings    iter.Seq[findingFields]          `json:"findings"`
	Unproven    iter.Seq[graph.Blob]             `json:"unproven,omitempty"` // blobs that nothing proves, where all were to be proven
	Exit        exitFields                       `json:"exit"`
}

// examinedFields are what else an answer for people says of a check, so that it can be
// made again of the document.
type examinedFields struct {
	Cache       bool            `json:"pull_through_cache,omitempty"`
	Interrupted bool            `json:"interrupted,omitempty"` // while it hashed blobs
	After       *check.Prospect `json:"after_fix,omitempty"`   // what becomes of the tags that can't be pulled
	FailOn      string          `json:"fail_on,omitempty"`
	Again       *againFields    `json:"again,omitempty"`
}

// againFields are the arguments of commands that see the same store in the same way.
type againFields struct {
	Same  []string `json:"same"`            // of the same command
	Reach []string `json:"reach"`           // the flags by which the store is reached
	Fix   []string `json:"fix,omitempty"`   // of fix
	Apply []string `json:"apply,omitempty"` // the command that carries a plan out
}

func (c *Check) examined() examinedFields {
	e := examinedFields{Cache: c.Result.Cache, Interrupted: c.Result.Stopped(), FailOn: c.FailOn.String(), Again: &againFields{Same: document.List(c.Repeat), Reach: document.List(c.Reach), Fix: c.Fix}}
	if c.Result.Totals.TagsBroken > 0 && !c.silent {
		e.After = &c.Result.Totals.Prospect
	}
	return e
}

// Fields is the report for machines.
func (c *Check) Fields() any {
	return checkFields{
		c.timed(Schema), c.Looked.fields(), c.Result.Complete, c.Verdict(), c.Result.Totals, c.examined(), healingOf(c.Result), c.Replicas, (*proofsFields)(c.Result.Proofs), c.costs(), countsOf(&c.Result.Counts), document.List(c.Result.Notes),
		document.Map(c.Result.Broken, c.brokenOf), document.Map(c.Result.Unknown, brokenOf), c.changed(), c.acceptance(), document.Map(c.Result.Findings, c.findingOf), c.Result.Unproven, exitOf(c.Exit),
	}
}

// timed are the members with which every document begins that is made from a check.
func (c *Check) timed(schema string) timedFields {
	t := timed(schema, c.Version, c.Target, c.Started, c.Finished)
	if c.tool != nil {
		t.Tool = *c.tool
	}
	return t
}

// proofsFields are graph.Proofs in JSON.
type proofsFields struct {
	Hashed    graph.Amount `json:"hashed"`           // by this run
	Known     graph.Amount `json:"hashed_before"`    // by earlier runs, and the same since
	Manifests graph.Amount `json:"manifests"`        // read as manifests
	Wrong     graph.Amount `json:"corrupt"`          // hashed by this run
	Unproven  graph.Amount `json:"not_hashed"`       // all others
	All       bool         `json:"all_to_be_proven"` // the answer is incomplete while any is not hashed
}

// Left counts the findings of a kind that aren't accepted.
func (c *Check) Left(id finding.Kind) finding.Count { return c.Accepted.Left(id, c.Result.Counts[id]) }

// findingOf is findingOf with what accepts it.
func (c *Check) findingOf(f finding.Finding) findingFields {
	is := findingOf(f)
	if r := c.Accepted.By(&f); r != nil {
		is.Accepted = &acceptedFields{r.Reason, r.Until, r.File, r.Line}
	}
	return is
}

func (c *Check) brokenOf(b finding.BrokenTag) brokenFields {
	is := brokenOf(b)
	is.Accepted = c.Accepted.Knows(&b)
	return is
}

// acceptanceFields are what --accept came to.
type acceptanceFields struct {
	Findings int           `json:"findings"` // that are accepted
	Bytes    int64         `json:"bytes"`
	Tags     int           `json:"tags_broken"` // of those of the totals: broken by nothing that isn't accepted
	Entries  []entryFields `json:"entries"`
}

type entryFields struct {
	accept.Entry
	File     string `json:"file"`
	Line     int    `json:"line"`
	State    string `json:"state"`    // applies, expired, too-many-tags, not-looked-for, or unmatched
	Named    int    `json:"named"`    // findings that it is about
	Accepted int    `json:"accepted"` // findings that are accepted by it
}

func (c *Check) acceptance() *acceptanceFields {
	if c.Accepted == nil {
		return nil
	}
	sum := c.Accepted.Sum()
	a := &acceptanceFields{sum.Count, sum.Bytes, c.Accepted.TagsBroken, []entryFields{}}
	for r := range c.Accepted.Each() {
		a.Entries = append(a.Entries, entryFields{r.Entry, r.File, r.Line, string(c.StateOf(r)), r.Named, r.Accepted})
	}
	return a
}

// RuleState says what became of a rule in a check.
type RuleState string

const (
	ruleApplies   RuleState = "applies"
	ruleExpired   RuleState = "expired"
	ruleTooMany   RuleState = "too-many-tags"  // something that it is about keeps more tags from being pulled than it allows
	ruleUnsought  RuleState = "not-looked-for" // nothing is found, and not all such things were looked for
	ruleUnmatched RuleState = "unmatched"      // nothing is found
)

// RuleStates are all of them, those last that want no attention.
var RuleStates = []RuleState{ruleExpired, ruleTooMany, ruleUnmatched, ruleUnsought, ruleApplies}

func (c *Check) StateOf(r *accept.Rule) RuleState {
	looked := c.Looked.fields()
	switch {
	case r.Expired:
		return ruleExpired
	case r.TooMany > 0:
		return ruleTooMany
	case r.Named > 0:
		return ruleApplies
	case !c.Result.Complete || !looked.covers(nil, r.ID):
		return ruleUnsought
	}
	return ruleUnmatched
}

// Fate says in a clause what became of a rule that doesn't simply apply.
func (c *Check) Fate(r *accept.Rule) string {
	switch c.StateOf(r) {
	case ruleExpired:
		names := "matches nothing"
		if r.Named > 0 {
			names = "names " + words.Plural(r.Named, "finding", "findings")
		}
		return "expired: its last day was " + r.Until + "; it " + names
	case ruleTooMany:
		return words.Plural(r.TooMany, "finding breaks", "findings break") + " more tags than it allows (" + words.Number(r.Tags) + "); tags: " + strconv.Itoa(r.MaxTags) + " would accept that"
	case ruleUnmatched:
		return "matches nothing; take it out"
	case ruleUnsought:
		return "matches nothing, but this check did not look for all such things"
	}
	return ""
}
