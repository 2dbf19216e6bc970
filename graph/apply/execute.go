package apply

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// carryOut does what is to be done, kind after kind.
func (r *run) carryOut(ctx context.Context, todo []*plan.Step) error {
	if p := r.Scan.Progress; p != nil {
		p.Phase("apply")
		p.Total(int64(len(todo)), "steps")
	}
	for kind, steps := range byKind(todo) {
		if !kind.Writes() && len(steps) > 0 {
			if r.written && !r.removing {
				r.rereadAfterWrites(ctx, todo)
			}
			r.removing = true
		}
		if r.out.Interrupted {
			return nil
		}
		ofLinks := kind.Stage() <= plan.LayerLink.Stage()
		if r.unsyncedLinks && !ofLinks {
			r.syncLinks(ctx)
		}
		do := r.runKind
		switch kind {
		case plan.HealedBlob:
			do = func(ctx context.Context, steps []*plan.Step) error {
				return r.runCopies(ctx, steps, len(todo)-len(steps))
			}
		case plan.Directory:
			do = r.runDirectories
		}
		if err := do(ctx, steps); err != nil || r.out.Interrupted {
			return err
		}
		r.unsyncedLinks = r.unsyncedLinks || ofLinks && !kind.Writes()
	}
	return nil
}

// syncLinks syncs the removal of links, before what they led to is removed. If it
// can't, nothing more is done.
func (r *run) syncLinks(ctx context.Context) {
	r.unsyncedLinks = false
	if err := syncStore(ctx, r.Store); err != nil {
		r.stopReason = "removed links could come back after a power failure: " + err.Error()
	}
}

// syncStore returns once all that was changed in a store lasts.
func syncStore(ctx context.Context, s backend.Store) error {
	return s.Sync(context.WithoutCancel(ctx))
}

// byKind splits steps by kind. Directories come last, whether or not a step speaks
// of one.
func byKind(todo []*plan.Step) func(yield func(plan.Kind, []*plan.Step) bool) {
	return func(yield func(plan.Kind, []*plan.Step) bool) {
		for len(todo) > 0 && todo[0].Kind != plan.Directory {
			n := slices.IndexFunc(todo, func(s *plan.Step) bool { return s.Kind != todo[0].Kind })
			if n < 0 {
				n = len(todo)
			}
			if !yield(todo[0].Kind, todo[:n]) {
				return
			}
			todo = todo[n:]
		}
		yield(plan.Directory, todo)
	}
}

// runKind carries out the steps of one kind.
func (r *run) runKind(ctx context.Context, steps []*plan.Step) error {
	before := len(r.failedKeys)
	for batch := range slices.Chunk(steps, batchSize) {
		if ctx.Err() != nil {
			r.out.Interrupted = true
			return nil
		}
		if err := r.runBatch(context.WithoutCancel(ctx), batch); err != nil {
			return err
		}
	}
	if len(r.failedKeys) > before {
		r.rejudge(ctx)
	}
	return nil
}

// runBatch carries out some steps of one kind: conditions, intents, changes,
// receipts. ctx doesn't end.
func (r *run) runBatch(ctx context.Context, steps []*plan.Step) error {
	if err := r.journal.CheckOwned(); err != nil {
		return err
	}
	results := make([]*stepResult, len(steps))
	for i, s := range steps {
		results[i] = &stepResult{step: s, reason: r.skipReason(s)}
	}
	aborts, others := splitAborts(results)
	r.recheckBlobs(ctx, others)
	checked := ctx
	if r.copying { // corrupt bytes are hashed again, which may take long
		checked = r.copyCtx
	}
	r.forEach(others, func(w *stepResult) { r.check(checked, w) })
	if checked.Err() != nil {
		r.out.Interrupted = true
		return nil
	}
	r.checkAborts(ctx, aborts, others)
	if err := r.writeIntents(results); err != nil {
		return err
	}
	if steps[0].Op == plan.Write {
		r.written = true
		r.writeEach(ctx, results)
	} else {
		r.abortUploads(ctx, aborts)
		r.remove(ctx, others)
	}
	return r.recordReceipts(results)
}

