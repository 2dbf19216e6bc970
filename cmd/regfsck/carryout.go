package main

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/report"
)

// carryOut shows the plan, asks, and carries it out.
func (s *session) carryOut(ctx context.Context, j *job, r *report.Plan, o graph.Options, facts apply.Facts) error {
	if !j.out.json && !j.out.quiet {
		if err := s.written(r.WriteText(s.stdout, j.out.text)); err != nil {
			return err
		}
	}
	if len(r.Refusals) > 0 {
		return refused(r.Refusals)
	}
	if len(r.Plan.Steps) > 0 && !j.consent.yes {
		question := "This changes " + j.target.Name + ". To go on, type the plan's id, " + r.Plan.ID() + ": "
		if err := s.ask(ctx, question, r.Plan.ID()); err != nil {
			return err
		}
	}
	if err := s.alone(ctx, j); err != nil { // it may have been started while the store was read, or the question asked
		return err
	}
	if err := j.takeOver(ctx); err != nil {
		return err
	}
	w, err := j.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if j.consent.keep && r.Plan.TakesAway() {
		if err := w.CanKeep(ctx); err != nil {
			facts.CanNotKeep(err)
			no := refused(apply.Refusals(r.Result, r.Plan, j.consent.limits, facts))
			if errors.Is(err, backend.ErrStays) {
				no.hint = strings.Replace(no.hint, nothingChanged, "Nothing else was changed.", 1)
			}
			return no
		}
	}
	if o.Known, _ = s.known(j.target); o.Known != nil {
		defer o.Known.Close()
	}
	in := apply.Input{
		Store: w, Scan: o, Run: backend.Run{Keep: j.consent.keep}, State: j.state, Plan: r.Plan, Header: j.header, Found: r.Result, Made: j.made,
		Limits: j.consent.limits, Facts: facts, Now: s.now, Workers: j.out.workers,
	}
	bar := s.progress(j.out)
	if bar != nil {
		in.Scan.Progress = bar
	}
	announced := s.announce(ctx, bar)
	out, err := apply.Run(ctx, in)
	announced()
	if bar != nil {
		bar.Close()
	}
	if out == nil && errors.Is(err, syscall.ENOSPC) {
		return &failure{report.Incomplete, err, noRoom}
	}
	if out == nil {
		return unchanged(ctx, err)
	}
	d := s.doneOf(j, out)
	d.Started, d.Finished, d.Cost = r.Started, s.now(), r.Cost.Plus(w.Cost())
	d.Exit = report.ExitOfRun(r.Result, r.Plan, out, r.FailOn)
	return s.deliverRun(d, j.out, err)
}

// doneOf returns the report of a run.
func (s *session) doneOf(j *job, out *apply.Outcome) *report.Run {
	store := []string{j.target.Source()}
	if j.consent.state != "" {
		store = append(store, "--state", j.state)
	}
	if j.consent.limits.RunningOK {
		store = append(store, "--registry-running-ok")
	}
	store = append(store, j.reach...)
	return &report.Run{
		Version: version, Command: j.command, Target: j.target.Name, Store: store, Outcome: out,
		State: j.state, Configured: j.target.Config != "", Redis: j.target.Redis, Bucket: j.target.Bucket != nil,
	}
}

// deliverRun reports on a run that changed something, and says then why it
// ended early, if it did.
func (s *session) deliverRun(d *report.Run, out *output, broke error) error {
	if broke != nil {
		d.Exit |= report.Incomplete
	}
	err := s.deliver(d, d.Exit, out)
	if err == nil && broke != nil {
		err = &failure{d.Exit, broke, d.Rest()}
	}
	return err
}

// unchanged says why a run changed nothing.
func unchanged(ctx context.Context, err error) error {
	var no *apply.Refused
	switch {
	case errors.As(err, &no):
		return refused(no.Reasons)
	case errors.Is(err, apply.ErrNoRun):
		return misuse("regfsck undo STORE --list names them.", "%w", err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &failure{report.Incomplete, err, "Nothing was changed."}
}

// noRoom is what to do where a run can't begin since its disk is full: even a
// journal needs room, and what is kept for an undo frees nothing.
const noRoom = "Nothing was changed. The disk is full, and a run writes its journal before it removes anything." +
	"\nAdd --undo none --state DIR to the command, with DIR on another disk, or in memory, such as /dev/shm/regfsck." +
	" What is removed then is free at once and can't be brought back."

const nothingChanged = "Nothing was changed."

// maxNamed is how many keys a refusal names on stderr.
const maxNamed = 20

// refused is the failure of what a guard stopped.
func refused(reasons []apply.Refusal) *failure {
	var whys, hows []string
	for _, r := range reasons {
		whys = append(whys, r.Why)
		hows = append(hows, report.Clean(r.How))
		for _, k := range r.Keys[:min(len(r.Keys), maxNamed)] {
			hows = append(hows, "  "+report.Clean(k))
		}
		if n := len(r.Keys) - maxNamed; n > 0 {
			hows = append(hows, "  … and "+report.Number(n)+" more")
		}
	}
	return &failure{report.Refused, errors.New("refused: " + strings.Join(whys, "; ")), strings.Join(append(hows, nothingChanged), "\n")}
}
