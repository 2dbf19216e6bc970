package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime/debug"

	"regfsck/cmd/regfsck/target"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report"
)

// job is a plan on its way from the arguments to the store.
type job struct {
	command  string // "fix", "rm", "prune" or "apply"
	target   target.Target
	policy   policy
	consent  consent
	out      *output
	apply    bool       // it is to be carried out
	made     bool       // it was made just now
	plan     *plan.Plan // nil: it is still to be made
	header   plan.Header
	savePlan string   // where to, "" for nowhere
	file     string   // the plan's file, "" for a plan that was made just now
	repeat   []string // STORE and the flags under which fix makes the same plan again
	next     []string // the command that carries it out
	reach    []string // the flags by which the store is reached again
	state    string   // the state directory

	choose   func(*graph.Scan) (*graph.Removal, error) // what is to go of the store; nil: what the policy says
	verdicts *[]report.Retained                        // of prune: what choose found
	note     string                                    // what a person should know of the plan, "" for nothing
}

// garbage is how much memory a change may waste before it is collected, in percent
// of what is used, unless GOGC says otherwise: half the work for half as much again.
const garbage = 200

// change makes a plan, or takes the one there is, shows it, and carries it out
// if it is to be.
func (s *session) change(ctx context.Context, j *job) (err error) {
	if j.apply && s.getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if j.apply && !j.consent.yes && (j.out.json || j.out.quiet) {
		return &failure{report.Refused, errors.New("--apply asks, and with --json or --quiet there is nothing to say yes to"), "Add --yes, or look at the plan first. Nothing was changed."}
	}
	if j.state, err = s.stateDir(j.consent.state, j.target); err != nil {
		return err
	}
	if err := j.out.open(j.target, j.policy.follow); err != nil {
		return err
	}
	defer j.out.discard()
	r := &report.Plan{
		Check: report.Check{
			Version: version, Target: j.target.Name, Repeat: j.repeat, Reach: j.reach,
			BlobsHashed: j.policy.verify.All, FailOn: finding.Error,
		},
		Command: j.command, File: j.file, Policy: j.policy.Policy, Plan: j.plan, Apply: j.next, Applying: j.apply,
	}
	if j.choose != nil { // a removal has done what was asked, whatever else is broken
		r.FailOn = finding.Fatal
	}
	if j.consent.keep {
		r.State = j.state
	}
	if j.apply && j.consent.yes {
		if err := j.takeOver(ctx); err != nil {
			return err
		}
	}
	if err := s.finish(ctx, j); err != nil {
		return err
	}
	o := s.options(j.policy, j.target, j.out)
	if j.command == "fix" {
		o.Lost = lostAtMost(j.target)
	}
	o.Again, o.Choose, o.Removed = j.apply, j.choose, s.removed(j.target, j.state)
	if o.OwnSince, err = apply.UnfinishedSince(j.state); err != nil {
		return &failure{report.Incomplete, err, "Nothing was changed."}
	}
	if err := s.examine(ctx, &r.Check, j.target, j.policy.follow, o, j.out); err != nil {
		return err
	}
	o.Wait = nil // what moves from here on refuses the plan
	if j.choose != nil {
		o.Removal = r.Result.Scan.Removal
		r.Policy.Removal = o.Removal
	}
	j.made = r.Plan == nil
	if j.made {
		r.Plan = plan.New(r.Result, o.Policy)
	}
	if j.choose != nil {
		j.note = cmp.Or(j.note, emptied(r.Result.Scan, r.Plan))
	}
	if j.note != "" {
		r.Result.Notes = append(r.Result.Notes, j.note)
	}
	if j.verdicts != nil {
		r.Retention = settled(*j.verdicts, r.Plan)
	}
	j.header.Made = r.Started
	facts, err := s.facts(ctx, j)
	if err != nil {
		return err
	}
	for _, d := range facts.Damaged {
		r.Result.Notes = append(r.Result.Notes, "run "+d.ID+" is damaged: "+d.Damage+"; regfsck undo STORE "+d.ID+" puts back what it kept, regfsck purge --damaged STORE "+d.ID+" gives it up")
	}
	r.Unfinished, r.UnfinishedPlan = facts.Unfinished, facts.UnfinishedPlan
	if r.Plan.TakesAway() {
		r.NoUndo = facts.NoUndo
	}
	r.Facts, r.Refusals = facts, apply.Refusals(r.Result, r.Plan, j.consent.limits, facts)
	r.Versions = j.versions(ctx)
	if err := j.save(r.Plan); err != nil {
		return err
	}
	if !j.apply {
		return s.deliver(r, r.Exit, j.out)
	}
	return s.carryOut(ctx, j, r, o, facts)
}

