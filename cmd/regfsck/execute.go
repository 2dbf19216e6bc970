package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/plan"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
)

// carryOut reports the plan, asks for confirmation, and executes the plan.
func (j *job) carryOut(ctx context.Context, r *report.Plan, o check.Options, facts apply.Facts) error {
	if !j.out.json && !j.out.quiet {
		if err := j.s.written(r.View(j.out.text).WriteText(j.s.stdout, j.out.text)); err != nil {
			return err
		}
	}
	if len(r.Refusals) > 0 {
		return refused(r.Refusals)
	}
	if len(r.Plan.Steps) > 0 && !j.consent.yes {
		question := "This changes " + j.target.String() + ". To go on, type the plan id " + r.Plan.ID() + ": "
		if err := ask(ctx, j.s, question, "the plan id", r.Plan.ID()); err != nil {
			return err
		}
	}
	if err := j.reachRedis(ctx, r); err != nil {
		return err
	}
	around := &hooks{session: j.s, job: j, plan: r}
	return around.run(ctx, func() (*report.Run, error) { return j.execute(ctx, r, o, facts) })
}

// execute runs the plan. The run is nil if nothing was changed; if it isn't nil, an error is
// what interrupted it.
func (j *job) execute(ctx context.Context, r *report.Plan, o check.Options, facts apply.Facts) (*report.Run, error) {
	if err := j.alone(ctx); err != nil { // a registry may have started since the plan was made
		return nil, err
	}
	if err := j.takeOver(ctx); err != nil {
		return nil, err
	}
	w, err := j.writer(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if j.consent.keep && r.Plan.TakesAway() {
		if err := w.CanUndo(ctx); err != nil {
			facts.Given = facts.WithoutUndo(err)
			no := refused(apply.Refusals(r.Result, r.Plan, j.consent.limits, facts))
			if errors.Is(err, backend.ErrTestObject) {
				no.Hint = strings.Replace(no.Hint, failure.NothingChanged, "Nothing else was changed.", 1)
			}
			return nil, no
		}
	}
	if o.Known, _ = j.s.known(j.target); o.Known != nil {
		defer o.Known.Close()
	}
	in := apply.Input{
		Store: w, Scan: o, Run: backend.Run{Keep: j.consent.keep}, State: j.state, Plan: r.Plan, Header: j.header, Found: r.Result, Made: j.made,
		Limits: j.consent.limits, Given: facts.Given, Now: j.s.now, Workers: j.out.workers, CopyRate: j.copyRate,
	}
	before := diskOf(j.s, j.target)
	phases := []string{"links again", "judge", "copy", "apply"}
	if !slices.ContainsFunc(r.Plan.Steps, func(s plan.Step) bool { return s.Kind == plan.HealedBlob }) {
		phases = slices.Delete(phases, 2, 3)
	}
	bar := j.s.progress(j.out, phases...)
	in.Scan.Progress = bar
	message := stopping
	if j.consent.after != "" {
		message = stoppingBeforeAfter
	}
	announced := announce(ctx, j.s, j.out.bar.Load(), message)
	out, err := apply.Run(ctx, in)
	announced()
	bar.Close()
	if out == nil && errors.Is(err, syscall.ENOSPC) {
		return nil, failure.New(exitcode.Incomplete, err, noRoom)
	}
	if out == nil {
		return nil, unchanged(ctx, err)
	}
	d := j.doneOf(out)
	d.Started, d.Finished, d.Cost = r.Started, j.s.now(), r.Cost.Plus(w.Cost())
	d.Plan, d.Retention = r.Plan, r.Retention
	if out.Run != "" {
		d.Disk = diskSince(before, j.s, j.target, out.Kept)
	}
	d.Exit = exitcode.OfRun(r.Result, r.Plan, out, r.FailOn)
	if d.Forgotten = j.forget(context.WithoutCancel(ctx), out); d.Forgotten != nil && d.Forgotten.Error != "" {
		d.Exit |= exitcode.Incomplete
	}
	return d, err
}

// diskOf returns how full the store's filesystem is; nil if it isn't on this machine or can't
// be measured.
func diskOf(s *session, t location.Location) *disk.Space {
	root := t.Traits().Root
	if root == "" {
		return nil
	}
	is, err := s.disk(root)
	if err != nil {
		return nil
	}
	return &is
}

// diskSince returns how full the store's filesystem was and is. purge is how many bytes a
// purge would free.
func diskSince(before *disk.Space, s *session, t location.Location, purge int64) *report.Disk {
	now := diskOf(s, t)
	if before == nil || now == nil {
		return nil
	}
	d := &report.Disk{Before: *before, After: *now}
	if purge > 0 {
		then := now.Freed(purge)
		d.Purged = &then
	}
	return d
}

// doneOf returns the report of a run.
func (j *job) doneOf(out *apply.Outcome) *report.Run {
	store := []string{j.target.Source()}
	if j.consent.state != "" {
		store = append(store, "--state", j.state)
	}
	if j.consent.limits.RunningOK {
		store = append(store, "--registry-running-ok")
	}
	store = append(store, j.reach...)
	return &report.Run{
		Version: version, Command: j.command, Target: j.target.String(), Store: store, Outcome: out,
		State: j.state, Configured: j.target.Config != "", Redis: j.target.Redis,
		Requests: j.target.Traits().RequestsCost, KeptAs: j.target.Traits().KeptAs,
	}
}

// deliverRun reports a run that changed something and returns the error that interrupted it,
// if any.
func deliverRun(s *session, d *report.Run, out *output, broke error) error {
	if broke != nil {
		d.Exit |= exitcode.Incomplete
	}
	return interruptedRun(d, broke, s.deliver(d, d.Exit, out))
}

// interruptedRun returns err, or the failure of a delivered run that broke interrupted, or
// nil.
func interruptedRun(d *report.Run, broke, err error) error {
	if err == nil && broke != nil {
		err = failure.New(d.Exit, broke, d.Rest())
	}
	return err
}

// noRoom is the hint when a run can't write its journal because the disk is full.
const noRoom = "Nothing was changed. The disk is full, and a run writes its journal before it removes anything." +
	"\nAdd --undo none --state DIR to the command, with DIR on another disk, or in memory, such as /dev/shm/regfsck." +
	" What is removed then is free at once and can't be brought back."

// stopping is printed when a run is asked to stop; it stops at the next safe point.
const stopping = "regfsck: stopping at the next safe point; a second Ctrl-C ends it at once, and loses nothing either"

// stoppingBeforeAfter is stopping for a run with --after.
const stoppingBeforeAfter = "regfsck: stopping at the next safe point; a second Ctrl-C ends it at once, loses nothing either, and runs --after"

// announce prints message when ctx ends, through bar if it isn't nil, until done is called.
// From then on a second signal ends the process, unless signals are held.
func announce(ctx context.Context, s *session, bar *progress.Display, message string) (done func()) {
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		s.stops.Default()
		if bar != nil {
			bar.Say(message)
		} else {
			fmt.Fprintln(s.stderr, message)
		}
	})
	return func() {
		if !stop() {
			<-said
		}
	}
}
