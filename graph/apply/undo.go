package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// Undo puts back what a run took away, and takes away what it wrote; id "" is
// the newest run that can be undone. Whatever has come since is never written
// over, and what that needs isn't taken away: it is left and named. Later runs that took anything away for good, which
// what comes back may need, are named too. Where it was refused the error is a *Refused; a
// run that isn't known is ErrNoRun. It may be repeated, and goes on where a
// crash or ctx ended it: until it has come to its end, nothing else may change
// the store. What the store could not do keeps it unfinished.
func Undo(ctx context.Context, s backend.Store, state, id string) (*Outcome, error) {
	p, err := findUndoable(state, id)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: p.id, Keep: true})
	if err != nil {
		return nil, err
	}
	out, err := undoLocked(ctx, s, state, p.id)
	if again := unlock(); err == nil && again != nil {
		err = fmt.Errorf("unlock: %w", again)
	}
	return out, err
}

// findUndoable finds the run to undo.
func findUndoable(state, id string) (*past, error) {
	all, err := readRuns(state, readPast)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		can := p.info().CanUndo()
		switch {
		case p.id == id && !can && !p.undone:
			return nil, &Refused{[]Refusal{{
				Why: "nothing of run " + id + " is kept any more",
				How: "What it took away can't be brought back.",
			}}}
		case id == "" && can && p.damage != "":
			return nil, &Refused{[]Refusal{{
				Why: "run " + p.id + ", the newest, is damaged: " + p.damage,
				How: "Name it to put back what it kept, as far as that can be known: regfsck undo STORE " + p.id + ".",
			}}}
		case p.id == id, id == "" && can:
			return p, nil
		case can:
			return nil, &Refused{[]Refusal{{
				Why: "run " + p.id + " came after it",
				How: "Runs are undone newest first: undo that one before. A purge would give up for good what that one took, and what comes back of this one may need it.",
			}}}
		}
	}
	if id == "" {
		return nil, fmt.Errorf("%w that could be undone in %s", ErrNoRun, state)
	}
	return nil, fmt.Errorf("%w in %s: %s", ErrNoRun, state, id)
}

// laterRemovals are the runs since p, the newest first, of which something was removed
// and can't come back.
func laterRemovals(state string, p *past) (ids []string, err error) {
	all, err := readRuns(state, readPast)
	for _, later := range all {
		if later.id == p.id {
			break
		}
		kept := later.begin.Keep && !later.purge && !later.purging
		if !kept && !later.undone && later.removed() {
			ids = append(ids, later.id)
		}
	}
	return ids, err
}

// removalsElsewhere are the runs since p with other state directories of this machine, the
// newest of each first, of which something was removed that isn't back. What can't be
// looked at is nobody's to know of here.
func removalsElsewhere(ctx context.Context, s backend.Store, p *past) (runs []OtherRun) {
	m, ok := s.(backend.Marked)
	if !ok {
		return nil
	}
	dirs, _ := m.States(ctx)
	for _, d := range dirs {
		if !d.Here {
			continue
		}
		all, _ := readRuns(d.Path, readPast)
		for _, other := range all {
			if other.begin.Time.After(p.begin.Time) && !other.undone && other.removed() {
				runs = append(runs, OtherRun{State: d.Path, ID: other.id})
			}
		}
	}
	return runs
}

// undoer is an undo at work.
type undoer struct {
	*past
	store         backend.Store
	run           backend.Run
	out           *Outcome
	journal       *journal
	ctx           context.Context // ends when the undo is to stop
	restoredSteps map[string]bool // steps of which something came back
	pushes        pushedSince     // what was pushed since the run began
}

func undoLocked(ctx context.Context, s backend.Store, state, id string) (*Outcome, error) {
	p, err := findUndoable(state, id) // again, now that nobody can come between
	if err != nil {
		return nil, err
	}
	u := &undoer{past: p, store: s, run: p.run(), ctx: ctx, restoredSteps: map[string]bool{}}
	u.out = &Outcome{Run: p.id, Plan: p.begin.Plan, Resumed: p.undo, Counts: map[string]Tally{}}
	if p.undone {
		if left, err := p.strays(ctx, s); err != nil || len(left) == 0 {
			return u.out, err
		}
	}
	u.out.Damage = p.damage
	if u.out.RemovedLater, err = laterRemovals(state, p); err != nil {
		return nil, err
	}
	u.out.RemovedElsewhere = removalsElsewhere(ctx, s, p)
	if u.journal, err = p.carryOn(ctx, s); err != nil {
		return nil, err
	}
	err = u.journal.add(record{Undo: &mark{time.Now().UTC()}})
	if err == nil {
		err = u.journal.sync()
	}
	if err == nil && !p.undone {
		err = u.undoKinds()
	}
	if err == nil {
		err = u.finish()
	}
	if again := u.journal.close(); err == nil {
		err = again
	}
	return u.out, err
}

