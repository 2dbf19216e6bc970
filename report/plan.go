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
	"regfsck/report/changes"
	"regfsck/report/document"
	"regfsck/report/view"
)

// PlanSchema is the name and version of the document of a plan. It can't be applied; the file
// of plan.Schema can.
const PlanSchema = "regfsck.dry-run/1"

// Plan is a plan that isn't carried out, with its check.
type Plan struct {
	Check              // the check of the plan
	Command  string    // "fix", "rm" or "prune", or "apply" for a plan from a file
	File     string    // of apply: the file
	Policy   gc.Policy // of the plan
	Plan     *plan.Plan
	Facts    apply.Facts     // known besides the scan
	Refusals []apply.Refusal // why carrying it out would be refused

	Retention []Retained // of prune, by repository: all decisions; nil for others

	Unfinished     string // an interrupted run that the next one completes, or ""
	UnfinishedPlan string // the plan file of that run if it was a removal, which no other plan completes; else ""

	Applying bool // it will be carried out now: the view doesn't suggest that

	Versions *backend.Description // facts of the store besides its files; nil for none

	State  string   // the directory with the quarantine; "" without undo
	NoUndo string   // why there can be no undo, which is among Refusals; "" if it can
	Apply  []string // the arguments of the command that applies it

	saved *savedPlan // of a saved report; else nil
}

// savedPlan is what a saved report has in place of the scan.
type savedPlan struct {
	going             plan.Totals
	shares            []apply.Share
	repairs, removals []changes.Named
}

// View returns the plan: repairs, removals and decisions by name, or by key if requested; the
// totals, refusals, how to undo it, and the command that applies it. The same store gives the
// same text, except for durations.
func (p *Plan) View(o view.Options) view.View {
	return p.text(o, func(t *planText) {
		t.title(t.Paint(view.Bold, "regfsck "+p.Command), "  ", words.Clean(p.Target))
		t.phases()
		t.store()
		t.retention()
		t.changes()
		t.sums()
		t.shares()
		t.orphanedSignatures()
		t.hidden()
		t.Notes(t.Result.Notes)
		t.prospect()
		t.undo()
		if p.Applying {
			t.applying()
			return
		}
		t.unfinished()
		t.refusals()
		t.last()
		t.exit()
	})
}

// Short returns the plan in one line.
func (p *Plan) Short(o view.Options) view.View { return p.text(o, (*planText).planned) }

// planText writes a Plan.
type planText struct {
	*text
	p   *Plan
	all []changes.Change
}

// text returns the view that say writes.
func (p *Plan) text(o view.Options, say func(*planText)) view.View {
	return p.Check.text(p.Command, o, func(t *text) {
		if p.File != "" { // apply would change the store
			t.Rest = "they are in " + words.Clean(p.File)
		}
		say(&planText{t, p, p.Changes()})
	})
}

// maxOrphanedSignatures is the most orphaned signatures listed.
const maxOrphanedSignatures = 20

// orphanedSignatures lists the kept signatures in other repositories whose image is removed.
func (t *planText) orphanedSignatures() {
	all := t.Result.OrphanedReferrers
	if len(all) == 0 {
		return
	}
	t.Para(1, words.Plural(len(all), "signature in another repository is kept, but its image is", "signatures in other repositories are kept, but their images are")+" removed:")
	for _, b := range all[:min(len(all), maxOrphanedSignatures)] {
		t.Line(2, words.Clean(b.Ref()))
	}
	if n := len(all) - maxOrphanedSignatures; n > 0 {
		t.Line(2, "… and "+words.Number(n)+" more (--json names them)")
	}
}

// undo writes how the change can be undone. If it should be undoable and isn't, a refusal has
// the reason.
func (t *planText) undo() {
	if len(t.p.Plan.Steps) == 0 || t.p.NoUndo != "" {
		return
	}
	t.Gap()
	v := t.p.Versions
	switch {
	case t.p.State == "" && v != nil && v.Versioned:
		t.Prose(0, "Not reversible (--undo none): the versions themselves are deleted at once, and their space is free.")
		return
	case t.p.State == "":
		t.Prose(0, "Not reversible (--undo none): removed files are deleted at once, and their space is free.")
		return
	}
	what := t.undoable()
	switch {
	case what == "":
		return
	case !t.p.Plan.TakesAway():
		t.Prose(0, what+" regfsck undo removes what is written. The journal is in:")
	case v == nil:
		t.Prose(0, what+" Removed files are moved, unchanged, to the directory below and keep using disk space until you run regfsck purge:")
	default:
		t.Prose(0, what+" "+v.Keeping+", and use space until you run regfsck purge.")
		if v.Expire {
			until := t.p.Started.UTC().AddDate(0, 0, v.Days).Format("2006-01-02")
			t.Prose(0, "A lifecycle rule of the "+t.p.Noun+" deletes these versions "+words.Plural(v.Days, "day", "days")+" after the removal: until "+until+" everything can be undone, and less after that.")
		}
		t.Prose(0, "The journal is in:")
	}
	t.Line(1, words.Clean(t.p.State))
}

