package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// run is one run at work.
type run struct {
	Input
	out           *Outcome
	unfinished    []*past   // runs that were interrupted, the newest first: that may be resumed, the others are finished
	lastBegan     time.Time // when the last run began
	journal       *journal
	otherJournals []*journal // of the runs that this one finishes

	scan            *graph.Scan
	roots           map[string]bool // what is kept besides what the policy keeps
	justified       map[change]*plan.Step
	failedKeys      []string          // keys of steps that were left for a reason of their own
	dependentReason string            // why a step that doesn't follow any more doesn't
	stopReason      string            // why nothing more is done, "" while it is
	partialTags     map[string]string // tags whose history could not go as a whole, and the entry that stayed
	emptied         map[string]bool   // directories that may be empty now
	written         bool              // a link was written
	removing        bool              // the removals have begun
	unsyncedLinks   bool              // links went, and a power failure may give them back
	dirsLeft        bool              // the store could not remove a directory

	uploads map[string]backend.Upload // the multipart uploads as the run found them, once it has asked
}

// Run carries a plan out. Where a guard objects the error is a *Refused and
// nothing was changed; where ctx ended before anything was changed it is ctx's.
// Once something was changed there is an Outcome, with an error only where the
// journal could not be written any more: the run stops there, and can be taken
// up again or undone like one that crashed. A run that ctx ends stops before
// the next batch, and its Outcome says so.
func Run(ctx context.Context, in Input) (*Outcome, error) {
	r := newRun(in)
	if err := r.guard(ctx); err != nil {
		return nil, err
	}
	if len(r.Plan.Steps) == 0 && r.Facts.Unfinished == "" {
		return r.out, nil
	}
	unlock, err := lock(ctx, r.Store, r.Run)
	if err != nil {
		return nil, err
	}
	out, err := r.runLocked(ctx)
	if again := unlock(); err == nil && again != nil {
		err = fmt.Errorf("unlock: %w", again)
	}
	return out, err
}

func newRun(in Input) *run {
	if in.Now == nil {
		in.Now = time.Now
	}
	if in.Workers <= 0 {
		in.Workers = defaultWorkers
	}
	if in.Run.ID == "" {
		in.Run.ID = NewID(in.Now())
	}
	in.Plan = &plan.Plan{Steps: slices.Clone(in.Plan.Steps)}
	slices.SortStableFunc(in.Plan.Steps, func(a, b plan.Step) int { return cmp.Compare(a.Kind.Stage(), b.Kind.Stage()) })
	in.Scan.Lost = 0 // nobody counts what nobody sees
	if in.Scan.Removal != nil {
		in.Scan.Removal = in.Plan.Removal()
	}
	return &run{
		Input:       in,
		out:         &Outcome{Plan: in.Plan.ID(), Counts: map[string]Tally{}, Keep: in.Run.Keep},
		roots:       maps.Clone(in.Scan.Keep),
		partialTags: map[string]string{}, emptied: map[string]bool{},
	}
}

// guard looks at all that needs no scan.
func (r *run) guard(ctx context.Context) (err error) {
	if r.Facts, err = Look(ctx, r.Store, r.State, r.Facts); err != nil {
		return err
	}
	if k, ok := r.Store.(interface{ CanKeep(context.Context) error }); ok && r.Run.Keep && r.Plan.TakesAway() {
		switch err := k.CanKeep(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.Facts.CanNotKeep(err)
		}
	}
	if reasons := factRefusals(r.Plan, r.Limits, r.Facts); len(reasons) > 0 {
		return &Refused{reasons}
	}
	return nil
}

// lock keeps others out of the store, where it can be locked.
func lock(ctx context.Context, s backend.Store, b backend.Run) (unlock func() error, err error) {
	l, ok := s.(backend.Locker)
	if !ok {
		return func() error { return nil }, nil
	}
	unlock, err = l.Lock(ctx, b)
	if errors.Is(err, backend.ErrLocked) {
		return nil, &Refused{[]Refusal{{Why: err.Error(), How: "Wait until it has ended."}}}
	}
	if errors.Is(err, backend.ErrRetained) {
		return nil, &Refused{[]Refusal{retentionRefusal(err.Error())}}
	}
	if errors.Is(err, backend.ErrOther) || errors.Is(err, statedir.ErrShared) {
		return nil, &Refused{[]Refusal{claimRefusal(err.Error())}}
	}
	return unlock, err
}

// runLocked does all that is done under the lock.
func (r *run) runLocked(ctx context.Context) (*Outcome, error) {
	if err := r.guard(ctx); err != nil { // the state may have changed before the lock was held
		return nil, err
	}
	if err := r.findUnfinished(); err != nil {
		return nil, err
	}
	if r.out.Resumed {
		if err := r.finishDirectories(ctx); err != nil {
			return nil, err
		}
		r.out.Interrupted, r.dirsLeft = false, false
	}
	todo, err := r.justify(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.beginJournal(ctx); err != nil {
		return nil, err
	}
	err = r.carryOut(ctx, todo)
	if err == nil {
		err = r.endJournals(ctx)
	}
	if again := r.closeJournals(); err == nil {
		err = again
	}
	return r.summary(ctx), err
}

// summary sums up what became of the run.
func (r *run) summary(ctx context.Context) *Outcome {
	at := map[string]int{}
	for i := range r.Plan.Steps {
		at[r.Plan.Steps[i].FullKey()] = i
	}
	slices.SortStableFunc(r.out.NotDone, func(a, b NotDone) int { return cmp.Compare(at[a.Step.FullKey()], at[b.Step.FullKey()]) })
	if !r.Run.Keep || !r.out.Resumed && r.out.Total().Failed == 0 {
		return r.out
	}
	if p, err := readPast(r.State, r.Run.ID); err == nil { // some may have gone without a receipt
		if kept, err := p.kept(context.WithoutCancel(ctx), r.Store, r.State); err == nil {
			r.out.Kept = kept
		}
	}
	return r.out
}