// finish removes the directories that a run which was broken off has emptied, where
// it is settled already that the store is to be changed: an empty directory of a
// tag would keep its repository from being cleaned up in this run. A plan that
// was saved was made with these directories, and would be stale without them.
func (s *session) finish(ctx context.Context, j *job) error {
	if !j.apply || !j.consent.yes || j.plan != nil {
		return nil
	}
	facts, err := s.facts(ctx, j)
	if err != nil {
		return err
	}
	if facts.Unfinished == "" || facts.Undoing != "" || facts.Answering != "" && !j.consent.limits.RunningOK {
		return nil
	}
	w, err := j.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	s.tidied, err = apply.Finish(ctx, w, j.state)
	if err != nil {
		return unchanged(ctx, err)
	}
	return nil
}

// save writes the plan file that was asked for.
func (j *job) save(p *plan.Plan) error {
	if j.savePlan == "" {
		return nil
	}
	f, err := createReport(j.savePlan, j.target, j.policy.follow)
	if err != nil {
		return misuse("", "--save-plan %w", err)
	}
	defer f.discard()
	if err := f.keep(func(w io.Writer) error { return p.Save(w, j.header) }); err != nil {
		return &failure{report.Incomplete, err, "Nothing was changed."}
	}
	return nil
}

// facts finds out what speaks against a change besides what a scan finds.
func (s *session) facts(ctx context.Context, j *job) (f apply.Facts, err error) {
	f.Answering = s.answering(ctx, j.target)
	f.Harbor = j.target.Harbor
	reader, err := j.target.Open(ctx, target.Access{Follow: j.policy.follow, Say: j.out.say})
	if err != nil {
		return f, notOpen(err)
	}
	defer reader.Close()
	if err := j.ofState(ctx, &f); err != nil {
		return f, err
	}
	f, err = apply.Look(ctx, reader, j.state, f)
	if err != nil && ctx.Err() == nil {
		err = &failure{report.Incomplete, err, "Nothing was changed."}
	}
	return f, err
}

// ofState fills in what speaks against the state directory.
func (j *job) ofState(ctx context.Context, f *apply.Facts) error {
	w, err := j.writer(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		f.NoUndo = "this system has no way to move files safely"
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Claimed(); err != nil {
		f.Claimed = err.Error()
	}
	if v, ok := w.(target.Versioner); ok {
		if err := v.Retained(ctx); err != nil {
			f.CanNotKeep(err)
		}
	}
	if !j.consent.keep {
		return nil
	}
	if err := w.MayKeep(ctx); err != nil {
		f.NoUndo = err.Error()
	}
	return nil
}

// writer opens the store to be changed.
func (j *job) writer(ctx context.Context) (target.Writer, error) {
	w, err := j.target.OpenWriter(ctx, target.Access{Workers: j.out.workers, Follow: j.policy.follow, Say: j.out.say}, j.state)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, notOpen(err)
	}
	return w, nil
}

// loadPlan reads a plan file.
func loadPlan(path string) (*plan.Plan, plan.Header, error) {
	f, err := apply.OpenPlan(path)
	if err != nil {
		return nil, plan.Header{}, misuse("", "%w", unreadable(path, err))
	}
	defer f.Close()
	p, h, err := plan.Load(f)
	switch {
	case errors.Is(err, plan.ErrEdited):
		return nil, h, &failure{report.Refused, errors.New(path + ": " + err.Error()), "Make a new plan with --save-plan. Nothing was changed."}
	case err != nil:
		return nil, h, misuse("A plan is the file that regfsck fix, rm or prune wrote for --save-plan; what they wrote for --json or --report only tells of one.", "%s: %w", path, err)
	}
	return p, h, nil
}
