package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph/apply"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// past is what undo and purge are about: a store and its earlier runs.
type past struct {
	job
	runs []journal.Summary // newest first
}

// pastOf reads the arguments of undo and purge, STORE first, and the runs.
func (s *session) pastOf(c *cli.Context, command string) (*past, error) {
	if c.NArg() == 0 || slices.Contains(c.Args().Slice(), "") {
		return nil, failure.Misuse(seeHelp(command), "no STORE was given; what changes a store must be told which")
	}
	p := &past{job: job{command: command, reach: s.reach(c)}}
	p.policy.follow = c.StringSlice("follow")
	p.consent.state, p.consent.breakLease = c.String("state"), c.String("break-lease")
	p.consent.limits.RunningOK = c.Bool("registry-running-ok")
	var err error
	if p.out, err = s.outputOf(c); err != nil {
		return nil, err
	}
	if p.target, err = s.resolve(c, c.Args().First()); err != nil {
		return nil, err
	}
	if p.state, err = outside.StateDir(p.consent.state, p.target, s.drivers, s.getenv); err != nil {
		return nil, err
	}
	if p.runs, err = journal.Summaries(p.state); err != nil {
		return nil, failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	return p, p.out.open(p.target, p.policy.follow)
}

// runUndo takes a run back.
func runUndo(s *session, c *cli.Context) error {
	if c.NArg() > 2 {
		return failure.Misuse(seeHelp("undo"), "one RUN is undone at a time, and %d were given", c.NArg()-1)
	}
	p, err := s.pastOf(c, "undo")
	if err != nil {
		return err
	}
	defer p.out.discard()
	if c.Bool("list") {
		list := &report.Runs{
			Version: version, Target: p.target.String(), State: p.state, Runs: p.seen(c.Context),
			Store: append([]string{p.target.Source()}, p.reach...), Others: p.others(c.Context),
		}
		return s.deliver(list, 0, p.out)
	}
	run := c.Args().Get(1)
	if err := p.known(c.Context, run); err != nil {
		return err
	}
	return s.undoRun(c.Context, p, run)
}

// known refuses a run that isn't among those there were. "" is any.
func (p *past) known(ctx context.Context, run string) error {
	var ids []string
	for _, r := range p.runs {
		ids = append(ids, r.ID)
	}
	if run == "" || slices.Contains(ids, run) {
		return nil
	}
	hint := "regfsck undo STORE --list names them."
	if is := p.target.Traits(); is.Root == "" {
		hint += "\nThe name of a " + is.Noun + "'s state directory comes from " + is.NamedBy + "; --state names another one."
	}
	for _, d := range p.others(ctx) {
		hint += "\nThis store has been changed with another state directory too: " + words.Clean(d.String())
	}
	return failure.Misuse(hint, "there is no run %q in %s%s", run, p.state, spelling.DidYouMean(run, ids, ""))
}

// seen are the runs, each with what the store tells of steps that a crash took the
// notes of.
func (p *past) seen(ctx context.Context) []journal.Summary {
	if !slices.ContainsFunc(p.runs, func(r journal.Summary) bool { return r.Unconfirmed > 0 }) {
		return p.runs
	}
	w, err := p.writer(ctx)
	if err != nil {
		return p.runs
	}
	defer w.Close()
	runs, err := apply.ConfirmedRuns(ctx, w, p.state)
	if err != nil {
		return p.runs
	}
	return runs
}

// others are the other state directories of the store, as far as that can be found
// out. Where requests cost, the store is asked only where the runs of this one aren't all there is to say.
func (p *past) others(ctx context.Context) []backend.StateDir {
	if p.target.Traits().RequestsCost && p.consent.state == "" && len(p.runs) > 0 {
		return nil
	}
	w, err := p.writer(ctx)
	if err != nil {
		return nil
	}
	defer w.Close()
	all, _ := w.States(ctx)
	return all
}

// alone refuses to go on while a registry is at work that may change the store.
func (s *session) alone(ctx context.Context, j *job) error {
	if reasons := apply.RegistryRefusals(j.consent.limits, registry.Obstacle(ctx, j.target, s.answers)); len(reasons) > 0 {
		return refused(reasons)
	}
	return nil
}

func (s *session) undoRun(ctx context.Context, p *past, run string) error {
	if err := s.alone(ctx, &p.job); err != nil {
		return err
	}
	if err := p.takeOver(ctx, s); err != nil {
		return err
	}
	w, err := p.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	started := s.now()
	announced := s.announce(ctx, nil, stopping)
	out, err := apply.Undo(ctx, w, p.state, run)
	announced()
	if err != nil && (out == nil || len(out.Counts) == 0) {
		return unchanged(ctx, err)
	}
	d := s.doneOf(&p.job, out)
	d.Started, d.Finished, d.Exit = started, s.now(), exitcode.OfUndo(out)
	d.Cost = w.Cost()
	return s.deliverRun(d, p.out, err)
}
