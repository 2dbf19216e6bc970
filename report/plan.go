package report

import (
	"iter"
	"strings"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/report/document"
	"regfsck/report/view"
)

// PlanSchema names the form of the document of a plan. It is none
// that can be applied: that is the file of plan.Schema.
const PlanSchema = "regfsck.dry-run/1"

// Plan is a plan that isn't carried out yet, with the check that it was made from.
type Plan struct {
	Check              // the scan that it was made from
	Command  string    // "fix", "rm" or "prune", or "apply" for a plan from a file
	File     string    // of apply: the file
	Policy   gc.Policy // under which it was made
	Plan     *plan.Plan
	Facts    apply.Facts     // what is known besides the scan
	Refusals []apply.Refusal // why carrying it out would be refused now

	Retention []Retained // of prune, by repository: what is kept and what is removed; nil for others

	Unfinished     string // the run that was interrupted and that the next one completes, or ""
	UnfinishedPlan string // of a removal, which no other run completes: its plan's file; else ""

	Applying bool // it is about to be carried out: the view leaves out how to do that

	Versions *backend.Description // what else there is to the store; nil where it is no more than its files

	State  string   // the directory that keeps what is removed, for an undo; "" where there is to be none
	NoUndo string   // why that directory could not keep it, which is among Refusals; "" if it can
	Apply  []string // the arguments of the command that carries it out

	saved *savedPlan // of one that was read back; else nil
}

// savedPlan is what was computed from the scan of a plan that was read back.
type savedPlan struct {
	going             plan.Totals
	shares            []apply.Share
	repairs, removals []named
}

// View is the plan for people: what is repaired, what is removed and what needs a
// decision, by name, or by key where that is asked for; what that comes to, what
// would refuse it, how it is undone, and the command that carries it out. The
// same store gives the same text, but for the times of the phases.
func (p *Plan) View(o view.Options) view.View {
	return p.text(o, func(t *planText) {
		t.title(t.Paint(view.Bold, "regfsck "+p.Command), "  ", words.Clean(p.Target))
		t.phases()
		t.store()
		t.retention()
		if o.Verbose {
			t.diff()
		} else {
			t.byName()
		}
		t.sums(o.Verbose)
		t.shares()
		t.bereft()
		t.hidden()
		t.Notes(t.Result.Notes)
		t.prospect()
		t.undo()
		if p.Applying {
			t.Gap()
			t.planned()
			return
		}
		t.unfinished()
		t.refusals()
		t.last()
		t.exit()
	})
}

// Short is what the plan comes to in one line.
func (p *Plan) Short(o view.Options) view.View {
	return p.text(o, func(t *planText) {
		t.planned()
	})
}

// planText is a Plan on its way to a printer.
type planText struct {
	*text
	p   *Plan
	all []Change
}

// text returns the view that say makes.
func (p *Plan) text(o view.Options, say func(*planText)) view.View {
	return p.Check.text(p.Command, o, func(t *text) {
		if p.File != "" { // apply would change the store
			t.Rest = "they are in " + words.Clean(p.File)
		}
		say(&planText{t, p, p.Changes()})
	})
}

// maxBereft is how many signatures without their image are named.
const maxBereft = 20

// bereft names the signatures in other repositories that are kept and whose image is removed.
func (t *planText) bereft() {
	all := t.Result.OrphanedReferrers
	if len(all) == 0 {
		return
	}
	t.Para(1, words.Plural(len(all), "signature in another repository stays, but its image is", "signatures in other repositories stay, but their images are")+" removed:")
	for _, b := range all[:min(len(all), maxBereft)] {
		t.Line(2, words.Clean(b.Ref()))
	}
	if n := len(all) - maxBereft; n > 0 {
		t.Line(2, "… and "+words.Number(n)+" more (--json names them)")
	}
}

// undo says how what is about to happen can be taken back. Where it should be
// and could not, a refusal says why.
func (t *planText) undo() {
	if len(t.p.Plan.Steps) == 0 || t.p.NoUndo != "" {
		return
	}
	t.Gap()
	if t.p.State != "" && !t.p.Plan.TakesAway() {
		if what := t.undoable(); what != "" {
			t.Prose(0, what+" regfsck undo removes what is written. The journal is in:")
			t.Line(1, words.Clean(t.p.State))
		}
		return
	}
	if t.p.Versions != nil {
		t.versions()
		return
	}
	if t.p.State == "" {
		t.Prose(0, "Not reversible (--undo none): removed files are deleted at once, and their space is free.")
		return
	}
	if what := t.undoable(); what != "" {
		t.Prose(0, what+" Removed files are moved, unchanged, to the directory below and keep using disk space until you run regfsck purge:")
		t.Line(1, words.Clean(t.p.State))
	}
}

