package report

import (
	"io"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// Run is all there is to say about a run that changed a store, or took back
// what another had changed.
type Run struct {
	Version  string
	Command  string // "fix", "apply" or "undo"
	Target   string
	Store    []string // STORE and the flags by which undo and purge find the run
	Started  time.Time
	Finished time.Time
	Outcome  *apply.Outcome

	State      string // the folder of the journal and of what is kept
	Configured bool   // the registry's configuration is known
	Bucket     bool   // the store is in a bucket: what is kept are versions, and its requests are told
	Cost       backend.Cost
	Redis      string // the address of the Redis that remembers blobs, "" for none

	Exit Exit
}

// ExitOfRun returns the code of a run that was to carry out the plan of a
// result. DamageLeft is what a check would say now; finding.Fatal as failOn leaves it
// out.
func ExitOfRun(r *graph.Result, p *plan.Plan, o *apply.Outcome, failOn finding.Severity) Exit {
	e := ExitOfUndo(o)
	if o.Repaired() {
		e |= Repaired
	}
	if failOn >= finding.Error && damageLeft(r, p, o) {
		e |= DamageLeft
	}
	if !r.Complete {
		e |= Incomplete
	}
	return e
}

// ExitOfUndo returns the code of a run that repairs nothing.
func ExitOfUndo(o *apply.Outcome) (e Exit) {
	if len(o.NotDone) > 0 || len(o.RemovedLater)+len(o.RemovedElsewhere) > 0 || o.Damage != "" {
		e |= Incomplete
	}
	if o.Interrupted {
		e |= Cancelled
	}
	return e
}

// changeOf is what a step does: the kind of finding that it is for, and the key.
type changeOf struct {
	kind finding.Kind
	key  string
}

// damageLeft reports whether something broken was not put right by the run.
func damageLeft(r *graph.Result, p *plan.Plan, o *apply.Outcome) bool {
	if o.Interrupted {
		return r.Damaged()
	}
	done := map[changeOf]bool{}
	for i := range p.Steps {
		done[changeOf{p.Steps[i].Finding, p.Steps[i].Key}] = true
	}
	for i := range o.NotDone {
		delete(done, changeOf{o.NotDone[i].Step.Finding, o.NotDone[i].Step.Key})
	}
	went := taken(p, o)
	withdrawn := !slices.ContainsFunc(o.NotDone, func(l apply.NotDone) bool { return l.Step.Finding.Withdraws() })
	for f := range r.Findings {
		if f.Kind.Severity() >= finding.Garbage {
			break
		}
		if f.Kind.Severity() != finding.Error && f.AffectsCount == 0 {
			continue
		}
		if !cured(&f, done) && !wentWith(&f, went) && !(f.Withdrawn && withdrawn) {
			return true
		}
	}
	return false
}

// taken are the keys and the tags ("repo:tag") that a run for a removal took
// away; none of another run.
func taken(p *plan.Plan, o *apply.Outcome) map[string]bool {
	keys := map[string]bool{}
	if !slices.ContainsFunc(p.Steps, isAsked) {
		return keys
	}
	mark := func(s *plan.Step, is bool) {
		keys[s.Key] = is
		if s.Kind.IsTag() {
			keys[s.Repository+":"+s.Tag] = is
		}
	}
	for i := range p.Steps {
		mark(&p.Steps[i], true)
	}
	for i := range o.NotDone {
		mark(&o.NotDone[i].Step, false)
	}
	return keys
}

// isAsked reports whether a step is a removal's.
func isAsked(s plan.Step) bool {
	return s.Finding.Severity() == finding.Asked && !s.Finding.Withdraws()
}

// wentWith reports whether what is broken was itself removed, or every tag that it
// hurts.
func wentWith(f *finding.Finding, taken map[string]bool) bool {
	if taken[f.Path] {
		return true
	}
	return f.AffectsCount > 0 && f.AffectsCount == len(f.Affects) &&
		!slices.ContainsFunc(f.Affects, func(ref string) bool { return !taken[ref] })
}

// cured reports whether what was done is all that a finding needs.
func cured(f *finding.Finding, done map[changeOf]bool) bool {
	switch f.Cure {
	case finding.CureRebuild, finding.CureWriteAsk:
		return done[changeOf{f.Kind, f.Path}] || f.Tag != "" && done[changeOf{f.Kind, strings.TrimSuffix(f.Path, "/") + "/current/link"}]
	case finding.CureRemoveAsk:
		if f.Kind == finding.ManifestMissing {
			return f.AffectsCount == 0 && done[changeOf{f.Kind, f.Path}]
		}
		return done[changeOf{f.Kind, f.Path}] || done[changeOf{f.Kind, f.Path + "/"}]
	}
	return false
}

// WriteText writes the outcome for people: what was done, what was left and
// why, what came free, how to undo it, and what the registry needs now.
func (r *Run) WriteText(w io.Writer, o TextOptions) error {
	t := r.text(w, o)
	t.blank()
	t.verdict()
	t.counts()
	t.left()
	t.gone()
	t.elsewhere()
	t.damage()
	t.space()
	t.cache()
	t.next()
	t.asked()
	exitLine(t.printer, r.Exit, meaningOf(r.Command, r.Exit))
	return t.flush()
}

// WriteVerdict writes the outcome in one line.
func (r *Run) WriteVerdict(w io.Writer, o TextOptions) error {
	t := r.text(w, o)
	t.verdict()
	return t.flush()
}
