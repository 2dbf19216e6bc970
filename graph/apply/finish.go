package apply

import (
	"context"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// Finish removes the directories that a run which was interrupted has emptied, where
// there is such a run, and returns how many: an empty directory of a tag looks like
// a tag that has lost its link, and keeps what could go. Whoever plans a change
// calls it before the store is read. It touches nothing else, and is undone with
// that run.
func Finish(ctx context.Context, s backend.Store, state string) (dirs int, err error) {
	r := newRun(Input{Store: s, State: state, Plan: &plan.Plan{}})
	if err := r.findUnfinished(); err != nil || len(r.unfinished) == 0 {
		return 0, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: r.unfinished[0].id, Keep: true})
	if err != nil {
		return 0, err
	}
	if err = r.findUnfinished(); err == nil && len(r.unfinished) > 0 { // again, now that nobody can come between
		err = r.finishDirectories(ctx)
	}
	if again := unlock(); err == nil {
		err = again
	}
	return r.out.Directories, err
}

// finishDirectories removes what may be empty after the run that was interrupted, in its name.
func (r *run) finishDirectories(ctx context.Context) (err error) {
	p := r.unfinished[0]
	r.Run = backend.Run{ID: p.id, Keep: p.begin.Keep, Began: p.begin.Time}
	if r.journal, err = p.carryOn(ctx, r.Store); err != nil {
		return err
	}
	err = r.runDirectories(ctx, nil)
	if err == nil && p.end != nil {
		is := *p.end
		is.Folders = r.dirsLeft
		err = r.journal.finish(record{End: &is})
	}
	if again := r.journal.close(); err == nil {
		err = again
	}
	if err == nil {
		r.unfinished[0], err = readPast(r.State, p.id)
	}
	return err
}
