package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// checkHeal checks a blob's precondition: it is missing still, or the same bytes stand
// there that were found to be wrong.
func (r *run) checkHeal(ctx context.Context, w *stepResult) error {
	s := w.step
	in := intentOf(s)
	item, err := r.Store.Stat(ctx, s.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Absent:
		in.Made, err = r.missingDir(ctx, path.Dir(s.Key))
		w.intents = []journal.Intent{in}
		return err
	case errors.Is(err, fs.ErrNotExist):
		w.skip("it is gone")
		return nil
	case err != nil:
		return err
	case s.Absent:
		w.skip("there is a file by now")
		return nil
	case item.Size != s.Size || backend.Seconds(item.Modified) != s.Modified:
		w.skip("it was written again")
		return nil
	}
	right, err := r.hashesRight(ctx, s.Key)
	if err != nil {
		return err
	}
	if right {
		w.skip("its bytes hash right now")
		return nil
	}
	in.Stood, in.Was = true, item.Size
	w.intents = []journal.Intent{in}
	return nil
}

// failLostHeals counts the copies as failed that don't follow from the store and its
// sources as they are now: a source is gone, or has the blob no more. They alone fail, and
// what rests on them: what they would have written is a root.
func (r *run) failLostHeals(ctx context.Context) error {
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if s.Kind != plan.HealedBlob {
			continue
		}
		is, err := r.stateOf(ctx, s)
		if err != nil {
			return err
		}
		if is != stepStale || !r.isLacking(ctx, s) {
			continue
		}
		if r.lostHeals == nil {
			r.lostHeals = map[plan.StepID]bool{}
		}
		r.lostHeals[s.ID()] = true
		r.recordNotDone(&stepResult{step: s, reason: r.whyNoSource(ctx, s), failed: true})
	}
	if len(r.lostHeals) == 0 {
		return nil
	}
	r.rejudge(ctx)
	if r.out.Interrupted {
		return ctx.Err()
	}
	return nil
}

// noteHealed notes what a judgement says of the tags that could not be pulled before the
// run. The last one counts: it knows of what could not be copied, or sees what was.
func (r *run) noteHealed(result *check.Result) {
	if len(result.Sources) == 0 && r.out.Healed == nil {
		return
	}
	if r.out.Healed == nil {
		r.out.Healed = &Healed{Sources: result.Sources, Broken: result.Totals.TagsBroken}
	}
	p := result.Totals.Prospect
	p.Mended = max(0, r.out.Healed.Broken-p.Push-p.Decide-p.Lost-p.Unasked)
	r.out.Healed.Prospect, r.out.Healed.Spare = p, result.Totals.SpareHeals
}

// checkHealed forgets what was noted where it isn't what was done: the run was told to
// stop, or a link that a tag may need could not be written.
func (r *run) checkHealed() {
	undone := r.out.Interrupted || r.stopReason != ""
	for i := range r.out.NotDone {
		kind := r.out.NotDone[i].Step.Kind
		undone = undone || kind.Writes() && kind != plan.HealedBlob
	}
	if undone {
		r.out.Healed = nil
	}
}

// isLacking reports whether the store still lacks what the step is to copy.
func (r *run) isLacking(ctx context.Context, s *plan.Step) bool {
	w := stepResult{step: s}
	return r.checkHeal(ctx, &w) == nil && w.reason == ""
}

// whyNoSource says why no source gives a blob.
func (r *run) whyNoSource(ctx context.Context, s *plan.Step) string {
	key, _ := layout.Parse(s.Key)
	d, _ := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	var failures []error
	for _, from := range r.sourcesFor(s) {
		size, err := from.Size(ctx, r.scan.AskedFor(d))
		if err == nil && size != s.Bytes {
			err = fmt.Errorf("has %d bytes of it instead of %d", size, s.Bytes)
		}
		if err == nil {
			err = errors.New("has something else than the blob")
		}
		failures = append(failures, fmt.Errorf("%s: %w", from, backend.Cause(err)))
	}
	if len(failures) == 0 {
		return "there is no source to copy it from"
	}
	return backend.Join(failures...).Error()
}

