package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// Undo restores what a run removed, and removes what it wrote; id "" is the newest run that
// can be undone. Keys that were written since are never replaced, and what they need isn't
// removed: they are skipped and reported. Later runs that removed something for good are
// reported too. If a guard refuses, the error is a *Refused; an unknown run is
// journal.ErrNoRun. An undo that a crash or ctx ended is continued by the next call; until it
// is complete, nothing else may change the store. If the store could not do all of it, it
// remains unfinished.
func Undo(ctx context.Context, s backend.Store, state, id string) (*Outcome, error) {
	named := id != ""
	p, err := findUndoable(state, id, named, journal.Ends, nil)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, s, backend.Run{ID: p.ID, Keep: true})
	if err != nil {
		return nil, err
	}
	out, err := undoLocked(ctx, s, state, p.ID, named)
	if again := unlock(); err == nil && again != nil {
		err = fmt.Errorf("unlock: %w", again)
	}
	return out, err
}

// findUndoable returns the run to undo, and adds the runs since to later, unless it is nil. A
// damaged run must be named by the user; the ends of a journal don't show all damage.
func findUndoable(state, id string, named bool, of journal.Extent, later *laterRuns) (*journal.Run, error) {
	for p, err := range journal.Newest(state, of) {
		if err != nil {
			return nil, err
		}
		can := p.Summary().CanUndo()
		switch {
		case p.ID == id && !can && !p.Undone:
			return nil, &Refused{[]Refusal{{
				Why: "nothing of run " + id + " is kept any more",
				How: "What it removed can't be restored.",
			}}}
		case !named && can && p.Damage != "":
			return nil, &Refused{[]Refusal{{
				Why: "run " + p.ID + ", the newest, is damaged: " + p.Damage,
				How: "Name it to restore what it kept, as far as that is known: regfsck undo STORE " + p.ID + ".",
			}}}
		case p.ID == id, id == "" && can:
			return p, nil
		case can:
			return nil, &Refused{[]Refusal{{
				Why: "run " + p.ID + " is newer",
				How: "Runs are undone newest first: undo that one first. Don't purge it: that deletes for good what it removed, which this run may need.",
			}}}
		case later != nil:
			later.add(p)
		}
	}
	if id == "" {
		return nil, fmt.Errorf("%w that could be undone in %s", journal.ErrNoRun, state)
	}
	return nil, fmt.Errorf("%w in %s: %s", journal.ErrNoRun, state, id)
}

// undoer is the state of Undo.
type undoer struct {
	*journal.Run
	store         backend.Store
	run           backend.Run
	out           *Outcome
	journal       *journal.Journal
	ctx           context.Context // ends when the undo must stop
	restoredSteps map[string]bool // steps of which something was restored
	restoredKeys  map[string]bool // keys that were removed and exist now
	existing      map[string]bool // keys that may never have been removed: they exist, and there is no receipt
	later         laterRuns
	pushes        pushedSince // since the run began
	keptFirst     int64       // bytes that the run kept at first; only needed for copies that replaced an empty file
}

func undoLocked(ctx context.Context, s backend.Store, state, id string, named bool) (*Outcome, error) {
	later := laterRuns{written: map[string]bool{}}
	p, err := findUndoable(state, id, named, journal.Whole, &later) // again, under the lock
	if err != nil {
		return nil, err
	}
	later.addElsewhere(ctx, s, state, p.Begin.Time)
	u := &undoer{Run: p, store: s, run: storeRun(p), ctx: ctx, later: later, restoredSteps: map[string]bool{}, restoredKeys: map[string]bool{}, existing: map[string]bool{}}
	u.out = &Outcome{Run: p.ID, Plan: p.Begin.Plan, Resumed: p.UndoBegun, Counts: map[finding.Kind]Tally{}}
	if p.Undone {
		if left, _, err := compareKept(ctx, p, s); err != nil || len(left) == 0 {
			return u.out, err
		}
	}
	u.out.Damage, u.out.RemovedLater, u.out.RemovedElsewhere = p.Damage, later.removed, later.elsewhere
	if u.journal, err = openJournal(ctx, p, s); err != nil {
		return nil, err
	}
	err = u.journal.Add(journal.Record{Undo: &journal.Mark{Time: time.Now().UTC()}})
	if err == nil {
		err = u.journal.Sync()
	}
	if err == nil && !p.Undone {
		err = u.undoKinds()
	}
	if err == nil {
		err = u.finish()
	}
	return u.out, cmp.Or(err, u.journal.Close())
}

