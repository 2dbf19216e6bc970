package apply

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// unwriteAll takes away the links and blobs that the run wrote, and brings back what they
// were written over.
func (u *undoer) unwriteAll(intents []intent) {
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
	if u.out.Total().Failed > 0 {
		return
	}
	for i := range intents {
		if err := u.removeMadeDirs(&intents[i]); err != nil {
			u.record(&intents[i], err)
		}
	}
}

// unwrite undoes one write. A file that holds what stood there before is
// undone already; one that holds anything else was written by somebody else.
func (u *undoer) unwrite(ctx context.Context, i *intent) error {
	is, err := content(ctx, u.store, i.Key)
	if err != nil || is != string(i.Body) { // which is believed only if it is seen twice
		is, err = content(ctx, u.store, i.Key)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case i.Stood && is == string(i.Content):
		return nil
	case is != string(i.Body) && !u.partlyWritten(i, is):
		return fs.ErrExist
	default:
		if err := u.checkUnchanged(ctx, i.Key); err != nil {
			return err
		}
		if err := u.checkUnneeded(i); err != nil {
			return err
		}
		if err := u.removeKey(ctx, i.Key); err != nil {
			return err
		}
	}
	if !i.Stood {
		return nil
	}
	reasons := make([]error, 1)
	u.restore([]intent{*i}, reasons)
	if errors.Is(reasons[0], errLost) || errors.Is(reasons[0], backend.ErrAltered) { // the journal has it too
		return u.store.Put(ctx, backend.Run{ID: u.id}, i.Key, []byte(i.Content), 0).Err
	}
	return reasons[0]
}

// errRewritten is a link that holds what the run wrote, and isn't the run's any more.
var errRewritten = errors.New("was written again since, and may be needed")

// checkUnchanged makes sure that a link is the one that the run wrote: a registry writes
// the links of a push again, and relies on them from then on.
func (u *undoer) checkUnchanged(ctx context.Context, key string) error {
	wrote := u.receipts[key].Time
	if wrote == 0 {
		return nil
	}
	item, err := u.store.Stat(ctx, key)
	if err == nil && item.Modified != wrote {
		err = errRewritten
	}
	return err
}

// partlyWritten reports whether a link holds the first bytes of what the run was about to
// write, and nobody said that all was written.
func (u *undoer) partlyWritten(i *intent, is string) bool {
	return !u.succeeded(i) && strings.HasPrefix(string(i.Body), is)
}

// removeKey removes a key for good, and no directory with it. That it isn't there has to
// be said twice.
func (u *undoer) removeKey(ctx context.Context, key string) error {
	err := u.removeKeyOnce(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		err = u.removeKeyOnce(ctx, key)
	}
	return err
}

func (u *undoer) removeKeyOnce(ctx context.Context, key string) error {
	all := u.store.Remove(ctx, backend.Run{ID: u.id, Stay: true}, []string{key})
	if len(all) != 1 {
		return errNoAnswer
	}
	return all[0].Err
}

// removeMadeDirs removes the directories that had to be made for a write, as far as nothing
// is in them.
func (u *undoer) removeMadeDirs(i *intent) error {
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