// runCopies carries out copies, and shows how many bytes of them are there; others steps
// follow.
func (r *run) runCopies(ctx context.Context, steps []*plan.Step, others int) error {
	r.copying, r.copyCtx = true, ctx
	phase := graph.Phase{Name: "copy", Unit: "bytes"}
	for _, s := range steps {
		phase.Count += s.Bytes
	}
	if p := r.Scan.Progress; p != nil {
		p.Phase(phase.Name)
		p.Total(phase.Count, phase.Unit)
	}
	start := time.Now()
	err := r.runKind(ctx, steps)
	r.copying, phase.Duration = false, time.Since(start)
	r.out.Phases = append(r.out.Phases, phase)
	if p := r.Scan.Progress; p != nil {
		p.Phase("apply")
		p.Total(int64(others), "steps")
	}
	return err
}

// shown is a reader whose bytes are shown as they are read.
type shown struct {
	io.Reader
	add func(int64)
}

// Read is io.Reader's.
func (s shown) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.add(int64(n))
	return n, err
}

// ending is a reader that tells of its end.
type ending struct {
	io.Reader
	ended func()
}

// Read is io.Reader's.
func (e ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.ended()
	}
	return n, err
}

// heal copies a blob from the first source that gives its bytes. The store takes nothing
// but what hashes to the digest; what a source gives else is an error of that source, and
// the next one is asked. It calls read once a source gave all of its bytes.
func (r *run) heal(ctx context.Context, w *stepResult, read func()) {
	s := w.step
	key, err := layout.Parse(s.Key)
	d, ok := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	if err != nil || !ok || key.Kind != layout.Blob {
		w.fail(errors.New("it names no digest"))
		return
	}
	var failures []error
	for _, from := range r.sourcesFor(s) {
		receipt, err := r.copyFrom(ctx, from, s, d, read)
		if err != nil && r.copyCtx.Err() != nil {
			w.cut = true
			return
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", from, backend.Cause(err)))
			continue
		}
		w.receipts = []backend.Receipt{receipt}
		if receipt.Err == nil {
			r.lookAtHealed(ctx, w)
		}
		return
	}
	if len(failures) == 0 {
		failures = append(failures, errors.New("there is no source to copy it from"))
	}
	w.receipts = []backend.Receipt{{Key: s.Key, Err: backend.Join(failures...)}}
}

// sourcesFor returns the sources in the order in which they are asked for a blob: the
// one that the plan says, and then all others. The store's own past is asked only where
// the plan says so: an undo takes nothing back whose original was given up meanwhile.
func (r *run) sourcesFor(s *plan.Step) (all []source.Source) {
	for _, from := range r.Scan.Sources() {
		if from.String() == s.From {
			all = append(all, from)
		}
	}
	for _, from := range r.Scan.From {
		if from.String() != s.From {
			all = append(all, from)
		}
	}
	return all
}

// copyFrom copies a blob from one source. Its bytes are read as long as the run isn't told
// to stop; once all are there, ctx lets them take their name. The error is the source's; what the store says
// is the receipt.
func (r *run) copyFrom(ctx context.Context, from source.Source, s *plan.Step, d layout.AnyDigest, read func()) (receipt backend.Receipt, err error) {
	size, err := from.Size(r.copyCtx, r.scan.AskedFor(d))
	if err == nil && size != s.Bytes { // what a plan says is what may be written
		err = fmt.Errorf("has %d bytes of it instead of %d", size, s.Bytes)
	}
	if err != nil {
		return receipt, err
	}
	f, err := from.Open(r.copyCtx, r.scan.AskedFor(d))
	if err != nil {
		return receipt, err
	}
	defer f.Close()
	c := backend.Content{Bytes: r.copyRate.Reader(r.copyCtx, f), Size: size, Proof: d, Over: !s.Absent}
	if p := r.Scan.Progress; p != nil {
		c.Bytes = shown{c.Bytes, p.Add}
	}
	c.Bytes = ending{c.Bytes, read}
	receipt = r.Store.Copy(ctx, r.Run, s.Key, c, s.Time*1e9)
	if wrong, is := errors.AsType[*backend.ContentError](receipt.Err); is {
		return receipt, wrong.Err
	}
	return receipt, nil
}