// undoKinds undoes kind by kind, in reverse order.
func (u *undoer) undoKinds() error {
	byKind := map[plan.Kind][]journal.Intent{}
	var aborts []journal.Intent
	for _, i := range u.Intents {
		if i.Op == plan.Abort {
			aborts = append(aborts, i)
			continue
		}
		byKind[i.Kind] = append(byKind[i.Kind], i)
	}
	if slices.ContainsFunc(byKind[plan.HealedBlob], func(i journal.Intent) bool { return i.Stood && i.Was == 0 }) {
		var err error
		if u.keptFirst, err = u.keptOf(u.ctx, u.Intents...); err != nil {
			return err
		}
	}
	undo := func(kinds ...plan.Kind) error {
		for _, kind := range kinds {
			intents := byKind[kind]
			slices.Reverse(intents)
			if kind.Writes() {
				u.unwriteAll(intents)
			} else {
				for level := range topDown(intents) {
					u.restoreAll(level)
				}
			}
			if u.out.Interrupted {
				return nil
			}
			if err := u.journal.CheckOwned(); err != nil {
				return err
			}
		}
		return nil
	}
	err := undo(plan.Directory, plan.Blob, plan.Upload, plan.LayerLink, plan.RevisionLink, plan.TagHistory, plan.ReferrerTag, plan.Tag)
	if err != nil || u.out.Interrupted {
		return err
	}
	// A link that was written since may need what is restored.
	u.readPushes(u.ctx, slices.Concat(byKind[plan.FoundTag], byKind[plan.FoundHistory], byKind[plan.Rebuilt], byKind[plan.RebuiltBlob], byKind[plan.HealedBlob]))
	err = undo(plan.FoundTag, plan.FoundHistory, plan.Rebuilt, plan.RebuiltBlob, plan.HealedBlob)
	if err != nil || u.out.Interrupted {
		return err
	}
	u.recordAborts(aborts)
	return nil
}

// finish marks the run as undone if nothing remains to restore. If its journal is damaged,
// only the quarantine shows that.
func (u *undoer) finish() error {
	if u.out.Interrupted {
		return nil
	}
	if err := u.restoreStrays(); err != nil {
		return err
	}
	if u.out.Interrupted || u.out.Steps.Failed > 0 {
		return nil
	}
	if u.Damage != "" {
		switch _, err := u.store.Quarantined(context.WithoutCancel(u.ctx), u.run); {
		case errors.Is(err, errors.ErrUnsupported):
			return nil
		case err != nil:
			return err
		}
	}
	if err := syncStore(u.ctx, u.store); err != nil {
		return fmt.Errorf("the changes may not survive a power failure: %w", err)
	}
	return u.journal.Finish(journal.Record{Undone: &journal.Mark{Time: time.Now().UTC()}})
}

func (u *undoer) stopped() bool {
	if u.ctx.Err() != nil {
		u.out.Interrupted = true
	}
	return u.out.Interrupted || u.journal.CheckOwned() != nil
}

// record counts the result for one key: skipped if something prevents its undo, failed if the
// store could not do it.
func (u *undoer) record(i *journal.Intent, err error) {
	step := plan.Step{Op: i.Op, Kind: i.Kind, Key: i.Key, Finding: i.Reason(), Digest: i.Digest, Bytes: i.Bytes, Upload: i.Upload}
	if err == nil && i.Op == plan.Remove && !u.existing[i.Key] {
		u.restoredKeys[i.Key] = true
	}
	switch {
	case err == nil && i.Finding == "": // a directory that the run emptied
		if u.succeeded(i) {
			u.out.Directories++
		}
	case err == nil && i.Step == "":
		u.out.addDone(&step)
	case err == nil:
		u.recordRestored(i)
	case errors.Is(err, fs.ErrExist):
		u.out.addNotDone(NotDone{Step: step, Reason: "something else is there now"})
	case errors.Is(err, errLost) && u.PurgeBegun:
		u.out.addNotDone(NotDone{Step: step, Reason: "was deleted by a purge"})
	case errors.Is(err, errLost), errors.Is(err, errRewritten), errors.Is(err, errAborted), errors.Is(err, errNeeded), errors.Is(err, errUnkept), errors.Is(err, errOnly), errors.Is(err, backend.ErrAltered):
		u.out.addNotDone(NotDone{Step: step, Reason: backend.Cause(err).Error()})
	default:
		u.out.addNotDone(NotDone{Step: step, Reason: backend.Cause(err).Error(), Failed: true})
	}
}

