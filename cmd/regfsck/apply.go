package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/sources"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/progress"
)

// runApply applies a saved plan.
func runApply(s *session, c *cli.Context) error {
	if n := c.NArg(); n < 1 || n > 2 || slices.Contains(c.Args().Slice(), "") {
		return failure.Misuse(seeHelp("apply"), "apply takes a PLAN, and a STORE if it isn't at the path in the plan")
	}
	j := &job{s: s, command: "apply", apply: true, reach: s.reach(c), file: c.Args().First()}
	var err error
	if j.consent, err = consentOf(c); err != nil {
		return err
	}
	if j.copyRate, err = rateOf(c); err != nil {
		return err
	}
	if j.out, err = s.outputOf(c); err != nil {
		return err
	}
	if j.plan, j.header, err = loadPlan(c.Args().First()); err != nil {
		return err
	}
	if j.policy, err = policyFrom(j.header); err != nil {
		return failure.Misuse("", "%s: %w", c.Args().First(), err)
	}
	j.policy.follow, j.notes = c.StringSlice("follow"), setNotes(c)
	switch j.header.Command { // the plan itself lists what to remove
	case "rm":
		j.policy.Removal = j.plan.Removal()
		_, set := elsewhere(c.App, "max-delete") // a value from the settings doesn't limit a removal that a person named
		j.consent.limits.AnyAmount = set || !c.IsSet("max-delete")
	case "prune":
		j.policy.Removal = j.plan.Removal()
		j.consent.limits.ByRule = true
	}
	store := j.header.Target
	if c.NArg() == 2 {
		store = c.Args().Get(1)
	}
	if j.target, err = s.resolve(c, store); err != nil {
		return err
	}
	j.repeat = slices.Concat([]string{store}, j.header.Flags(), j.reach)
	renamed, _ := sources.Renames(j.header.FromRepo, j.header.From) // checked when the plan was made
	j.from = sourcesFor(s, c, j.target, j.out).OpenSaved(c.Context, j.header.From, renamed)
	defer j.from.Close()
	return j.change(c.Context)
}

// policyFrom returns the policy that a plan file's header records.
func policyFrom(h plan.Header) (p policy, err error) {
	p.thorough, p.Untagged, p.HealAll = h.Thorough, h.Untagged, h.FromAll
	if p.grace, err = value.Duration(h.Grace); err != nil {
		return p, err
	}
	if p.uploads, err = value.Duration(h.Uploads); err != nil {
		return p, err
	}
	if h.Verify != "" {
		if p.verify, err = value.Verify(h.Verify); err != nil {
			return p, err
		}
	}
	var skip, also string
	p.Skip, skip = finding.SetOf(h.Off)
	p.Also, also = finding.SetOf(h.OnRequest)
	if unknown := cmp.Or(skip, also); unknown != "" {
		return p, failure.Misuse("", "it has the finding %q, which this version doesn't know", unknown)
	}
	return p, nil
}

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
		question := "This changes " + j.target.String() + ". To continue, type the plan id " + r.Plan.ID() + ": "
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
	d.Plan, d.Retention, d.Unread = r.Plan, r.Retention, j.unread
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

// store returns the words that name the store and its runs: STORE, and the flags to find the
// state directory and to open the store.
func (j *job) store(more ...string) []string {
	words := []string{j.target.Source()}
	if j.consent.state != "" {
		words = append(words, "--state", j.state)
	}
	return slices.Concat(words, more, j.reach)
}

// doneOf returns the report of a run.
func (j *job) doneOf(out *apply.Outcome) *report.Run {
	var more []string
	if j.consent.limits.RunningOK {
		more = []string{"--registry-running-ok"}
	}
	return &report.Run{
		Version: version, Command: j.command, Target: j.target.String(), Store: j.store(more...), Outcome: out,
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
const stopping = "regfsck: stopping at the next safe point; a second Ctrl-C stops at once, and nothing is lost either"

// stoppingBeforeAfter is stopping for a run with --after.
const stoppingBeforeAfter = "regfsck: stopping at the next safe point; a second Ctrl-C stops at once, loses nothing either, and runs --after"

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