// undoable says what no undo brings back, and returns what could be undone, as
// the beginning of a sentence; "" if there is nothing.
func (t *planText) undoable() string {
	switch aborts := t.p.Plan.Totals().Aborts; aborts {
	case 0:
		return "Reversible."
	case len(t.p.Plan.Steps):
		t.Prose(0, "Not reversible: an aborted multipart upload can't be restored. Its space is free at once.")
		return ""
	default:
		t.Prose(0, "Aborting "+words.Plural(aborts, "multipart upload", "multipart uploads")+" can't be undone.")
		return "The rest is reversible."
	}
}

// unfinished says that an earlier run was interrupted.
func (t *planText) unfinished() {
	if t.p.Unfinished != "" {
		t.Gap()
		how := "The next run completes it; regfsck undo reverts it."
		if t.p.UnfinishedPlan != "" {
			how = "This completes it, if you run it before any other change; regfsck undo reverts it:"
		}
		t.Prose(0, "Run "+words.Clean(t.p.Unfinished)+" was interrupted. "+how)
		if t.p.UnfinishedPlan != "" {
			t.Line(1, commandOf("apply", t.p.UnfinishedPlan))
		}
	}
}

// refusals says what would stop the plan from being carried out.
func (t *planText) refusals() {
	for _, r := range t.p.Refusals {
		t.Para(0, "--apply would be refused: "+words.Clean(r.Why)+". "+words.Clean(r.How))
		t.Keys(1, r.Keys)
	}
}

// planned puts the plan into a line.
func (t *planText) planned() {
	steps := len(t.p.Plan.Steps)
	if steps == 0 {
		t.Printer.Verdict(t.Paint(view.Green, "NOTHING TO DO"), t.decided())
		return
	}
	t.Printer.Verdict(t.Paint(view.Cyan, "PLAN "+t.p.Plan.ID()), ": ", words.Plural(steps, "step", "steps"), ", ", words.Size(t.p.Plan.Bytes()), " removed", t.copied(), t.decided())
}

// copied says how much is copied from sources, where anything is.
func (t *planText) copied() string {
	var bytes int64
	for i := range t.p.Plan.Steps {
		if s := &t.p.Plan.Steps[i]; s.Kind == plan.HealedBlob {
			bytes += s.Bytes
		}
	}
	if bytes == 0 {
		return ""
	}
	return ", " + words.Size(bytes) + " copied from sources"
}

// decided counts what waits for a decision.
func (t *planText) decided() string {
	n := 0
	for range t.p.Decisions() {
		n++
	}
	if n == 0 {
		return ""
	}
	return "; " + words.Plural(n, "finding needs", "findings need") + " your decision"
}

// last writes the plan's line and the commands that can be run next.
func (t *planText) last() {
	t.Gap()
	t.planned()
	var steps [][2]string
	switch {
	case len(t.p.Plan.Steps) == 0:
	case len(t.p.Refusals) > 0:
		steps = append(steps, [2]string{commandOf(t.p.Apply...), "applies this plan, once nothing refuses it"})
	default:
		steps = append(steps, [2]string{commandOf(t.p.Apply...), "applies this plan"})
	}
	if t.Cut() && t.p.File == "" {
		steps = append(steps, [2]string{t.command("--report report.json"), "writes the whole plan to a file"})
	}
	if id, ok := t.worst(); ok {
		steps = append(steps, [2]string{"regfsck explain " + id.String(), "what this means, what to do"})
	}
	t.Commands(steps)
}

// versions says what is special about undoing changes of a store that keeps versions.
func (t *planText) versions() {
	v := t.p.Versions
	switch {
	case t.p.State == "" && v.Versioned:
		t.Prose(0, "Not reversible (--undo none): the versions themselves are deleted at once, and their space is free.")
		return
	case t.p.State == "":
		t.Prose(0, "Not reversible (--undo none): removed files are deleted at once, and their space is free.")
		return
	}
	what := t.undoable()
	if what == "" {
		return
	}
	t.Prose(0, what+" "+v.Keeping+", and use space until you run regfsck purge.")
	if v.Expire {
		until := t.p.Started.UTC().AddDate(0, 0, v.Days).Format("2006-01-02")
		t.Prose(0, "A lifecycle rule of the "+t.p.Noun+" deletes these versions "+words.Plural(v.Days, "day", "days")+" after the removal: until "+until+" everything can be undone, and less after that.")
	}
	t.Prose(0, "The journal is in:")
	t.Line(1, words.Clean(t.p.State))
}

