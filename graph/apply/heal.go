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

// checkHeal checks a blob's precondition: it is still missing, or still has the same wrong
// bytes.
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
		w.skip("it no longer exists")
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

// isLacking reports whether the store still lacks the blob.
func isLacking(ctx context.Context, store backend.Reader, s *plan.Step) bool {
	w := stepResult{step: s}
	return checkHeal(ctx, store, &w) == nil && w.reason == ""
}

// copier copies blobs from sources into a store.
type copier struct {
	*changer
	ctx      context.Context // ends when copies must stop; they are written under temporary names
	all      []source.Source // in the order of requests, the store's own past first
	others   []source.Source // without the store's own past
	asked    func(layout.AnyDigest) source.Blob
	rate     *source.Rate
	progress graph.Progress // shows the bytes read
}

// whyNone returns why no source has a blob.
func (c *copier) whyNone(ctx context.Context, s *plan.Step) string {
	d, _ := layout.BlobDigest(s.Key)
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

// watched is a reader that reports how much was read and whether that was the end.
type watched struct {
	io.Reader
	tell func(n int64, end bool)
}

// Read implements io.Reader.
func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.tell(int64(n), err != nil)
	return n, err
}

// copy copies a blob from the first source that returns its bytes. The store accepts only
// bytes that hash to the digest; other bytes are an error of the source, and the next one is
// tried. read is called once a source has returned all bytes.
func (c *copier) copy(ctx context.Context, w *stepResult, read func()) {
	s := w.step
	d, ok := layout.BlobDigest(s.Key)
	if !ok {
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
			c.recheck(ctx, w)
		}
		return
	}
	if len(failures) == 0 {
		failures = append(failures, errors.New("there is no source to copy it from"))
	}
	w.receipts = []backend.Receipt{{Key: s.Key, Err: backend.Join(failures...)}}
}

// sourcesFor returns the sources in the order to try for a blob: the plan's, then all others.
// The store's own past is used only if the plan names it, since an undo must not remove a
// copy whose original was purged.
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

// copyFrom copies a blob from one source. It reads until the run is stopped; once all bytes
// are there, ctx doesn't end the copy before the rename. The error is the source's; the
// store's result is the receipt.
func (c *copier) copyFrom(ctx context.Context, from source.Source, s *plan.Step, d layout.AnyDigest, read func()) (receipt backend.Receipt, err error) {
	size, err := from.Size(c.ctx, c.asked(d))
	if err == nil && size != s.Bytes { // only what the plan says may be written
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

// recheck rechecks what was copied into the store.
func (c *copier) recheck(ctx context.Context, w *stepResult) {
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

// unheal removes a blob that was copied from a source, and restores the bytes that it
// replaced. A blob with a wrong hash isn't what the run wrote.
func (u *undoer) unheal(ctx context.Context, i *journal.Intent) error {
	right, err := hashesRight(ctx, u.store, i.Key)
	if err != nil || !right { // believed only if seen twice
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

// errOnly means that this state directory no longer has the original of a copy: it was
// purged, or is elsewhere. The copy may be the only one.
var errOnly = errors.New("the file that it was copied from is not kept where this undo can find it, so the copied bytes are kept")

// checkPast returns an error unless the store still keeps what a copy of its own past was
// made from.
func (u *undoer) checkPast(ctx context.Context, i *journal.Intent) error {
	if !i.Past {
		return nil
	}
	d, _ := layout.BlobDigest(i.Key) // it was hashed
	_, err := source.Kept(ctx, u.store, d)
	if errors.Is(err, fs.ErrNotExist) {
		return errOnly
	}
	return err
}

// errUnkept means that what a copy replaced can't be restored: the copy is kept, since its
// source may no longer exist.
var errUnkept = errors.New("the file that it replaced is not kept any more, so the copied bytes are kept")

// checkKept returns an error unless what a copy replaced is still quarantined. An interrupted
// purge or a rule of the store may have removed it.
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
	if i.Was == 0 { // an empty file takes no bytes: it is kept as long as the rest of the run
		kept = u.keptFirst
	}
	if err == nil && kept == 0 {
		err = errUnkept
	}
	return err
}

// keptOf returns how many bytes the store keeps for those changes of the run.
func (u *undoer) keptOf(ctx context.Context, intents ...journal.Intent) (int64, error) {
	var all []backend.Receipt
	for _, i := range intents {
		if i.Op != plan.Write || i.Stood {
			all = append(all, backend.Receipt{Key: i.Key, Undo: u.Receipts[i.Key].Undo})
		}
	}
	return u.store.Kept(ctx, u.run, func() ([]backend.Receipt, error) { return all, nil })
}