// undoKinds undoes kind after kind, the last one first.
func (u *undoer) undoKinds() error {
	byKind := map[plan.Kind][]intent{}
	var aborts []intent
	for _, i := range u.intents {
		if i.Op == plan.Abort {
			aborts = append(aborts, i)
			continue
		}
		byKind[i.Kind] = append(byKind[i.Kind], i)
	}
	u.readPushes(u.ctx, slices.Concat(byKind[plan.FoundTag], byKind[plan.FoundHistory], byKind[plan.Rebuilt], byKind[plan.RebuiltBlob]))
	for _, kind := range []plan.Kind{
		plan.Directory, plan.Blob, plan.Upload, plan.LayerLink, plan.RevisionLink, plan.TagHistory, plan.ReferrerTag, plan.Tag,
		plan.FoundTag, plan.FoundHistory, plan.Rebuilt, plan.RebuiltBlob,
	} {
		intents := byKind[kind]
		slices.Reverse(intents)
		if kind.Writes() {
			u.unwriteAll(intents)
		} else {
			for _, level := range topDown(intents) {
				u.restoreAll(level)
			}
		}
		if u.out.Interrupted {
			return nil
		}
		if err := u.journal.ours(); err != nil {
			return err
		}
	}
	u.recordAborts(aborts)
	return nil
}

// finish marks the run as undone, once nothing is kept any more that is to come
// back. Of a run whose journal is damaged only the quarantine knows that.
func (u *undoer) finish() error {
	if u.out.Interrupted {
		return nil
	}
	if err := u.restoreStrays(); err != nil {
		return err
	}
	_, listed := u.store.(backend.Quarantiner)
	if u.out.Interrupted || u.out.Total().Failed > 0 || u.damage != "" && !listed {
		return nil
	}
	if err := syncStore(u.ctx, u.store); err != nil {
		return fmt.Errorf("what was done may not last: %w", err)
	}
	return u.journal.finish(record{Undone: &mark{time.Now().UTC()}})
}

func (u *undoer) stopped() bool {
	if u.ctx.Err() != nil {
		u.out.Interrupted = true
	}
	return u.out.Interrupted || u.journal.ours() != nil
}

// record counts what became of one key. What stands in the way of an undo is a
// reason to leave it; what the store could not do is a failure.
func (u *undoer) record(i *intent, err error) {
	step := plan.Step{Op: i.Op, Kind: i.Kind, Key: i.Key, Finding: i.Finding, Digest: i.Digest, Bytes: i.Bytes, Upload: i.Upload}
	switch {
	case err == nil && i.Finding == "": // a directory that the run had emptied
		if u.succeeded(i) {
			u.out.Directories++
		}
	case err == nil && i.Step == "":
		u.out.addDone(&step)
	case err == nil:
		u.recordRestored(i)
	case errors.Is(err, fs.ErrExist):
		u.out.addNotDone(NotDone{Step: step, Reason: "something else stands there now"})
	case errors.Is(err, errLost) && u.purging:
		u.out.addNotDone(NotDone{Step: step, Reason: "was given up for good by a purge"})
	case errors.Is(err, errLost), errors.Is(err, errRewritten), errors.Is(err, errAborted), errors.Is(err, errNeeded), errors.Is(err, backend.ErrAltered):
		u.out.addNotDone(NotDone{Step: step, Reason: cause(err).Error()})
	default:
		u.out.addNotDone(NotDone{Step: step, Reason: cause(err).Error(), Failed: true})
	}
}

// recordRestored counts what came back of a step that took away several things: as
// one.
func (u *undoer) recordRestored(i *intent) {
	u.out.addBytes(i.Finding, i.Bytes)
	if i.Kind != plan.Directory && !u.restoredSteps[i.Step] {
		u.out.note(&plan.Step{Op: i.Op, Kind: i.Kind, Key: i.Step, Finding: i.Finding}, fateDone)
		u.restoredSteps[i.Step] = true
	}
}