// hidden says what the store costs today besides what is listed.
func (t *planText) hidden() {
	v := t.p.Versions
	if v == nil || v.Noncurrent+v.Uploads+len(v.Notes) == 0 {
		return
	}
	t.Section(view.Bold, "ALSO IN THE "+strings.ToUpper(t.p.Noun))
	t.BareTable(1, view.Column{Name: "what", Width: 24}, view.Column{Name: "count", Width: 10, Right: true}, view.Column{Name: "size", Width: 12, Right: true})
	if v.Noncurrent > 0 {
		t.Row("noncurrent versions", words.Number(v.Noncurrent), words.Size(v.NoncurrentBytes))
		t.Prose(3, "of blobs: purge frees those of runs of regfsck; a lifecycle rule for noncurrent versions frees all")
	}
	if v.Uploads > 0 {
		t.Row("unfinished uploads", words.Number(v.Uploads), words.Size(v.UploadBytes))
		t.Prose(3, "multipart uploads: this plan aborts "+words.Number(t.aborts())+"; fix aborts those older than --uploads-older-than")
	}
	for _, n := range v.Notes {
		t.Prose(1, words.Clean("Unknown: "+n))
	}
}

// aborts is how many multipart uploads the plan gives up.
func (t *planText) aborts() (n int) {
	for i := range t.p.Plan.Steps {
		if t.p.Plan.Steps[i].Op == plan.Abort {
			n++
		}
	}
	return n
}

// describedFields are what a plan says of a store that keeps versions.
type describedFields struct {
	backend.Description
	Keeping string   `json:"keeping"`
	Expires bool     `json:"expires"` // a rule of the store's own deletes versions after expire_days
	Notes   []string `json:"notes"`
}