// undoable writes what can't be undone, and returns what can, as the beginning of a sentence;
// "" for nothing.
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

// unfinished writes that an earlier run was interrupted.
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

// refusals writes why the plan would be refused.
func (t *planText) refusals() {
	for _, r := range t.p.Refusals {
		t.Para(0, "--apply would be refused: "+words.Clean(r.Why)+". "+words.Clean(r.How))
		t.Keys(1, r.Keys)
	}
}

// planned writes the plan in one line.
func (t *planText) planned() {
	steps := len(t.p.Plan.Steps)
	if steps == 0 {
		t.Printer.Verdict(t.Paint(view.Green, "NOTHING TO DO"), t.decided())
		return
	}
	t.Printer.Verdict(t.Paint(view.Cyan, "PLAN "+t.p.Plan.ID()), ": ", words.Plural(steps, "step", "steps"), ", ", words.Size(t.p.Plan.Bytes()), " removed", t.copied(), t.decided())
}

// applying writes the line of a plan that is carried out now. The run says that there was
// nothing to do.
func (t *planText) applying() {
	if len(t.p.Plan.Steps) > 0 {
		t.Gap()
		t.planned()
	} else if decisions := t.decided(); decisions != "" {
		t.Lead(0, strings.TrimPrefix(decisions, "; "))
	}
}

// copied returns how much is copied from sources, "" for nothing.
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

// decided returns the number of pending decisions.
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

// last writes the line of the plan and suggested commands.
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

// hidden writes what the store keeps besides what is listed.
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
		t.Prose(3, "multipart uploads: this plan aborts "+words.Number(t.p.Plan.Totals().Aborts)+"; fix aborts those older than --uploads-older-than")
	}
	for _, n := range v.Notes {
		t.Prose(1, words.Clean("Unknown: "+n))
	}
}

// describedFields are the facts of a store with versions.
type describedFields backend.Description

// planFields is the document of a plan.
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
	Repairs     []changes.Named                    `json:"repairs"`        // by tag and repository
	Removals    []changes.Named                    `json:"removals"`       // likewise, largest first
	Shares      []apply.Share                      `json:"shares,omitempty"`
	Healing     *healingFields                     `json:"healing,omitempty"` // if sources were asked
	Going       plan.Totals                        `json:"going"`
	LostImages  lostFields                         `json:"lost_images"`
	Away        iter.Seq[awayFields]               `json:"not_returning,omitzero"` // of tag-from-source: what can't be copied
	Tags        iter.Seq[retainedFields]           `json:"tags,omitzero"`
	Sums        iter.Seq[sumFields]                `json:"sums"`
	Counts      iter.Seq2[string, finding.Count]   `json:"counts"`
	Notes       []string                           `json:"notes"`
	Cost        costFields                         `json:"cost"`
	Described   iter.Seq2[string, describedFields] `json:",inline"` // under the name of the kind of store
	Bereft      iter.Seq[bereftFields]             `json:"bereft_signatures"`
	Refusals    iter.Seq[apply.Refusal]            `json:"refusals"`
	Unfinished  string                             `json:"unfinished_run"`
	Completes   string                             `json:"unfinished_plan,omitempty"` // the plan that completes an interrupted removal
	Undo        undoFields                         `json:"undo"`
	Decisions   iter.Seq[findingFields]            `json:"decisions"`
	BrokenTags  iter.Seq[brokenFields]             `json:"broken_tags"`
	UnknownTags iter.Seq[brokenFields]             `json:"unknown_tags"`
	Findings    iter.Seq[findingFields]            `json:"findings"` // of the plan's check
	Steps       iter.Seq[*plan.Step]               `json:"steps"`
	Exit        exitFields                         `json:"exit"`
}

