package apply

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// topDown splits what was removed so that a directory comes back before what was
// in it.
func topDown(intents []intent) [][]intent {
	var files []intent
	dirs := map[int][]intent{}
	deepest := 0
	for _, i := range intents {
		switch d := depth(i.Key); {
		case strings.HasSuffix(i.Key, "/"):
			dirs[d] = append(dirs[d], i)
			deepest = max(deepest, d)
		default:
			files = append(files, i)
		}
	}
	var all [][]intent
	for d := range deepest + 1 {
		if len(dirs[d]) > 0 {
			all = append(all, dirs[d])
		}
	}
	return append(all, files)
}

// restoreAll brings back what was removed, several at once.
func (u *undoer) restoreAll(intents []intent) {
	for batch := range slices.Chunk(intents, batchSize) {
		if u.stopped() {
			return
		}
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

// restore brings some keys back. What is said to be lost is asked for twice.
func (u *undoer) restore(intents []intent, reasons []error) {
	for i, err := range u.restoreOnce(intents) {
		if errors.Is(err, fs.ErrNotExist) {
			err = u.restoreOnce(intents[i : i+1])[0]
		}
		switch dir := strings.HasSuffix(intents[i].Key, "/"); {
		case errors.Is(err, fs.ErrNotExist) && dir && !u.succeeded(&intents[i]):
			err = nil // there was no such directory to be removed
		case errors.Is(err, fs.ErrNotExist):
			err = errLost
		case errors.Is(err, fs.ErrExist) && dir:
			err = nil // it is there again, whoever made it
		}
		reasons[i] = err
	}
}

// errLost is what was removed, and is neither back nor kept.
var errLost = errors.New("is neither there nor kept any more")

// restoreOnce asks the store once; there is an answer for each intent.
func (u *undoer) restoreOnce(intents []intent) []error {
	receipts := make([]backend.Receipt, len(intents))
	for i := range intents {
		receipts[i] = backend.Receipt{Key: intents[i].Key, Undo: u.receipts[intents[i].Key].Undo, Was: intents[i].original()}
	}
	all := u.store.Restore(context.WithoutCancel(u.ctx), u.run, receipts)
	for len(all) < len(intents) {
		all = append(all, errNoAnswer)
	}
	return all
}

// original is what the journal knows of what was removed or written over.
func (i *intent) original() *backend.Original {
	step := plan.Step{Kind: i.Kind, Key: i.Key}
	switch {
	case strings.HasSuffix(i.Key, "/"):
		return nil
	case !step.IsLink() && i.Op == plan.Remove:
		return &backend.Original{Size: i.Bytes}
	case len(i.Content) >= maxLink: // there may have been more
		return nil
	}
	content := []byte(i.Content)
	return &backend.Original{Size: int64(len(content)), Content: content}
}

// succeeded reports whether the store said that it had done what was meant.
func (u *undoer) succeeded(i *intent) bool {
	r, ok := u.receipts[i.target()]
	return ok && r.Err == ""
}
