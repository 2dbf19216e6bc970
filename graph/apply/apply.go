// Package apply carries out plans and undoes runs. It is the only package that gets a Store.
//
// A plan is never trusted. With the store locked, all links are listed again. Unless the
// plan was made in this run and they are unchanged, the whole store is read again. It is
// judged under the plan's policy, and every step must result again, with the same
// precondition. Other results are roots, so that no step depends on one that isn't carried
// out. The plan of a removal is its policy: what it lists is removed, and all else is a root.
// If no guard refuses the plan, the steps run kind by kind, in an order in which an
// interruption leaves garbage and never a reference to something removed:
//
//	rebuilt links; then, after the store is read again, tags' history, tags,
//	revision links, layer links, uploads, blobs, and finally empty directories
//
// Uploads include multipart uploads. Their abort can't be undone, and an undo reports that.
//
// The removal of links is synced before blobs are removed.
//
// The steps of a kind run in batches. Each step's precondition is checked against the store;
// then the intents of the batch are written to the journal and synced; then the store is
// changed; then the receipts are written. If a step fails or is skipped, its object becomes a
// root and the store is judged again: steps that no longer result are skipped and reported.
//
// The journal is runs/<run>/journal.jsonl in the state directory, with the plan beside it. A
// run that ended early, even by a crash, can be resumed with the same plan, finished by the
// next run, or undone.
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
	"regfsck/backend/source"
	"regfsck/backend/statedir"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// Input is the input of a run.
type Input struct {
	Store backend.Store // locked for the run
	Scan  check.Options // the options of the plan, with its Policy; Now is replaced. Its Progress counts the steps too
	Run   backend.Run   // an empty ID is replaced; a resumed run keeps its own
	State string        // the state directory, which is created if it doesn't exist

	Plan   *plan.Plan    // an empty plan still finishes an interrupted run
	Header plan.Header   // for the plan file beside the journal
	Found  *check.Result // the check of the plan, with Scan.Again, to reuse if the links are unchanged; or nil
	Made   bool          // Plan is plan.New of Found under Scan.Policy

	Limits  Limits
	Given   Given            // facts that only the caller knows
	Now     func() time.Time // nil is time.Now
	Workers int              // concurrent changes; 0 for the default

	CopyRate int64 // limit of all copies in bytes a second; 0 is none
}

// Limits limit what a run may do.
type Limits struct {
	MaxDelete  float64 // share of the blobs, manifests, tags, links and repositories that may be removed, from 0 to 1; 1 is no limit
	MinObjects int     // a kind with fewer objects may be removed without MaxDelete

	AnyAmount    bool // a person named what is removed: MaxDelete applies only to missing blobs
	ByRule       bool // a rule selected what is removed, untagged manifests included
	AllowTagless bool // untagged manifests may be removed even if a database may have their tags
	RunningOK    bool // a registry may answer at the store's address
	NoUndoOK     bool // the run need not be undoable
}

// Default limits.
const (
	DefaultMaxDelete  = 0.25
	DefaultMinObjects = 1000
)

const (
	defaultWorkers = 8
	batchSize      = 2000
)

// run is the state of Run.
type run struct {
	Input
	facts         Facts
	out           *Outcome
	unfinished    []*journal.Run     // interrupted runs, newest first: the first may be resumed, the others are finished
	lastBegan     time.Time          // when the previous run began
	changes       *changer           // set once the journal is open
	otherJournals []*journal.Journal // of the runs that this one finishes

	justification   *justification
	resumed         *resumption // of the run that is resumed; else nil
	failedKeys      []string    // of steps that were skipped or failed themselves
	dependentReason string      // why dependent steps are skipped
	stopReason      string      // why all further steps are skipped; "" for none
	emptied         emptied
	written         bool    // a link was written
	copier          *copier // while blobs are copied; else nil
	copyRate        *source.Rate
	removing        bool // removals have begun
	unsyncedLinks   bool // removals of links aren't synced
	dirsLeft        bool // the store could not remove a directory
}

