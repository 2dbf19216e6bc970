package apply

import (
	"context"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// Finish removes the folders that a run which was broken off has emptied, where
// there is such a run, and returns how many: an empty folder of a tag looks like
// a tag that has lost its link, and keeps what could go. Whoever plans a change
// calls it before the store is read. It touches nothing else, and is undone with
// that run.
func Finish(ctx context.Context, s backend.Store, state string) (folders int, err error) {
	r := newRun(Input{Store: s, State: state, Plan: &plan.Plan{}})
	if err := r.remember(); err != nil || len(r.open) == 0 {
		return 0, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: r.open[0].id, Keep: true})
	if err != nil {
		return 0, err
	}
	if err = r.remember(); err == nil && len(r.open) > 0 { // again, now that nobody can come between
		err = r.tidy(ctx)
	}
	if again := unlock(); err == nil {
		err = again
	}
	return r.out.Directories, err
}

// tidy removes what may be empty after the run that was broken off, in its name.
func (r *run) tidy(ctx context.Context) (err error) {
	p := r.open[0]
	r.Run = backend.Run{ID: p.id, Keep: p.begin.Keep, Began: p.begin.Time}
	if r.journal, err = p.carryOn(ctx, r.Store); err != nil {
		return err
	}
	err = r.folders(ctx, nil)
	if err == nil && p.end != nil {
		is := *p.end
		is.Folders = r.stuck
		err = r.journal.finish(record{End: &is})
	}
	if again := r.journal.close(); err == nil {
		err = again
	}
	if err == nil {
		r.open[0], err = readPast(r.State, p.id)
	}
	return err
}
