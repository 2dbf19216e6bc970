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
	for kind, steps := range stages(todo) {
		if !kind.Writes() && len(steps) > 0 {
			if r.wrote && !r.removed {
				r.readAgain(ctx, todo)
			}
			r.removed = true
		}
		if r.out.Interrupted {
			return nil
		}
		ofLinks := kind.Stage() <= plan.LayerLink.Stage()
		if r.loose && !ofLinks {
			r.tighten(ctx)
		}
		do := r.stage
		if kind == plan.Directory {
			do = r.folders
		}
		if err := do(ctx, steps); err != nil || r.out.Interrupted {
			return err
		}
		r.loose = r.loose || ofLinks && !kind.Writes()
	}
	return nil
}

// tighten makes last that links are gone, before what they led to goes. If it
// can't, nothing more is done.
func (r *run) tighten(ctx context.Context) {
	r.loose = false
	if err := settled(ctx, r.Store); err != nil {
		r.halt = "links that went could come back after a power failure: " + err.Error()
	}
}

// settled returns once all that was changed in a store lasts.
func settled(ctx context.Context, s backend.Store) error {
	if k, ok := s.(backend.Settler); ok {
		return k.Settle(context.WithoutCancel(ctx))
	}
	return nil
}

// stages splits steps by kind. Folders come last, whether or not a step speaks
// of one.
func stages(todo []*plan.Step) func(yield func(plan.Kind, []*plan.Step) bool) {
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

// stage carries out the steps of one kind.
func (r *run) stage(ctx context.Context, steps []*plan.Step) error {
	before := len(r.blame)
	for batch := range slices.Chunk(steps, batchSize) {
		if ctx.Err() != nil {
			r.out.Interrupted = true
			return nil
		}
		if err := r.batch(context.WithoutCancel(ctx), batch); err != nil {
			return err
		}
	}
	if len(r.blame) > before {
		r.rejudge(ctx)
	}
	return nil
}

// batch carries out some steps of one kind: conditions, intents, changes,
// receipts. ctx doesn't end.
func (r *run) batch(ctx context.Context, steps []*plan.Step) error {
	if err := r.journal.ours(); err != nil {
		return err
	}
	works := make([]*work, len(steps))
	for i, s := range steps {
		works[i] = &work{step: s, left: r.withheld(s)}
	}
	aborts, others := split(works)
	r.look(ctx, others)
	r.each(others, func(w *work) { r.check(ctx, w) })
	r.checkAborts(ctx, aborts, others)
	if err := r.intend(works); err != nil {
		return err
	}
	if steps[0].Op == plan.Write {
		r.wrote = true
		r.each(works, func(w *work) { r.write(ctx, w) })
	} else {
		r.abort(ctx, aborts)
		r.remove(ctx, others)
	}
	return r.settle(works)
}

// each calls do with all works that aren't left, several at once; at once with
// those that were looked at already, which asks nobody.
func (r *run) each(works []*work, do func(*work)) {
	var g errgroup.Group
	g.SetLimit(r.Workers)
	for _, w := range works {
		switch {
		case w.left != "":
		case w.seen != nil && !w.step.Corrupt:
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

// intend puts what is about to be done on the disk.
func (r *run) intend(works []*work) error {
	for _, w := range works {
		if w.left != "" {
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