// Run carries out a plan. If a guard refuses it, the error is a *Refused; if ctx ends before
// the first change, it is ctx's. After the first change there is an Outcome, and an error
// only if the journal could not be written: then the run stops, and can be resumed or undone.
// When ctx ends, the run stops before the next batch, or within a copy, and the Outcome says
// so.
func Run(ctx context.Context, in Input) (*Outcome, error) {
	r := newRun(in)
	if err := r.guard(ctx); err != nil {
		return nil, err
	}
	if len(r.Plan.Steps) == 0 && r.facts.Unfinished == "" {
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
	if in.Scan.Progress == nil {
		in.Scan.Progress = graph.Quiet{}
	}
	if in.Run.ID == "" {
		in.Run.ID = journal.NewID(in.Now())
	}
	in.Plan = &plan.Plan{Steps: slices.Clone(in.Plan.Steps)}
	slices.SortStableFunc(in.Plan.Steps, func(a, b plan.Step) int { return cmp.Compare(a.Kind.Stage(), b.Kind.Stage()) })
	in.Scan.Lost = 0 // lost images aren't reported
	if in.Scan.Removal != nil {
		in.Scan.Removal = in.Plan.Removal()
	}
	r := &run{
		Input:   in,
		out:     &Outcome{Plan: in.Plan.ID(), Counts: map[finding.Kind]Tally{}, Keep: in.Run.Keep},
		emptied: emptied{}, copyRate: source.NewRate(in.CopyRate),
	}
	r.justification = &justification{
		store: in.Store, options: in.Scan, plan: in.Plan, now: in.Now,
		ended: func(phases []graph.Phase) { r.out.Phases = append(r.out.Phases, phases...) },
		roots: map[string]bool{}, partialTags: map[string]string{},
	}
	maps.Copy(r.justification.roots, in.Scan.Keep)
	return r
}

// guard runs the checks that need no scan.
func (r *run) guard(ctx context.Context) (err error) {
	given := r.Given
	if given.States, given.StatesErr = r.Store.States(ctx); ctx.Err() != nil {
		return ctx.Err()
	}
	if r.facts, err = FindFacts(ctx, r.Store, r.State, given); err != nil {
		return err
	}
	if r.Run.Keep && r.Plan.TakesAway() {
		switch err := r.Store.CanUndo(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.facts.Given = r.facts.WithoutUndo(err)
		}
	}
	if reasons := factRefusals(r.Plan, r.Limits, r.facts); len(reasons) > 0 {
		return &Refused{reasons}
	}
	return nil
}

// lock locks the store.
func lock(ctx context.Context, s backend.Store, b backend.Run) (unlock func() error, err error) {
	unlock, err = s.Lock(ctx, b)
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

// runLocked is Run with the store locked.
func (r *run) runLocked(ctx context.Context) (*Outcome, error) {
	if err := r.guard(ctx); err != nil { // the state may have changed before the lock
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
		r.resumed = &resumption{Run: r.unfinished[0], store: r.Store}
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
	err = cmp.Or(err, r.closeJournals())
	return r.summary(ctx), err
}

// summary completes the outcome.
func (r *run) summary(ctx context.Context) *Outcome {
	r.out.checkHealed(r.stopReason != "")
	at := map[string]int{}
	for i := range r.Plan.Steps {
		at[r.Plan.Steps[i].FullKey()] = i
	}
	slices.SortStableFunc(r.out.NotDone, func(a, b NotDone) int { return cmp.Compare(at[a.Step.FullKey()], at[b.Step.FullKey()]) })
	if !r.Run.Keep || !r.out.Resumed && r.out.Steps.Failed == 0 {
		return r.out
	}
	if p, err := journal.Read(r.State, r.Run.ID, journal.Whole); err == nil { // some may have been removed without a receipt
		if kept, err := r.Store.Kept(context.WithoutCancel(ctx), storeRun(p), receiptsOf(p, r.State)); err == nil {
			r.out.Kept = kept
		}
	}
	return r.out
}

// findUnfinished reads the last runs. Interrupted ones are finished; the last one is resumed
// if its plan is the same.
func (r *run) findUnfinished() error {
	all, err := journal.ReadAll(r.State)
	if err != nil || len(all) == 0 {
		return err
	}
	r.lastBegan = all[0].Begin.Time
	if r.unfinished, err = journal.ReadUnfinished(r.State, all); err != nil || len(r.unfinished) == 0 {
		return err
	}
	if p := r.unfinished[0]; p.Begin.Plan == r.out.Plan && p.Begin.Keep == r.Run.Keep {
		r.out.Resumed, r.Run.ID, r.Run.Began = true, p.ID, p.Begin.Time
		for _, done := range p.Receipts {
			r.out.Kept += done.Kept
		}
	}
	for _, p := range r.unfinished {
		r.emptied.addOf(p)
	}
	return nil
}

// beginJournal opens the journal and saves the plan.
func (r *run) beginJournal(ctx context.Context) (err error) {
	p := journal.New(r.State, r.Run.ID)
	if r.out.Resumed {
		p = r.unfinished[0]
	} else if err := journal.Create(r.State, r.Run.ID, r.Plan, r.Header, r.Store.SetOwner); err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	if err := r.open(ctx, p); err != nil {
		return err
	}
	if err = r.changes.journal.SetOwner(r.Store.SetOwner); err == nil && !r.out.Resumed {
		if r.Run.Began = r.Now(); !r.Run.Began.After(r.lastBegan) { // runs are undone in order, whatever the clock says
			r.Run.Began = r.lastBegan.Add(1)
		}
		r.changes.run = r.Run
		err = r.changes.journal.Start(journal.Begin{
			Plan: r.out.Plan, Command: r.Header.Command, Target: r.Header.Target, Store: r.Store.Identity(),
			Keep: r.Run.Keep, Time: r.Run.Began,
		})
	}
	for _, p := range r.unfinished { // open, so that none of them can be resumed meanwhile
		if err == nil && p.ID != r.Run.ID {
			var j *journal.Journal
			if j, err = openJournal(ctx, p, r.Store); err == nil {
				r.otherJournals = append(r.otherJournals, j)
			}
		}
	}
	if err != nil {
		r.closeJournals()
		return err
	}
	r.out.Run = r.Run.ID
	return nil
}

// open opens the journal of a run, in whose name changes are then made.
func (r *run) open(ctx context.Context, p *journal.Run) error {
	j, err := openJournal(ctx, p, r.Store)
	r.changes = &changer{r.Store, r.Run, j, r.Workers}
	return err
}

// closeJournals closes the journals.
func (r *run) closeJournals() error {
	err := r.changes.journal.Close()
	for _, j := range r.otherJournals {
		err = cmp.Or(err, j.Close())
	}
	return err
}

// endJournals writes the last lines of the journal and of those of finished runs, once all
// changes are synced.
func (r *run) endJournals(ctx context.Context) error {
	if err := syncStore(ctx, r.Store); err != nil {
		return fmt.Errorf("the changes may not survive a power failure: %w", err)
	}
	err := r.changes.journal.Finish(journal.Record{End: &journal.End{Time: r.Now(), Interrupted: r.out.Interrupted, Directories: r.dirsLeft}})
	if r.out.Interrupted {
		return err
	}
	for _, j := range r.otherJournals {
		if err == nil {
			err = j.Finish(journal.Record{End: &journal.End{Time: r.Now(), By: r.Run.ID}})
		}
	}
	return err
}