// forEach calls do with all results of steps that aren't skipped, several at once;
// without a goroutine where the file was rechecked already, which asks nobody.
func (r *run) forEach(results []*stepResult, do func(*stepResult)) {
	r.forEachOf(results, r.Workers, do)
}

// forEachOf is forEach with so many at once.
func (r *run) forEachOf(results []*stepResult, workers int, do func(*stepResult)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for _, w := range results {
		switch {
		case w.reason != "":
		case w.rechecked != nil && !w.step.Corrupt:
			do(w)
		default:
			g.Go(func() error {
				do(w)
				return nil
			})
		}
	}
	g.Wait()
}

// Small files are written smallWrites at once, however few workers there are: they wait
// for the disk together. No more than the workers read from sources meanwhile, or write a
// file that isn't small.
const (
	smallWrites = 256
	smallWrite  = 1 << 20 // bytes at most
)

// writeEach writes what results say.
func (r *run) writeEach(ctx context.Context, results []*stepResult) {
	workers := r.Workers
	if workers > 1 { // one alone does one thing after the other
		workers = max(workers, smallWrites)
	}
	slots := make(slots, r.Workers)
	r.forEachOf(results, workers, func(w *stepResult) {
		release := slots.take()
		defer release()
		if w.step.Bytes > smallWrite {
			r.write(ctx, w, func() {})
		} else {
			r.write(ctx, w, release)
		}
	})
}

// slots are as many as may do something at once.
type slots chan struct{}

// take waits for a slot. What it returns gives the slot back, at its first call.
func (s slots) take() (release func()) {
	s <- struct{}{}
	return sync.OnceFunc(func() { <-s })
}

// writeIntents puts what is about to be done on the disk.
func (r *run) writeIntents(results []*stepResult) error {
	for _, w := range results {
		if w.reason != "" {
			continue
		}
		for i := range w.intents {
			if err := r.journal.Add(journal.Record{Intent: &w.intents[i]}); err != nil {
				return err
			}
		}
	}
	return r.journal.Sync()
}

// remove removes the keys of results, in as many calls as there are workers.
func (r *run) remove(ctx context.Context, results []*stepResult) {
	results = pending(results)
	if len(results) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(results, (len(results)+r.Workers-1)/r.Workers) {
		g.Go(func() error {
			var keys []string
			for _, w := range part {
				for i := range w.intents {
					keys = append(keys, w.intents[i].Key)
				}
			}
			if len(keys) == 0 {
				return nil
			}
			receipts := r.Store.Remove(ctx, r.Run, keys)
			for _, w := range part {
				n := min(len(w.intents), len(receipts))
				w.receipts, receipts = receipts[:n], receipts[n:]
			}
			return nil
		})
	}
	g.Wait()
}

// write writes a link or a blob, and reads it back. It calls read once the bytes that are
// to be written were read.
func (r *run) write(ctx context.Context, w *stepResult, read func()) {
	in := &w.intents[0]
	if in.Kind == plan.HealedBlob {
		r.heal(ctx, w, read)
		return
	}
	read()
	receipt := r.Store.Put(ctx, r.Run, in.Key, []byte(in.Body), w.step.Time*1e9)
	w.receipts = []backend.Receipt{receipt}
	if receipt.Err != nil {
		return
	}
	if is, err := r.content(ctx, in.Key); err != nil {
		w.fail(fmt.Errorf("written, but can't be read back: %w", err))
	} else if is != string(in.Body) {
		w.fail(errors.New("written, but it reads back differently"))
	} else if item, err := r.Store.Stat(ctx, in.Key); err == nil {
		w.time = item.Modified
	}
}

