package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/apply"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// pastRuns is a store with its earlier runs, for undo, purge and show.
type pastRuns struct {
	job
	runs []journal.Summary // newest first
}

// pastOf reads the arguments of undo and purge, and the runs.
func pastOf(s *session, c *cli.Context, command string) (*pastRuns, error) {
	if c.NArg() == 0 || slices.Contains(c.Args().Slice(), "") {
		return nil, failure.Misuse(seeHelp(command), "no STORE was given; a command that changes a store needs it")
	}
	p := &pastRuns{job: job{s: s, command: command, reach: s.reach(c)}}
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

// runUndo undoes a run.
func runUndo(s *session, c *cli.Context) error {
	if c.NArg() > 2 {
		return failure.Misuse(seeHelp("undo"), "one RUN is undone at a time, and %d were given", c.NArg()-1)
	}
	p, err := pastOf(s, c, "undo")
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
	return p.undo(c.Context, run)
}

// known fails if there is no such run. "" stands for the last one.
func (p *pastRuns) known(ctx context.Context, run string) error {
	ids := words.All(p.runs, func(r journal.Summary) string { return r.ID })
	if run == "" || slices.Contains(ids, run) {
		return nil
	}
	hint := "regfsck undo STORE --list names them."
	if is := p.target.Traits(); is.Root == "" {
		hint += "\nThe name of a " + is.Noun + "'s state directory is made from " + is.NamedBy + "; --state names another one."
	}
	for _, d := range p.others(ctx) {
		hint += "\nThis store has been changed with another state directory too: " + words.Clean(d.String())
	}
	return failure.Misuse(hint, "there is no run %q in %s%s", run, p.state, spelling.DidYouMean(run, ids, ""))
}

// seen returns the runs. Steps whose receipts a crash lost are confirmed with the store.
func (p *pastRuns) seen(ctx context.Context) []journal.Summary {
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

// others returns the store's other state directories, as far as they can be found. If
// requests cost, the store is asked only if this directory has no runs.
func (p *pastRuns) others(ctx context.Context) []backend.StateDir {
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

// alone fails if a running registry may change the store.
func (j *job) alone(ctx context.Context) error {
	if reasons := apply.RegistryRefusals(j.consent.limits, registry.Obstacle(ctx, j.target, j.s.answers)); len(reasons) > 0 {
		return refused(reasons)
	}
	return nil
}

func (p *pastRuns) undo(ctx context.Context, run string) error {
	if err := p.alone(ctx); err != nil {
		return err
	}
	if err := p.takeOver(ctx); err != nil {
		return err
	}
	w, err := p.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	started := p.s.now()
	announced := announce(ctx, p.s, nil, stopping)
	out, err := apply.Undo(ctx, w, p.state, run)
	announced()
	if err != nil && (out == nil || len(out.Counts) == 0) {
		return unchanged(ctx, err)
	}
	d := p.doneOf(out)
	d.Started, d.Finished, d.Exit = started, p.s.now(), exitcode.OfUndo(out)
	d.Cost = w.Cost()
	return deliverRun(p.s, d, p.out, err)
}

// runPurge purges runs.
func runPurge(s *session, c *cli.Context) error {
	age, err := time.Duration(0), error(nil)
	if c.IsSet("older-than") {
		if age, err = value.Duration(c.String("older-than")); err != nil {
			return failure.Misuse(seeHelp("purge"), "--older-than %w", err)
		}
	}
	many := c.Bool("all") || c.IsSet("older-than")
	if named := c.NArg() > 1; c.NArg() > 0 && named == many {
		return failure.Misuse(seeHelp("purge"), "purge takes either RUNs or --all or --older-than")
	}
	if many && c.Bool("damaged") {
		return failure.Misuse(seeHelp("purge"), "--damaged is for RUNs that are named")
	}
	p, err := pastOf(s, c, "purge")
	if err != nil {
		return err
	}
	defer p.out.discard()
	ids := p.ended(s.now().Add(-age))
	if !many {
		ids = c.Args().Tail()
	}
	for _, id := range ids {
		if err := p.known(c.Context, id); err != nil {
			return err
		}
	}
	p.runs = p.seen(c.Context)
	do := apply.Purge
	if c.Bool("damaged") {
		do = apply.PurgeDamaged
	}
	return p.purge(c.Context, ids, c.Bool("yes"), do)
}

// purging is apply.Purge or apply.PurgeDamaged.
type purging func(ctx context.Context, s backend.Store, state, id string) (freed int64, err error)

// ended returns the runs that began before a time, are not unfinished, and can still be
// undone.
func (p *pastRuns) ended(before time.Time) (ids []string) {
	for _, r := range p.runs {
		over := r.Status == journal.Done || r.Status == journal.Undone || r.Status == journal.PartlyPurged
		if over && r.Keep && r.Damage == "" && !r.Began.After(before) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// damaged returns the damaged runs that were not named.
func (p *pastRuns) damaged(named []string) (all []journal.Summary) {
	for _, r := range p.runs {
		if r.Damage != "" && r.CanUndo() && !slices.Contains(named, r.ID) {
			all = append(all, r)
		}
	}
	return all
}

func (p *pastRuns) purge(ctx context.Context, ids []string, yes bool, do purging) error {
	if err := p.alone(ctx); err != nil {
		return err
	}
	w, err := p.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	d := &report.Purge{Version: version, Target: p.target.String(), State: p.state, Started: p.s.now(), Damaged: p.damaged(ids)}
	var kept int64
	for _, id := range ids {
		n, err := apply.Kept(ctx, w, p.state, id)
		if err != nil {
			return unchanged(ctx, err)
		}
		kept += n
		run := report.Purged{ID: id}
		if at := slices.IndexFunc(p.runs, func(r journal.Summary) bool { return r.ID == id }); at >= 0 {
			run.Steps, run.Bytes = p.runs[at].Done, p.runs[at].Bytes
		}
		d.Runs = append(d.Runs, run)
	}
	if len(ids) > 0 && !yes {
		if err := p.askPurge(ctx, ids, kept); err != nil {
			return err
		}
	}
	if err := p.takeOver(ctx); err != nil {
		return err
	}
	before := diskOf(p.s, p.target)
	for i := range d.Runs {
		if ctx.Err() != nil {
			d.Runs[i].Err = ctx.Err()
			continue
		}
		d.Runs[i].Freed, d.Runs[i].Err = do(context.WithoutCancel(ctx), w, p.state, d.Runs[i].ID)
	}
	if len(d.Runs) > 0 {
		d.Disk = diskSince(before, p.s, p.target, 0)
	}
	d.Cost, d.Requests = w.Cost(), p.target.Traits().RequestsCost
	d.Finished = p.s.now()
	for i := range d.Runs {
		d.Exit |= exitcode.OfPurge(d.Runs[i].Err)
	}
	if ctx.Err() != nil {
		d.Exit |= exitcode.Cancelled
	}
	return p.s.deliver(d, d.Exit, p.out)
}

// askPurge asks for confirmation of a purge.
func (p *pastRuns) askPurge(ctx context.Context, ids []string, kept int64) error {
	what, called, word := "run "+ids[0], "the run id", ids[0]
	if len(ids) > 1 {
		what, called, word = fmt.Sprintf("%d runs", len(ids)), "the word purge", "purge"
	}
	question := fmt.Sprintf("This frees %s and ends the undo of %s for good. To continue, type %s: ", words.Size(kept), what, word)
	return ask(ctx, p.s, question, called, word)
}
