package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// changer makes all changes of a run to the store. Callers first write the intents to the
// journal, which syncs them, then change, then record the receipts. It decides nothing: its
// callers have checked each step and its precondition.
type changer struct {
	store   backend.Store
	run     backend.Run
	journal *journal.Journal
	workers int // concurrent changes
}

// intend writes and syncs the intents.
func (c *changer) intend(results []*stepResult) error {
	for _, w := range pending(results) {
		for i := range w.intents {
			if err := c.journal.Add(journal.Record{Intent: &w.intents[i]}); err != nil {
				return err
			}
		}
	}
	return c.journal.Sync()
}

// record writes the receipts of a step.
func (c *changer) record(w *stepResult) error {
	for i := range w.receipts {
		said := receiptOf(&w.receipts[i])
		said.Upload, said.Time = w.upload.ID, w.time
		if err := c.journal.Add(journal.Record{Receipt: said}); err != nil {
			return err
		}
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

// remove removes the keys of results, in one call a worker.
func (c *changer) remove(ctx context.Context, results []*stepResult) {
	c.inParts(pending(results), func(part []*stepResult) {
		var keys []string
		for _, w := range part {
			for i := range w.intents {
				keys = append(keys, w.intents[i].Key)
			}
		}
		if len(keys) == 0 {
			return
		}
		receipts := c.store.Remove(ctx, c.run, keys)
		for _, w := range part {
			n := min(len(w.intents), len(receipts))
			w.receipts, receipts = receipts[:n], receipts[n:]
		}
	})
}

// inParts calls do with the results in as many parts as there are workers, concurrently.
func (c *changer) inParts(results []*stepResult, do func(part []*stepResult)) {
	if len(results) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(results, (len(results)+c.workers-1)/c.workers) {
		g.Go(func() error {
			do(part)
			return nil
		})
	}
	g.Wait()
}

// each calls do with the results that aren't skipped, so many at once; without goroutines if
// the blobs were rechecked already.
func each(results []*stepResult, workers int, do func(*stepResult)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for _, w := range pending(results) {
		if w.rechecked != nil && !w.step.Corrupt {
			do(w)
			continue
		}
		g.Go(func() error {
			do(w)
			return nil
		})
	}
	g.Wait()
}

// smallWrites small files are written at once, even with few workers, since they wait for the
// disk together. Only as many as there are workers read from sources, or write a large file,
// at once.
const (
	smallWrites = 256
	smallWrite  = 1 << 20 // the most bytes of a small file
)

// writeEach calls write for each result. write calls read once it has read the bytes to
// write.
func (c *changer) writeEach(results []*stepResult, write func(w *stepResult, read func())) {
	workers := c.workers
	if workers > 1 { // a single worker works sequentially
		workers = max(workers, smallWrites)
	}
	slots := make(chan struct{}, c.workers)
	each(results, workers, func(w *stepResult) {
		slots <- struct{}{}
		release := sync.OnceFunc(func() { <-slots })
		defer release()
		if w.step.Bytes > smallWrite {
			write(w, func() {})
		} else {
			write(w, release)
		}
	})
}

// write writes a link, or a blob whose bytes the plan has, and reads it back.
func (c *changer) write(ctx context.Context, w *stepResult) {
	in := &w.intents[0]
	receipt := c.store.Put(ctx, c.run, in.Key, []byte(in.Body), w.step.Time*1e9)
	w.receipts = []backend.Receipt{receipt}
	if receipt.Err != nil {
		return
	}
	if is, err := content(ctx, c.store, in.Key); err != nil {
		w.fail(fmt.Errorf("written, but can't be read back: %w", err))
	} else if is != string(in.Body) {
		w.fail(errors.New("written, but it reads back differently"))
	} else if item, err := c.store.Stat(ctx, in.Key); err == nil {
		w.time = item.Modified
	}
}

// abort aborts multipart uploads, several at once. If the store refuses, only the first
// result has the whole reason.
func (c *changer) abort(ctx context.Context, results []*stepResult) {
	results = pending(results)
	each(results, c.workers, func(w *stepResult) {
		w.receipts = []backend.Receipt{{Key: w.step.Key, Err: c.store.Abort(ctx, w.upload)}}
	})
	var denied []*stepResult
	for _, w := range results {
		switch err := w.receipts[0].Err; {
		case errors.Is(err, fs.ErrNotExist): // another process aborted it, or an answer was lost
			w.skip("it no longer exists")
		case errors.Is(err, fs.ErrPermission), errors.Is(err, backend.ErrNoMultipart):
			denied = append(denied, w)
		}
	}
	if len(denied) > 0 {
		failAll(denied, denied[0].receipts[0].Err)
	}
}

// recheck is what a direct look at a file showed.
type recheck struct {
	item backend.Item
	err  error
}

// recheckBlobs rechecks blobs in one call, which is faster with some drivers.
func (c *changer) recheckBlobs(ctx context.Context, results []*stepResult) {
	blobs := slices.DeleteFunc(pending(results), func(w *stepResult) bool { return w.step.Op != plan.Remove || w.step.Kind != plan.Blob })
	c.inParts(blobs, func(part []*stepResult) {
		keys := make([]string, len(part))
		for i, w := range part {
			keys[i] = w.step.Key
		}
		items, errs := backend.Stats(ctx, c.store, keys)
		for i, w := range part {
			w.rechecked = &recheck{items[i], errs[i]}
		}
	})
}

// syncStore syncs all changes of a store.
func syncStore(ctx context.Context, s backend.Store) error {
	return s.Sync(context.WithoutCancel(ctx))
}
