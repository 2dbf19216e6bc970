// Package apply carries plans out, and undoes what it did. It is the only package
// that is given a Store.
//
// A plan is never trusted. With the store locked, all links are listed again. Where
// they aren't exactly what they were when the plan was made, or the plan wasn't made
// just now, the whole store is read again. That is judged under the plan's policy,
// and every step has to result from it again, with the same precondition. What
// results besides is not done and counts as a root, so that no step depends on
// another that nobody carries out. The plan of a removal is its policy: exactly what
// it names is removed, and all else is a root.
// If that holds and no guard objects, the steps run kind after kind, in an
// order in which an interruption leaves garbage and never a reference to
// something that was removed:
//
//	links that are rebuilt; then, the store read once more, tags' history, tags,
//	revision links, layer links, uploads, blobs, and at last empty directories
//
// Among the uploads are multipart uploads. They are given up for good,
// and an undo says so.
//
// The removal of links is synced before what they led to is removed.
//
// Within a kind, batches run in parallel inside. Each step's precondition is
// checked against the store as it is now; then the intents of the batch go to
// the journal and are synced; then the store is changed; then the receipts
// follow. A step that failed, or whose precondition doesn't hold any more,
// makes its object a root: the store is judged again with it, and later steps
// that don't come out again are skipped and named.
//
// The journal is in the state directory, runs/<run>/journal.jsonl, with the
// plan beside it. A run that ended anywhere, by a crash too, can be resumed with
// the same plan, finished by whatever runs next, or undone.
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

// Input is what a run needs to know.
type Input struct {
	Store backend.Store // it is locked for the run
	Scan  check.Options // how the plan was made, its Policy included; Now is replaced. Its Progress counts the steps too
	Run   backend.Run   // an empty ID is made up; a run that is resumed keeps its own
	State string        // the state directory on this machine; it is made if it isn't there

	Plan   *plan.Plan    // empty, it still lets a run that was interrupted be finished
	Header plan.Header   // goes into the plan file beside the journal
	Found  *check.Result // of a reading with Scan.Again that need not be repeated if the links are the same still; or nil
	Made   bool          // Plan is what plan.New makes of Found, under Scan.Policy

	Limits  Limits
	Given   Given            // what only the caller knows
	Now     func() time.Time // nil is time.Now
	Workers int              // changes made at once; 0 for the default

	CopyRate int64 // bytes that all copies together may read in a second; 0 is no limit
}

// Limits are what a person allows.
type Limits struct {
	MaxDelete  float64 // share of the blobs, manifests, tags, links and repositories that may be removed, from 0 to 1; 1 is no limit
	MinObjects int     // where the store has fewer of a kind than that, any share of them may be removed

	AnyAmount    bool // a person has named what is removed: MaxDelete holds only for what is missing
	ByRule       bool // a rule has named what is removed, no person: manifests without a tag as well
	AllowTagless bool // manifests without a tag may be removed though a database may hold their tags
	RunningOK    bool // a registry may answer at the store's address
	NoUndoOK     bool // what is removed need not be kept for an undo
}

// The limits that hold unless a person says otherwise.
const (
	DefaultMaxDelete  = 0.25
	DefaultMinObjects = 1000
)

const (
	defaultWorkers = 8
	batchSize      = 2000
)

// run is a run that is being carried out.
type run struct {
	Input
	facts         Facts
	out           *Outcome
	unfinished    []*journal.Run     // runs that were interrupted, the newest first: that may be resumed, the others are finished
	lastBegan     time.Time          // when the last run began
	changes       *changer           // once the journal is open
	otherJournals []*journal.Journal // of the runs that this one finishes

	justification   *justification
	resumed         *resumption // of a run that had been begun before; else nil
	failedKeys      []string    // of steps that were skipped or failed for a reason of their own
	dependentReason string      // why steps are skipped that don't follow any more
	stopReason      string      // why all further steps are skipped; "" while they aren't
	emptied         emptied
	written         bool    // a link was written
	copier          *copier // while blobs are copied from sources; else nil
	copyRate        *source.Rate
	removing        bool // the removals have begun
	unsyncedLinks   bool // links were removed, and a power failure may bring them back
	dirsLeft        bool // the store could not remove a directory
}

// Run carries a plan out. Where a guard objects the error is a *Refused and
// nothing was changed; where ctx ended before anything was changed it is ctx's.
// Once something was changed there is an Outcome, with an error only where the
// journal could not be written any more: the run stops there, and can be resumed
// or undone like one that crashed. A run that ctx ends stops before
// the next batch, and in the middle of a copy, and its Outcome says so.
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
	in.Scan.Lost = 0 // nobody counts what nobody sees
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

// guard checks all that needs no scan.
func (r *run) guard(ctx context.Context) (err error) {
	if r.facts, err = FindFacts(ctx, r.Store, r.State, r.Given); err != nil {
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

// lock keeps others out of the store.
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

// summary sums up what became of the run.
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

// findUnfinished reads the last runs. Those that were interrupted are finished, and
// the very last is resumed where the plan is the same.
func (r *run) findUnfinished() error {
	all, err := journal.ReadAll(r.State, journal.Ends)
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

// beginJournal opens the journal, with the plan beside it.
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
		if r.Run.Began = r.Now(); !r.Run.Began.After(r.lastBegan) { // runs are undone in their order, whatever the clock says
			r.Run.Began = r.lastBegan.Add(1)
		}
		r.changes.run = r.Run
		err = r.changes.journal.Start(journal.Begin{
			Plan: r.out.Plan, Command: r.Header.Command, Target: r.Header.Target, Store: r.Store.Identity(),
			Keep: r.Run.Keep, Time: r.Run.Began,
		})
	}
	for _, p := range r.unfinished { // open, so that none of those that are finished too continues meanwhile
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

// open opens the journal of a run, so that changes can be made in its name.
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

// endJournals writes the journal's last line, and that of the runs that this one has
// finished, once all that they did lasts.
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
