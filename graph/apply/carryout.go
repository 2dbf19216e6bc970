package apply

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
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
		if kind == plan.Directory {
			do = r.runDirectories
		}
		if err := do(ctx, steps); err != nil || r.out.Interrupted {
			return err
		}
		r.unsyncedLinks = r.unsyncedLinks || ofLinks && !kind.Writes()
	}
	return nil
}

// syncLinks makes last that links are gone, before what they led to goes. If it
// can't, nothing more is done.
func (r *run) syncLinks(ctx context.Context) {
	r.unsyncedLinks = false
	if err := syncStore(ctx, r.Store); err != nil {
		r.stopReason = "links that went could come back after a power failure: " + err.Error()
	}
}

// syncStore returns once all that was changed in a store lasts.
func syncStore(ctx context.Context, s backend.Store) error {
	if k, ok := s.(backend.Settler); ok {
		return k.Settle(context.WithoutCancel(ctx))
	}
	return nil
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
	if err := r.journal.ours(); err != nil {
		return err
	}
	results := make([]*stepResult, len(steps))
	for i, s := range steps {
		results[i] = &stepResult{step: s, reason: r.skipReason(s)}
	}
	aborts, others := splitAborts(results)
	r.recheckBlobs(ctx, others)
	r.forEach(others, func(w *stepResult) { r.check(ctx, w) })
	r.checkAborts(ctx, aborts, others)
	if err := r.writeIntents(results); err != nil {
		return err
	}
	if steps[0].Op == plan.Write {
		r.written = true
		r.forEach(results, func(w *stepResult) { r.write(ctx, w) })
	} else {
		r.abortUploads(ctx, aborts)
		r.remove(ctx, others)
	}
	return r.recordReceipts(results)
}

// forEach calls do with all works that aren't left, several at once; at once with
// those that were looked at already, which asks nobody.
func (r *run) forEach(results []*stepResult, do func(*stepResult)) {
	var g errgroup.Group
	g.SetLimit(r.Workers)
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

// writeIntents puts what is about to be done on the disk.
func (r *run) writeIntents(results []*stepResult) error {
	for _, w := range results {
		if w.reason != "" {
			continue
		}
		for i := range w.intents {
			if err := r.journal.add(record{Intent: &w.intents[i]}); err != nil {
				return err
			}
		}
	}
	return r.journal.sync()
}
