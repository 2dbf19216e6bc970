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

// findUnfinished looks at the last runs. Those that were interrupted are finished, and
// the very last is resumed where the plan is the same.
func (r *run) findUnfinished() error {
	all, err := readRuns(r.State, glance)
	if err != nil || len(all) == 0 {
		return err
	}
	r.lastBegan = all[0].begin.Time
	if r.unfinished, err = readUnfinished(r.State, all); err != nil || len(r.unfinished) == 0 {
		return err
	}
	if p := r.unfinished[0]; p.begin.Plan == r.out.Plan && p.begin.Keep == r.Run.Keep {
		r.out.Resumed, r.Run.ID, r.Run.Began = true, p.id, p.begin.Time
		for _, done := range p.receipts {
			r.out.Kept += done.Kept
		}
	}
	for _, p := range r.unfinished {
		r.markEmptiedBy(p)
	}
	return nil
}

// markEmptiedBy notes which directories a run that was interrupted may have left empty.
func (r *run) markEmptiedBy(p *past) {
	for _, i := range p.intents {
		if i.Op == plan.Abort {
			continue
		}
		if i.Op != plan.Remove { // a directory may have been made for a link that was never written
			r.markEmptied(path.Dir(i.Key))
			continue
		}
		if strings.HasSuffix(i.Key, "/") {
			r.markEmptied(path.Dir(path.Dir(i.Key)))
			continue
		}
		r.markEmptiedAbove(i.Key)
		if _, ok := p.receipts[i.Key]; !ok || i.Kind == plan.Upload { // it may have ended between a file and its directory
			r.markEmptied(path.Dir(i.Key))
		}
	}
}

// beginJournal opens the journal, with the plan beside it.
func (r *run) beginJournal(ctx context.Context) (err error) {
	p := newPast(r.State, r.Run.ID)
	if r.out.Resumed {
		p = r.unfinished[0]
	} else if err := r.savePlan(); err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	if r.journal, err = p.carryOn(ctx, r.Store); err != nil {
		return err
	}
	if err = r.giveToOwner(r.journal.f); err == nil {
		err = r.writeBegin()
	}
	if err == nil {
		err = r.openOthers(ctx)
	}
	if err != nil {
		r.closeJournals()
		return err
	}
	r.out.Run = r.Run.ID
	return nil
}

// openOthers opens the journals of the runs that this one finishes, so that none
// of them goes on meanwhile.
func (r *run) openOthers(ctx context.Context) error {
	for _, p := range r.unfinished {
		if p.id == r.Run.ID {
			continue
		}
		j, err := p.carryOn(ctx, r.Store)
		if err != nil {
			return err
		}
		r.otherJournals = append(r.otherJournals, j)
	}
	return nil
}

// closeJournals closes the journals.
func (r *run) closeJournals() error {
	err := r.journal.close()
	for _, j := range r.otherJournals {
		if again := j.close(); err == nil {
			err = again
		}
	}
	return err
}

// writeBegin writes the journal's first line, where there is none.
func (r *run) writeBegin() error {
	if r.out.Resumed {
		return nil
	}
	r.Run.Began = r.beginTime()
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

// beginTime is now, but after the last run began, whatever the clock says: runs are
// undone in their order.
func (r *run) beginTime() time.Time {
	if now := r.Now(); now.After(r.lastBegan) {
		return now
	}
	return r.lastBegan.Add(1)
}

// savePlan writes the plan into the run's new directory.
func (r *run) savePlan() error {
	dir, err := r.makeRunDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Create(planName)
	if err != nil {
		return err
	}
	if err = r.giveToOwner(f); err == nil {
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

// giveToOwner makes a file of the state the store's owner's, where the store can.
func (r *run) giveToOwner(f *os.File) error {
	if g, ok := r.Store.(interface{ Give(*os.File) error }); ok {
		return g.Give(f)
	}
	return nil
}

// makeRunDir makes the run's directory; a store that keeps things there too makes it
// its own way.
func (r *run) makeRunDir() (*statedir.Dir, error) {
	if k, ok := r.Store.(interface {
		Folder(backend.Run) (string, error)
	}); ok {
		if _, err := k.Folder(r.Run); err != nil {
			return nil, err
		}
	}
	return statedir.Make(r.State, runsName, r.Run.ID)
}

// endJournals writes the journal's last line, and that of the runs that this one has
// finished, once all that they did lasts.
func (r *run) endJournals(ctx context.Context) error {
	if err := syncStore(ctx, r.Store); err != nil {
		return fmt.Errorf("what was done may not last: %w", err)
	}
	err := r.journal.finish(record{End: &end{Time: r.Now(), Interrupted: r.out.Interrupted, Folders: r.dirsLeft}})
	if r.out.Interrupted {
		return err
	}
	for _, j := range r.otherJournals {
		if err == nil {
			err = j.finish(record{End: &end{Time: r.Now(), By: r.Run.ID}})
		}
	}
	return err
}
