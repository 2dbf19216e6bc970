package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/graph"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// checkHeal checks a blob's precondition: it is missing still, or the same bytes stand
// there that were found to be wrong.
func checkHeal(ctx context.Context, store backend.Reader, w *stepResult) error {
	s := w.step
	in := intentOf(s)
	item, err := store.Stat(ctx, s.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Absent:
		in.Made, err = missingDir(ctx, store, path.Dir(s.Key))
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
	right, err := hashesRight(ctx, store, s.Key)
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

// isLacking reports whether the store still lacks what the step is to copy.
func isLacking(ctx context.Context, store backend.Reader, s *plan.Step) bool {
	w := stepResult{step: s}
	return checkHeal(ctx, store, &w) == nil && w.reason == ""
}

// copier copies blobs from sources into a store.
type copier struct {
	*changer
	ctx      context.Context // ends when copies are to be left where they are: nothing of them has its name
	all      []source.Source // in the order in which they are asked, the store's own past first
	others   []source.Source // without that
	asked    func(layout.AnyDigest) source.Blob
	rate     *source.Rate
	progress graph.Progress // is told of the bytes
}

// whyNone says why no source gives a blob.
func (c *copier) whyNone(ctx context.Context, s *plan.Step) string {
	key, _ := layout.Parse(s.Key)
	d, _ := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	var failures []error
	for _, from := range c.sourcesFor(s) {
		size, err := from.Size(ctx, c.asked(d))
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

// watched is a reader that tells how much was read, and whether that was the end.
type watched struct {
	io.Reader
	tell func(n int64, end bool)
}

// Read is io.Reader's.
func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.tell(int64(n), err != nil)
	return n, err
}

// copy copies a blob from the first source that gives its bytes. The store takes nothing
// but what hashes to the digest; what a source gives else is an error of that source, and
// the next one is asked. It calls read once a source gave all of its bytes.
func (c *copier) copy(ctx context.Context, w *stepResult, read func()) {
	s := w.step
	key, err := layout.Parse(s.Key)
	d, ok := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex)
	if err != nil || !ok || key.Kind != layout.Blob {
		w.fail(errors.New("it names no digest"))
		return
	}
	var failures []error
	for _, from := range c.sourcesFor(s) {
		receipt, err := c.copyFrom(ctx, from, s, d, read)
		if err != nil && c.ctx.Err() != nil {
			w.cut = true
			return
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", from, backend.Cause(err)))
			continue
		}
		w.receipts = []backend.Receipt{receipt}
		if receipt.Err == nil {
			c.lookAt(ctx, w)
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
func (c *copier) sourcesFor(s *plan.Step) (all []source.Source) {
	for _, from := range c.all {
		if from.String() == s.From {
			all = append(all, from)
		}
	}
	for _, from := range c.others {
		if from.String() != s.From {
			all = append(all, from)
		}
	}
	return all
}

// copyFrom copies a blob from one source. Its bytes are read as long as the run isn't told
// to stop; once all are there, ctx lets them take their name. The error is the source's; what the store says
// is the receipt.
func (c *copier) copyFrom(ctx context.Context, from source.Source, s *plan.Step, d layout.AnyDigest, read func()) (receipt backend.Receipt, err error) {
	size, err := from.Size(c.ctx, c.asked(d))
	if err == nil && size != s.Bytes { // what a plan says is what may be written
		err = fmt.Errorf("has %d bytes of it instead of %d", size, s.Bytes)
	}
	if err != nil {
		return receipt, err
	}
	f, err := from.Open(c.ctx, c.asked(d))
	if err != nil {
		return receipt, err
	}
	defer f.Close()
	bytes := watched{c.rate.Reader(c.ctx, f), func(n int64, end bool) {
		if c.progress.Add(n); end {
			read()
		}
	}}
	receipt = c.store.Copy(ctx, c.run, s.Key, backend.Content{Bytes: bytes, Size: size, Proof: d, Over: !s.Absent}, s.Time*1e9)
	if wrong, is := errors.AsType[*backend.ContentError](receipt.Err); is {
		return receipt, wrong.Err
	}
	return receipt, nil
}

// lookAt looks whether the store has what was copied into it.
func (c *copier) lookAt(ctx context.Context, w *stepResult) {
	item, err := c.store.Stat(ctx, w.step.Key)
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

// errUnkept is what a copy was written over and can't come back: the copy is kept, since
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
