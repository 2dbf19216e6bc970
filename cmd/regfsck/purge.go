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
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/apply"
	"regfsck/graph/journal"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// runPurge gives up what runs keep.
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
	p, err := s.pastOf(c, "purge")
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
	return s.purgeRuns(c.Context, p, ids, c.Bool("yes"), do)
}

// purging is apply.Purge, or PurgeDamaged.
type purging func(ctx context.Context, s backend.Store, state, id string) (freed int64, err error)

// ended returns the runs that came to their end before a time and still keep
// something.
func (p *past) ended(before time.Time) (ids []string) {
	for _, r := range p.runs {
		over := r.Status == journal.Done || r.Status == journal.Undone || r.Status == journal.PartlyPurged
		if over && r.Keep && r.Damage == "" && !r.Began.After(before) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// damaged are the runs that are damaged and weren't named.
func (p *past) damaged(named []string) (all []journal.Summary) {
	for _, r := range p.runs {
		if r.Damage != "" && r.CanUndo() && !slices.Contains(named, r.ID) {
			all = append(all, r)
		}
	}
	return all
}

func (s *session) purgeRuns(ctx context.Context, p *past, ids []string, yes bool, do purging) error {
	if err := s.alone(ctx, &p.job); err != nil {
		return err
	}
	w, err := p.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	d := &report.Purge{Version: version, Target: p.target.String(), State: p.state, Started: s.now(), Damaged: p.damaged(ids)}
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
		if err := s.askPurge(ctx, ids, kept); err != nil {
			return err
		}
	}
	if err := p.takeOver(ctx, s); err != nil {
		return err
	}
	before := diskOf(s, p.target)
	for i := range d.Runs {
		if ctx.Err() != nil {
			d.Runs[i].Err = ctx.Err()
			continue
		}
		d.Runs[i].Freed, d.Runs[i].Err = do(context.WithoutCancel(ctx), w, p.state, d.Runs[i].ID)
	}
	if len(d.Runs) > 0 {
		d.Disk = diskSince(before, s, p.target, 0)
	}
	d.Cost, d.Requests = w.Cost(), p.target.Traits().RequestsCost
	d.Finished = s.now()
	for i := range d.Runs {
		d.Exit |= exitcode.OfPurge(d.Runs[i].Err)
	}
	if ctx.Err() != nil {
		d.Exit |= exitcode.Cancelled
	}
	return s.deliver(d, d.Exit, p.out)
}

// askPurge asks before anything is given up.
func (s *session) askPurge(ctx context.Context, ids []string, kept int64) error {
	what, called, word := "run "+ids[0], "the run id", ids[0]
	if len(ids) > 1 {
		what, called, word = fmt.Sprintf("%d runs", len(ids)), "the word purge", "purge"
	}
	question := fmt.Sprintf("This frees %s and ends the undo of %s for good. To go on, type %s: ", words.Size(kept), what, word)
	return s.ask(ctx, question, called, word)
}