// planFields are the document of a plan.
type planFields struct {
	timedFields
	Command  string       `json:"command"`
	Complete bool         `json:"complete"`
	Verdict  string       `json:"verdict"`
	Plan     string       `json:"plan"`
	Totals   check.Totals `json:"totals"`
	examinedFields
	Noun        string                             `json:"kind_of_store,omitempty"`
	Plans       planPolicyFields                   `json:"policy"`
	File        string                             `json:"file,omitempty"` // of apply
	Repairs     []named                            `json:"repairs"`        // by the names of tags and repositories
	Removals    []named                            `json:"removals"`       // likewise, the largest first
	Shares      []apply.Share                      `json:"shares,omitempty"`
	Healing     *healingFields                     `json:"healing,omitempty"` // where sources were asked
	Going       plan.Totals                        `json:"going"`
	LostImages  lostFields                         `json:"lost_images"`
	Away        iter.Seq[awayFields]               `json:"not_returning,omitzero"` // of tag-from-source: what was to be restored and can't be
	Tags        iter.Seq[retainedFields]           `json:"tags,omitzero"`
	Sums        iter.Seq[sumFields]                `json:"sums"`
	Counts      iter.Seq2[string, finding.Count]   `json:"counts"`
	Notes       []string                           `json:"notes"`
	Cost        costFields                         `json:"cost"`
	Described   iter.Seq2[string, describedFields] `json:",inline"` // under the name of such a store
	Bereft      iter.Seq[bereftFields]             `json:"bereft_signatures"`
	Refusals    iter.Seq[apply.Refusal]            `json:"refusals"`
	Unfinished  string                             `json:"unfinished_run"`
	Completes   string                             `json:"unfinished_plan,omitempty"` // the plan that completes that run, of a removal
	Undo        undoFields                         `json:"undo"`
	Decisions   iter.Seq[findingFields]            `json:"decisions"`
	BrokenTags  iter.Seq[brokenFields]             `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields]             `json:"unknown_tags"`
	Findings    iter.Seq[findingFields]            `json:"findings"` // of the check that the plan was made from
	Steps       iter.Seq[*plan.Step]               `json:"steps"`
	Exit        exitFields                         `json:"exit"`
}

// Fields is the plan for machines. The steps are those of a plan file, in its form
// and order.
func (p *Plan) Fields() any {
	undo := p.State != "" && p.NoUndo == ""
	d := planFields{
		timedFields: p.timed(PlanSchema), Command: p.Command, Complete: p.Result.Complete, Verdict: p.Verdict(), Plan: p.Plan.ID(),
		Totals: p.Result.Totals, examinedFields: p.examined(), Noun: p.Noun, Plans: planPolicyFields{p.Policy.Removal != nil, kindNames(&p.Policy.Also), kindNames(&p.Policy.Skip)}, File: p.File,
		Repairs: document.List(p.repairs()), Removals: document.List(p.removals()), Shares: p.shares(),
		Healing: healingOf(p.Result), Going: p.going(), LostImages: lostOf(p.Result), Completes: p.UnfinishedPlan,
		Sums:   p.sumFields(),
		Counts: countsOf(&p.Result.Counts), Notes: document.List(p.Result.Notes), Cost: p.costs(),
		Bereft: document.Each(p.Result.OrphanedReferrers, func(b *check.OrphanedReferrer) bereftFields {
			return bereftFields{b.Ref(), b.Repository, b.Tag, b.Subject.String()}
		}),
		Refusals: document.Each(p.Refusals, func(r *apply.Refusal) apply.Refusal {
			return apply.Refusal{Why: r.Why, How: r.How, Keys: document.List(r.Keys)}
		}),
		Unfinished: p.Unfinished, Undo: undoFields{undo, p.State, undo && p.Plan.Totals().Aborts == 0, p.NoUndo},
		Decisions: document.Map(p.Decisions(), findingOf), BrokenTags: document.Map(p.Result.Broken, brokenOf), UnknownTags: document.Map(p.Result.Unknown, brokenOf), Findings: document.Map(p.Result.Findings, findingOf),
		Steps: document.Each(p.Plan.Steps, func(s *plan.Step) *plan.Step { return s }), Exit: exitOf(p.Exit),
	}
	d.Again.Apply = p.Apply
	if p.Policy.Cures(finding.TagFromSource) {
		d.Away = document.Map(notReturning(p.Result), awayOf)
	}
	if p.Retention != nil {
		d.Tags = document.Each(p.Retention, retainedOf)
	}
	if p.Versions != nil {
		d.Described = func(yield func(string, describedFields) bool) {
			yield(p.Noun, describedFields{*p.Versions, p.Versions.Keeping, p.Versions.Expire, document.List(p.Versions.Notes)})
		}
	}
	return d
}

// planPolicyFields are what a plan is about.
type planPolicyFields struct {
	Removal bool     `json:"removal"` // only of what was named, or of what a retention policy selects
	Also    []string `json:"also"`    // findings that are cured on request, and were asked for
	Skip    []string `json:"skip"`    // findings that nothing is done about
}

func kindNames(set *[finding.NumKinds]bool) []string {
	all := []string{}
	for id := range finding.Kinds {
		if set[id] {
			all = append(all, id.String())
		}
	}
	return all
}

// going is how much the plan removes.
func (p *Plan) going() plan.Totals {
	if p.saved != nil {
		return p.saved.going
	}
	return apply.RemovalTotals(p.Plan, p.Facts)
}

// shares are how much of the store that is.
func (p *Plan) shares() []apply.Share {
	if p.saved != nil {
		return p.saved.shares
	}
	return apply.Shares(p.Result, p.Plan, p.Facts)
}

func (p *Plan) sumFields() iter.Seq[sumFields] {
	return document.Map(sumsOf(p.Changes()), func(s sum) sumFields { return sumFields{s.sign, s.id.String(), s.count, s.bytes} })
}

// sumFields counts the things of the diff that have a sign: "+" is written, "-" is
// removed, "!" needs a decision.
type sumFields struct {
	Sign    string `json:"sign"`
	Finding string `json:"finding"`
	Count   int    `json:"count"`
	Bytes   int64  `json:"bytes"`
}

// lostFields counts the whole images among the garbage.
type lostFields struct {
	Count   int  `json:"count"`
	AtLeast bool `json:"at_least"` // not every orphan was read

	Left []leftLostFields `json:"left"` // that were to be restored and can't be
}

// leftLostFields is why a lost image can't be restored.
type leftLostFields struct {
	Digest     string `json:"digest"`
	Repository string `json:"repository"` // that has a witness of it; "" where none has
	Reason     string `json:"reason"`
}

// awayFields is why a tag of a source, or a manifest without a tag, can't be restored.
type awayFields struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"` // "" of a manifest without one
	Digest     string `json:"digest"`
	Reason     string `json:"reason"`
}

func awayOf(f finding.Finding) awayFields {
	return awayFields{f.Repository, f.Tag, f.Digest, f.Detail}
}

func lostOf(r *check.Result) lostFields {
	lost := lostFields{Count: r.Totals.LostImages, AtLeast: r.Totals.MoreLost, Left: []leftLostFields{}}
	for _, f := range lostForGood(r) {
		lost.Left = append(lost.Left, leftLostFields{f.Digest, f.Repository, f.Detail})
	}
	return lost
}

// bereftFields is a signature that is kept and whose image is removed.
type bereftFields struct {
	Ref        string `json:"ref"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Subject    string `json:"subject"`
}

type undoFields struct {
	Possible bool   `json:"possible"`
	State    string `json:"state"` // the directory that keeps what is removed
	Whole    bool   `json:"whole"` // an undo restores all; it can't restore aborted multipart uploads
	Why      string `json:"why_not,omitempty"`
}