// recordRestored counts the restoration of a step with several keys once.
func (u *undoer) recordRestored(i *journal.Intent) {
	u.out.addBytes(i.Reason(), i.Bytes)
	if i.Kind != plan.Directory && !u.restoredSteps[i.Step] {
		u.out.note(&plan.Step{Op: i.Op, Kind: i.Kind, Key: i.Step, Finding: i.Reason()}, fateDone)
		u.restoredSteps[i.Step] = true
	}
}

// unwriteAll removes the links and blobs that the run wrote, and restores what they replaced.
func (u *undoer) unwriteAll(intents []journal.Intent) {
	for batch := range slices.Chunk(intents, batchSize) {
		if u.stopped() {
			return
		}
		reasons := make([]error, len(batch))
		var g errgroup.Group
		g.SetLimit(defaultWorkers)
		for i := range batch {
			g.Go(func() error {
				reasons[i] = u.unwrite(context.WithoutCancel(u.ctx), &batch[i])
				return nil
			})
		}
		g.Wait()
		for i := range batch {
			u.record(&batch[i], reasons[i])
		}
	}
	if u.out.Steps.Failed > 0 {
		return
	}
	for i := range intents {
		if err := u.removeMadeDirs(&intents[i]); err != nil {
			u.record(&intents[i], err)
		}
	}
}

// unwrite undoes one write. A file with the earlier content is undone already; one with other
// content was written since.
func (u *undoer) unwrite(ctx context.Context, i *journal.Intent) error {
	if i.Kind == plan.HealedBlob {
		return u.unheal(ctx, i)
	}
	is, err := content(ctx, u.store, i.Key)
	if err != nil || is != string(i.Body) { // believed only if seen twice
		is, err = content(ctx, u.store, i.Key)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case i.Stood && is == string(i.Content):
		return nil
	case is != string(i.Body) && (u.succeeded(i) || !strings.HasPrefix(string(i.Body), is)): // otherwise it may be a part of an interrupted write
		return fs.ErrExist
	default:
		if err := u.removeWritten(ctx, i); err != nil {
			return err
		}
	}
	if !i.Stood {
		return nil
	}
	reasons := make([]error, 1)
	u.restore([]journal.Intent{*i}, reasons)
	if errors.Is(reasons[0], errLost) || errors.Is(reasons[0], backend.ErrAltered) { // the journal has it too
		return u.store.Put(ctx, backend.Run{ID: u.ID}, i.Key, []byte(i.Content), 0).Err
	}
	return reasons[0]
}

// removeWritten removes what the run wrote, if nothing needs it.
func (u *undoer) removeWritten(ctx context.Context, i *journal.Intent) error {
	if err := u.checkUnchanged(ctx, i.Key); err != nil {
		return err
	}
	if err := u.checkUnneeded(i); err != nil {
		return err
	}
	return u.removeKey(ctx, i.Key)
}

// errRewritten means that a link has the run's content but was written again.
var errRewritten = errors.New("was written again since, and may be needed")

// checkUnchanged returns an error if a link was written since: a registry writes existing
// links again at a push, and needs them from then on.
func (u *undoer) checkUnchanged(ctx context.Context, key string) error {
	wrote := u.Receipts[key].Time
	if wrote == 0 {
		return nil
	}
	item, err := u.store.Stat(ctx, key)
	if err == nil && item.Modified != wrote {
		err = errRewritten
	}
	return err
}

// removeKey removes a key for good, without its directory. That it is missing must be
// reported twice.
func (u *undoer) removeKey(ctx context.Context, key string) error {
	err := u.removeKeyOnce(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		err = u.removeKeyOnce(ctx, key)
	}
	return err
}

func (u *undoer) removeKeyOnce(ctx context.Context, key string) error {
	all := u.store.Remove(ctx, backend.Run{ID: u.ID, UndoPut: true}, []string{key})
	if len(all) != 1 {
		return errNoAnswer
	}
	return all[0].Err
}

// removeMadeDirs removes the directories that were created for a write, if they are empty.
func (u *undoer) removeMadeDirs(i *journal.Intent) error {
	if i.Made == "" {
		return nil
	}
	ctx := context.WithoutCancel(u.ctx)
	for dir := path.Dir(i.Key); len(dir) >= len(i.Made); dir = path.Dir(dir) {
		switch err := u.removeKey(ctx, dir+"/"); {
		case errors.Is(err, backend.ErrNotEmpty):
			return nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}