// Fields returns the document. The steps are as in a plan file.
func (p *Plan) Fields() any {
	undo := p.State != "" && p.NoUndo == ""
	d := planFields{
		timedFields: p.timed(PlanSchema), Command: p.Command, Complete: p.Result.Complete && p.Result.Totals.TagsUnknown == 0, Verdict: p.Verdict(), Plan: p.Plan.ID(),
		Totals: p.Result.Totals, examinedFields: p.examined(), Noun: p.Noun, Plans: planPolicyFields{p.Policy.Removal != nil, p.Policy.Also.Names(), p.Policy.Skip.Names()}, File: p.File,
		Repairs: document.List(p.repairs()), Removals: document.List(p.removals()), Shares: p.shares(),
		Healing: healingOf(p.Result), Going: p.removed(), LostImages: lostOf(p.Result), Completes: p.UnfinishedPlan,
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
		d.Away = document.Map(changes.Uncured(p.Result, finding.TagFromSource), func(f finding.Finding) awayFields {
			return awayFields{f.Repository, f.Tag, f.Digest, f.Detail}
		})
	}
	if p.Retention != nil {
		d.Tags = document.Each(p.Retention, retainedOf)
	}
	if p.Versions != nil {
		d.Described = func(yield func(string, describedFields) bool) {
			is := describedFields(*p.Versions)
			is.Notes = document.List(is.Notes)
			yield(p.Noun, is)
		}
	}
	return d
}

// planPolicyFields is the policy of a plan.
type planPolicyFields struct {
	Removal bool     `json:"removal"` // only what was requested, or what a retention policy selects
	Also    []string `json:"also"`    // findings that are cured on request
	Skip    []string `json:"skip"`    // findings that are not fixed
}

// listed returns the plan for a list of its changes.
func (p *Plan) listed() *changes.Of {
	return &changes.Of{Result: p.Result, Policy: p.Policy, Plan: p.Plan, Retention: p.Retention != nil}
}

// Changes returns the lines of the diff: see changes.Of.
func (p *Plan) Changes() []changes.Change { return p.listed().Changes() }

// Decisions returns the findings whose cure needs a request: see changes.Of.
func (p *Plan) Decisions() iter.Seq[finding.Finding] { return p.listed().Decisions() }

// repairs returns what the plan repairs, by name.
func (p *Plan) repairs() []changes.Named {
	if p.saved != nil {
		return p.saved.repairs
	}
	return p.listed().Repairs()
}

// removals returns what it removes, by name.
func (p *Plan) removals() []changes.Named {
	if p.saved != nil {
		return p.saved.removals
	}
	return p.listed().Removals()
}

// removed returns the totals of what the plan removes.
func (p *Plan) removed() plan.Totals {
	if p.saved != nil {
		return p.saved.going
	}
	return apply.RemovalTotals(p.Plan, p.Facts)
}

// shares returns its shares of the store.
func (p *Plan) shares() []apply.Share {
	if p.saved != nil {
		return p.saved.shares
	}
	return apply.Shares(p.Result, p.Plan, p.Facts)
}

func (p *Plan) sumFields() iter.Seq[sumFields] {
	return document.Map(changes.Sums(p.Changes()), func(s changes.Sum) sumFields { return sumFields(s) })
}

// sumFields counts the lines of the diff: "+" is written, "-" is removed, "!" needs a
// decision.
type sumFields changes.Sum

// lostFields counts the complete images among the garbage.
type lostFields struct {
	Count   int  `json:"count"`
	AtLeast bool `json:"at_least"` // not every orphan was read

	Left []leftLostFields `json:"left"` // those that can't be restored
}

// leftLostFields is why a lost image can't be restored.
type leftLostFields struct {
	Digest     string `json:"digest"`
	Repository string `json:"repository"` // that has evidence of it; "" for none
	Reason     string `json:"reason"`
}

// awayFields is why a tag or untagged manifest of a source can't be copied.
type awayFields struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"` // "" of an untagged manifest
	Digest     string `json:"digest"`
	Reason     string `json:"reason"`
}

func lostOf(r *check.Result) lostFields {
	lost := lostFields{Count: r.Totals.LostImages, AtLeast: r.Totals.MoreLost, Left: []leftLostFields{}}
	for f := range changes.Uncured(r, finding.ManifestLost) {
		lost.Left = append(lost.Left, leftLostFields{f.Digest, f.Repository, f.Detail})
	}
	return lost
}

// bereftFields is a kept signature whose image is removed.
type bereftFields struct {
	Ref        string `json:"ref"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Subject    string `json:"subject"`
}

type undoFields struct {
	Possible bool   `json:"possible"`
	State    string `json:"state"` // with the quarantine
	Whole    bool   `json:"whole"` // an undo restores everything; aborted multipart uploads can't be restored
	Why      string `json:"why_not,omitempty"`
}