// lookAtHealed looks whether the store has what was copied into it.
func (r *run) lookAtHealed(ctx context.Context, w *stepResult) {
	item, err := r.Store.Stat(ctx, w.step.Key)
	switch {
	case err != nil:
		w.fail(fmt.Errorf("copied, and not to be seen: %w", err))
	case item.Size != w.step.Bytes:
		w.fail(fmt.Errorf("copied, and it has %d bytes instead of %d", item.Size, w.step.Bytes))
	default:
		w.time = item.Modified
	}
}

// unheal takes a blob that was copied from a source back, and brings back the bytes that
// it was written over. What doesn't hash right isn't what the run wrote.
func (u *undoer) unheal(ctx context.Context, i *journal.Intent) error {
	right, err := hashesRight(ctx, u.store, i.Key)
	if err != nil || !right { // which is believed only if it is seen twice
		right, err = hashesRight(ctx, u.store, i.Key)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !right:
		item, err := u.store.Stat(ctx, i.Key)
		if err == nil && (!i.Stood || item.Size != i.Was) {
			err = fs.ErrExist
		}
		return err
	default:
		if err := u.checkPast(ctx, i); err != nil {
			return err
		}
		if i.Stood {
			if err := u.checkKept(ctx, i); err != nil {
				return err
			}
		}
		if err := u.removeWritten(ctx, i); err != nil {
			return err
		}
	}
	if !i.Stood {
		return nil
	}
	reasons := make([]error, 1)
	u.restore([]journal.Intent{*i}, reasons)
	return reasons[0]
}

// errOnly is a copy whose original this state directory no longer has: it was purged, or
// another directory keeps it. Nobody else may have its bytes.
var errOnly = errors.New("what it was copied from is not kept where this undo can look, so the copied bytes stay")

// checkPast makes sure that the store still keeps what a copy was made from, where that
// was the store's own past.
func (u *undoer) checkPast(ctx context.Context, i *journal.Intent) error {
	if !i.Past {
		return nil
	}
	key, err := layout.Parse(i.Key)
	if err != nil {
		return err
	}
	d, _ := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	_, err = source.Kept(ctx, u.store, d)
	if errors.Is(err, fs.ErrNotExist) {
		return errOnly
	}
	return err
}

// errUnkept is what a copy was written over and can't come back: the copy stays, since
// its source may be gone.
var errUnkept = errors.New("what it was written over is not kept any more, so the copied bytes stay")

// checkKept makes sure that what a copy was written over is kept still. A purge that was
// interrupted, or a rule of the store's own, may have given it up.
func (u *undoer) checkKept(ctx context.Context, i *journal.Intent) error {
	f, err := u.store.OpenQuarantined(ctx, u.run, i.Key)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return errUnkept
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	}
	kept, err := u.keptOf(ctx, *i)
	if i.Was == 0 { // an empty one takes nothing: it is kept as long as the rest of the run was
		kept = u.keptFirst
	}
	if err == nil && kept == 0 {
		err = errUnkept
	}
	return err
}

// keptOf returns how many bytes the store keeps for those of the run's changes.
func (u *undoer) keptOf(ctx context.Context, intents ...journal.Intent) (int64, error) {
	var all []backend.Receipt
	for _, i := range intents {
		if i.Op != plan.Write || i.Stood {
			all = append(all, backend.Receipt{Key: i.Key, Undo: u.Receipts[i.Key].Undo})
		}
	}
	return u.store.Kept(ctx, u.run, func() ([]backend.Receipt, error) { return all, nil })
}
