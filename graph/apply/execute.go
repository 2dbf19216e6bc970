package apply

import (
	"context"
	"errors"
	"iter"
	"path"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// carryOut carries out the steps, kind by kind.
func (r *run) carryOut(ctx context.Context, todo []*plan.Step) error {
	r.Scan.Progress.Phase("apply")
	r.Scan.Progress.Total(int64(len(todo)), "steps")
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

// syncLinks syncs the removal of links, before blobs are removed. If it fails, all further
// steps are skipped.
func (r *run) syncLinks(ctx context.Context) {
	r.unsyncedLinks = false
	if err := syncStore(ctx, r.Store); err != nil {
		r.stopReason = "a power failure could restore removed links: " + err.Error()
	}
}

// byKind splits steps by kind. Directories are the last kind, even without steps.
func byKind(todo []*plan.Step) func(yield func(plan.Kind, []*plan.Step) bool) {
	return func(yield func(plan.Kind, []*plan.Step) bool) {
		var directories []*plan.Step
		for steps := range groups(todo, func(s *plan.Step) plan.Kind { return s.Kind }) {
			if steps[0].Kind == plan.Directory {
				directories = steps
			} else if !yield(steps[0].Kind, steps) {
				return
			}
		}
		yield(plan.Directory, directories)
	}
}

// groups splits a list where the key changes.
func groups[T any, K comparable](all []T, key func(T) K) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n := slices.IndexFunc(all, func(t T) bool { return key(t) != key(all[0]) })
			if n < 0 {
				n = len(all)
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
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

// runCopies carries out copies and shows their progress in bytes. others is how many steps
// follow.
func (r *run) runCopies(ctx context.Context, steps []*plan.Step, others int) error {
	r.copier = r.newCopier(ctx)
	phase := graph.Phase{Name: "copy", Unit: "bytes"}
	for _, s := range steps {
		phase.Count += s.Bytes
	}
	r.Scan.Progress.Phase(phase.Name)
	r.Scan.Progress.Total(phase.Count, phase.Unit)
	start := time.Now()
	err := r.runKind(ctx, steps)
	r.copier, phase.Duration = nil, time.Since(start)
	r.out.Phases = append(r.out.Phases, phase)
	r.Scan.Progress.Phase("apply")
	r.Scan.Progress.Total(int64(others), "steps")
	return err
}

func (r *run) newCopier(ctx context.Context) *copier {
	return &copier{
		changer: r.changes, ctx: ctx, all: r.Scan.Sources(), others: r.Scan.From,
		asked: r.justification.scan.AskedFor, rate: r.copyRate, progress: r.Scan.Progress,
	}
}

// runBatch carries out some steps of one kind: preconditions, intents, changes, receipts. ctx
// must not end.
func (r *run) runBatch(ctx context.Context, steps []*plan.Step) error {
	if err := r.changes.journal.CheckOwned(); err != nil {
		return err
	}
	results := make([]*stepResult, len(steps))
	for i, s := range steps {
		results[i] = &stepResult{step: s, reason: r.skipReason(s)}
	}
	aborts, others := splitAborts(results)
	r.changes.recheckBlobs(ctx, others)
	checked := ctx
	if r.copier != nil { // hashes corrupt blobs again, which may take long
		checked = r.copier.ctx
	}
	each(others, r.Workers, func(w *stepResult) { checkStep(checked, r.Store, w) })
	if checked.Err() != nil {
		r.out.Interrupted = true
		return nil
	}
	checkAborts(ctx, r.Store, aborts, others, r.justification.roots)
	if err := r.changes.intend(results); err != nil {
		return err
	}
	switch {
	case r.copier != nil:
		r.written = true
		r.changes.writeEach(results, func(w *stepResult, read func()) { r.copier.copy(ctx, w, read) })
	case steps[0].Op == plan.Write:
		r.written = true
		r.changes.writeEach(results, func(w *stepResult, read func()) {
			read()
			r.changes.write(ctx, w)
		})
	default:
		r.changes.abort(ctx, aborts)
		r.changes.remove(ctx, others)
	}
	return r.recordReceipts(results)
}

// recordReceipts writes the receipts of results and counts the results.
func (r *run) recordReceipts(results []*stepResult) error {
	for _, w := range results {
		if w.cut {
			r.out.Interrupted = true
			continue
		}
		if err := r.changes.record(w); err != nil {
			return err
		}
		for i := range w.receipts {
			if w.receipts[i].Err == nil {
				r.out.Freed += w.receipts[i].Freed
				r.out.Kept += w.receipts[i].Kept
			}
		}
		r.recordResult(w)
	}
	if r.copier == nil { // copies are counted in bytes
		r.Scan.Progress.Add(int64(len(results)))
	}
	return nil
}

// errNoAnswer means that the store returned fewer results than requested.
var errNoAnswer = errors.New("the store did not report whether it was done")

// recordResult counts a step as done, skipped or failed.
func (r *run) recordResult(w *stepResult) {
	for i := range w.receipts {
		err := w.receipts[i].Err
		switch {
		case err == nil && w.step.Op == plan.Remove:
			r.emptied.addAbove(w.receipts[i].Key)
			if w.step.Kind == plan.Upload { // there may be several of one directory
				r.emptied.add(path.Dir(w.receipts[i].Key))
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

// openJournal opens the journal of a run. The store must be locked; it reports whether it
// still is.
func openJournal(ctx context.Context, p *journal.Run, s backend.Store) (*journal.Journal, error) {
	if err := s.Recorded(p.Begin.Store); errors.Is(err, backend.ErrOther) {
		return nil, &Refused{[]Refusal{claimRefusal("run " + p.ID + ": " + err.Error())}}
	} else if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	j, err := p.Open(func() error { return s.Held(ctx) })
	if errors.Is(err, journal.ErrBusy) {
		return nil, &Refused{[]Refusal{{
			Why: err.Error(),
			How: "That run is still running, or was suspended (Ctrl-Z): let it finish, or end it.",
		}}}
	}
	return j, err
}
