package apply

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// topDown splits removals so that directories are restored before their content.
func topDown(intents []journal.Intent) iter.Seq[[]journal.Intent] {
	level := func(i journal.Intent) int { // files are last
		if strings.HasSuffix(i.Key, "/") {
			return depth(i.Key)
		}
		return math.MaxInt
	}
	slices.SortStableFunc(intents, func(a, b journal.Intent) int { return cmp.Compare(level(a), level(b)) })
	return groups(intents, level)
}

// restoreAll restores what was removed, several keys at once.
func (u *undoer) restoreAll(intents []journal.Intent) {
	for batch := range slices.Chunk(intents, batchSize) {
		if u.stopped() {
			return
		}
		u.recordExisting(batch)
		reasons := make([]error, len(batch))
		var g errgroup.Group
		size := (len(batch) + defaultWorkers - 1) / defaultWorkers
		for from := 0; from < len(batch); from += size {
			to := min(from+size, len(batch))
			g.Go(func() error {
				u.restore(batch[from:to], reasons[from:to])
				return nil
			})
		}
		g.Wait()
		for i := range batch {
			u.record(&batch[i], reasons[i])
		}
	}
}

// recordExisting records which keys still exist that the run intended to remove when it was
// killed.
func (u *undoer) recordExisting(intents []journal.Intent) {
	if u.UndoBegun { // they may have been restored
		return
	}
	for i := range intents {
		if in := &intents[i]; in.Op == plan.Remove && !strings.HasSuffix(in.Key, "/") && !u.succeeded(in) {
			_, err := u.store.Stat(context.WithoutCancel(u.ctx), in.Key)
			u.existing[in.Key] = !errors.Is(err, fs.ErrNotExist)
		}
	}
}

// restore restores keys. Keys that are reported lost are asked for twice.
func (u *undoer) restore(intents []journal.Intent, reasons []error) {
	for i, err := range u.restoreOnce(intents) {
		if errors.Is(err, fs.ErrNotExist) {
			err = u.restoreOnce(intents[i : i+1])[0]
		}
		switch dir := strings.HasSuffix(intents[i].Key, "/"); {
		case errors.Is(err, fs.ErrNotExist) && dir && !u.succeeded(&intents[i]):
			err = nil // there was no directory to remove
		case errors.Is(err, fs.ErrNotExist):
			err = errLost
		case errors.Is(err, fs.ErrExist) && dir, errors.Is(err, backend.ErrFollowed) && (dir || !u.succeeded(&intents[i])):
			err = nil // it exists again, or was never removed
		}
		reasons[i] = err
	}
}

// errLost means that a removed key is neither there nor quarantined.
var errLost = errors.New("is neither there nor kept any more")

// restoreOnce calls the store once; it returns an error or nil for each intent.
func (u *undoer) restoreOnce(intents []journal.Intent) []error {
	receipts := make([]backend.Receipt, len(intents))
	for i := range intents {
		receipts[i] = backend.Receipt{Key: intents[i].Key, Undo: u.Receipts[intents[i].Key].Undo, Was: original(&intents[i])}
	}
	all := u.store.Restore(context.WithoutCancel(u.ctx), u.run, receipts)
	for len(all) < len(intents) {
		all = append(all, errNoAnswer)
	}
	return all
}

// original returns what the journal has of a removed or replaced file.
func original(i *journal.Intent) *backend.Original {
	step := plan.Step{Kind: i.Kind, Key: i.Key}
	switch {
	case strings.HasSuffix(i.Key, "/"):
		return nil
	case i.Kind == plan.HealedBlob:
		return &backend.Original{Size: i.Was}
	case !step.IsLink() && i.Op == plan.Remove:
		return &backend.Original{Size: i.Bytes}
	case len(i.Content) >= maxLink: // the rest is unknown
		return nil
	}
	content := []byte(i.Content)
	return &backend.Original{Size: int64(len(content)), Content: content}
}

// succeeded reports whether the receipt says that the change was made.
func (u *undoer) succeeded(i *journal.Intent) bool {
	r, ok := u.Receipts[i.FullKey()]
	return ok && r.Err == ""
}

// restoreStrays restores strays whose name proves their key, and reports the others.
func (u *undoer) restoreStrays() error {
	ctx := context.WithoutCancel(u.ctx)
	all, _, err := compareKept(ctx, u.Run, u.store)
	if err != nil {
		return err
	}
	for _, k := range all {
		if u.stopped() {
			return u.journal.CheckOwned()
		}
		switch err := u.restoreStray(ctx, k); {
		case err == nil:
			u.out.Strays = append(u.out.Strays, k.Key)
		case errors.Is(err, fs.ErrExist):
			u.recordStray(k, "it isn't in the run's journal, and its key has another file now; it is kept as "+k.Path)
		default:
			u.recordStray(k, "it isn't in the run's journal: "+backend.Cause(err).Error()+"; it is kept as "+k.Path)
		}
	}
	return nil
}

func (u *undoer) recordStray(k backend.Quarantined, why string) {
	step := plan.Step{Op: plan.Remove, Key: cmp.Or(k.Key, k.Path)}
	u.out.addNotDone(NotDone{Step: step, Reason: why, Failed: true})
}

var (
	errUnknownPlace = errors.New("its name doesn't show its key")
	errNoBlob       = errors.New("its bytes don't hash to the digest in its name")
)

// restoreStray restores one file or directory; a blob only with the right bytes.
func (u *undoer) restoreStray(ctx context.Context, k backend.Quarantined) error {
	_, err := layout.Parse(k.Key)
	if strings.HasSuffix(k.Key, "/") {
		err = nil
	}
	if k.Key == "" || err != nil {
		return errUnknownPlace
	}
	if d, ok := layout.BlobDigest(k.Key); ok && d.Provable() {
		if err := u.checkHash(ctx, k.Key, d); err != nil {
			return err
		}
	}
	return u.store.Restore(ctx, u.run, []backend.Receipt{{Key: k.Key}})[0]
}

// checkHash returns an error if a quarantined file isn't the blob of that digest.
func (u *undoer) checkHash(ctx context.Context, key string, d layout.AnyDigest) error {
	f, err := u.store.OpenQuarantined(ctx, u.run, key)
	if err != nil {
		return err
	}
	right, err := hashTo(f, d)
	if err == nil && !right {
		err = errNoBlob
	}
	return err
}