// recordReceipts writes the receipts of results, and counts what became of them.
func (r *run) recordReceipts(results []*stepResult) error {
	for _, w := range results {
		if w.cut {
			r.out.Interrupted = true
			continue
		}
		for i := range w.receipts {
			said := receiptOf(&w.receipts[i])
			said.Upload, said.Time = w.upload.ID, w.time
			if err := r.journal.Add(journal.Record{Receipt: said}); err != nil {
				return err
			}
			if w.receipts[i].Err == nil {
				r.out.Freed += w.receipts[i].Freed
				r.out.Kept += w.receipts[i].Kept
			}
		}
		r.recordResult(w)
	}
	if p := r.Scan.Progress; p != nil && !r.copying { // of copies the bytes are counted
		p.Add(int64(len(results)))
	}
	return nil
}

func receiptOf(b *backend.Receipt) *journal.Receipt {
	out := &journal.Receipt{Key: b.Key, Freed: b.Freed, Kept: b.Kept, Undo: b.Undo}
	if b.Err != nil {
		out.Err = b.Err.Error()
	}
	return out
}

// errNoAnswer is a store that gave fewer answers than it was asked for.
var errNoAnswer = errors.New("the store did not say whether it was done")

// recordResult counts a step as done, skipped or failed.
func (r *run) recordResult(w *stepResult) {
	for i := range w.receipts {
		err := w.receipts[i].Err
		switch {
		case err == nil && w.step.Op == plan.Remove:
			r.markEmptiedAbove(w.receipts[i].Key)
			if w.step.Kind == plan.Upload { // several of a directory may be removed at once
				r.markEmptied(path.Dir(w.receipts[i].Key))
			}
		case err != nil && w.reason == "":
			w.fail(backend.Cause(err))
		}
	}
	if w.reason == "" && len(w.receipts) < len(w.intents) {
		w.fail(errNoAnswer)
	}
	if w.reason != "" {
		r.recordNotDone(w)
		return
	}
	for _, dir := range w.dirs {
		r.emptied[dir] = true
	}
	r.out.addDone(w.step)
}

// recheck is what a direct look at a file showed, now.
type recheck struct {
	item backend.Item
	err  error
}

// recheckBlobs rechecks the blobs of results together, which drivers do faster.
func (r *run) recheckBlobs(ctx context.Context, results []*stepResult) {
	var blobs []*stepResult
	for _, w := range results {
		if w.reason == "" && w.step.Op == plan.Remove && w.step.Kind == plan.Blob {
			blobs = append(blobs, w)
		}
	}
	if len(blobs) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(blobs, (len(blobs)+r.Workers-1)/r.Workers) {
		g.Go(func() error {
			keys := make([]string, len(part))
			for i, w := range part {
				keys[i] = w.step.Key
			}
			items, errs := backend.Stats(ctx, r.Store, keys)
			for i, w := range part {
				w.rechecked = &recheck{items[i], errs[i]}
			}
			return nil
		})
	}
	g.Wait()
}

// openJournal opens the journal of a run. The store has been locked before, and says
// whether it still is.
func openJournal(ctx context.Context, p *journal.Run, s backend.Store) (*journal.Journal, error) {
	if err := checkOwner(p, s); err != nil {
		return nil, err
	}
	j, err := p.Open(locked(ctx, s))
	if errors.Is(err, journal.ErrBusy) {
		return nil, &Refused{[]Refusal{{
			Why: err.Error(),
			How: "That run is still running, or was suspended (Ctrl-Z): let it finish, or end it.",
		}}}
	}
	return j, err
}

// checkOwner returns why a run isn't one of the store's.
func checkOwner(p *journal.Run, s backend.Store) error {
	err := s.Recorded(p.Begin.Store)
	if errors.Is(err, backend.ErrOther) {
		return &Refused{[]Refusal{claimRefusal("run " + p.ID + ": " + err.Error())}}
	}
	return err
}

// locked returns what says why a store that was locked may be another run's by now.
func locked(ctx context.Context, s backend.Store) func() error {
	ctx = context.WithoutCancel(ctx)
	return func() error { return s.Held(ctx) }
}
