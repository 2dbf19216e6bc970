package apply

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/graph/plan"
)

// remember looks at the last runs. Those that were broken off are finished, and
// the very last is taken up again where the plan is the same.
func (r *run) remember() error {
	all, err := pasts(r.State, glance)
	if err != nil || len(all) == 0 {
		return err
	}
	r.after = all[0].begin.Time
	if r.open, err = opened(r.State, all); err != nil || len(r.open) == 0 {
		return err
	}
	if p := r.open[0]; p.begin.Plan == r.out.Plan && p.begin.Keep == r.Run.Keep {
		r.out.Resumed, r.Run.ID, r.Run.Began = true, p.id, p.begin.Time
		for _, done := range p.receipts {
			r.out.Kept += done.Kept
		}
	}
	for _, p := range r.open {
		r.leftBy(p)
	}
	return nil
}

// leftBy notes which folders a run that was broken off may have left empty.
func (r *run) leftBy(p *past) {
	for _, i := range p.intents {
		if i.Op == plan.Abort {
			continue
		}
		if i.Op != plan.Remove { // a folder may have been made for a link that was never written
			r.emptiedFrom(path.Dir(i.Key))
			continue
		}
		if strings.HasSuffix(i.Key, "/") {
			r.emptiedFrom(path.Dir(path.Dir(i.Key)))
			continue
		}
		r.emptied(i.Key)
		if _, ok := p.receipts[i.Key]; !ok || i.Kind == plan.Upload { // it may have ended between a file and its folder
			r.emptiedFrom(path.Dir(i.Key))
		}
	}
}

// begin opens the journal, with the plan beside it.
func (r *run) begin(ctx context.Context) (err error) {
	p := newPast(r.State, r.Run.ID)
	if r.out.Resumed {
		p = r.open[0]
	} else if err := r.savePlan(); err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	if r.journal, err = p.carryOn(ctx, r.Store); err != nil {
		return err
	}
	if err = r.give(r.journal.f); err == nil {
		err = r.first()
	}
	if err == nil {
		err = r.holdOthers(ctx)
	}
	if err != nil {
		r.closeAll()
		return err
	}
	r.out.Run = r.Run.ID
	return nil
}

// holdOthers opens the journals of the runs that this one finishes, so that none
// of them goes on meanwhile.
func (r *run) holdOthers(ctx context.Context) error {
	for _, p := range r.open {
		if p.id == r.Run.ID {
			continue
		}
		j, err := p.carryOn(ctx, r.Store)
		if err != nil {
			return err
		}
		r.others = append(r.others, j)
	}
	return nil
}

// closeAll closes the journals.
func (r *run) closeAll() error {
	err := r.journal.close()
	for _, j := range r.others {
		if again := j.close(); err == nil {
			err = again
		}
	}
	return err
}

// first writes the journal's first line, where there is none.
func (r *run) first() error {
	if r.out.Resumed {
		return nil
	}
	r.Run.Began = r.time()
	err := r.journal.add(record{Begin: &begin{
		Plan: r.out.Plan, Command: r.Header.Command, Target: r.Header.Target, Store: identity(r.Store),
		Keep: r.Run.Keep, Time: r.Run.Began,
	}})
	if err == nil {
		err = r.journal.sync()
	}
	if err == nil {
		err = r.journal.dir.Sync()
	}
	return err
}

// time is now, but after the last run began, whatever the clock says: runs are
// undone in their order.
func (r *run) time() time.Time {
	if now := r.Now(); now.After(r.after) {
		return now
	}
	return r.after.Add(1)
}

// savePlan writes the plan into the run's new directory.
func (r *run) savePlan() error {
	dir, err := r.makeDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Create(planName)
	if err != nil {
		return err
	}
	if err = r.give(f); err == nil {
		err = r.Plan.Save(f, r.Header)
	}
	if err == nil {
		err = f.Sync()
	}
	if again := f.Close(); err == nil {
		err = again
	}
	return err
}

// give makes a file of the state the store's owner's, where the store can.
func (r *run) give(f *os.File) error {
	if g, ok := r.Store.(interface{ Give(*os.File) error }); ok {
		return g.Give(f)
	}
	return nil
}

// makeDir makes the run's directory; a store that keeps things there too makes it
// its own way.
func (r *run) makeDir() (*statedir.Dir, error) {
	if k, ok := r.Store.(interface {
		Folder(backend.Run) (string, error)
	}); ok {
		if _, err := k.Folder(r.Run); err != nil {
			return nil, err
		}
	}
	return statedir.Make(r.State, runsName, r.Run.ID)
}

// end writes the journal's last line, and that of the runs that this one has
// finished, once all that they did lasts.
func (r *run) end(ctx context.Context) error {
	if err := settled(ctx, r.Store); err != nil {
		return fmt.Errorf("what was done may not last: %w", err)
	}
	err := r.journal.finish(record{End: &end{Time: r.Now(), Interrupted: r.out.Interrupted, Folders: r.stuck}})
	if r.out.Interrupted {
		return err
	}
	for _, j := range r.others {
		if err == nil {
			err = j.finish(record{End: &end{Time: r.Now(), By: r.Run.ID}})
		}
	}
	return err
}
