package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// remove takes the works' keys away, in as many calls as there are workers.
func (r *run) remove(ctx context.Context, results []*stepResult) {
	results = pending(results)
	if len(results) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(results, (len(results)+r.Workers-1)/r.Workers) {
		g.Go(func() error {
			var keys []string
			for _, w := range part {
				for i := range w.intents {
					keys = append(keys, w.intents[i].Key)
				}
			}
			if len(keys) == 0 {
				return nil
			}
			receipts := r.Store.Remove(ctx, r.Run, keys)
			for _, w := range part {
				n := min(len(w.intents), len(receipts))
				w.receipts, receipts = receipts[:n], receipts[n:]
			}
			return nil
		})
	}
	g.Wait()
}

// write writes a link or a blob, and reads it back.
func (r *run) write(ctx context.Context, w *stepResult) {
	in := &w.intents[0]
	receipt := r.Store.Put(ctx, r.Run, in.Key, []byte(in.Body), w.step.Time*1e9)
	w.receipts = []backend.Receipt{receipt}
	if receipt.Err != nil {
		return
	}
	if is, err := r.content(ctx, in.Key); err != nil {
		w.fail(fmt.Errorf("written, and not to be read back: %w", err))
	} else if is != string(in.Body) {
		w.fail(errors.New("written, and it reads back as something else"))
	} else if item, err := r.Store.Stat(ctx, in.Key); err == nil {
		w.time = item.Modified
	}
}

// recordReceipts notes what became of the works.
func (r *run) recordReceipts(results []*stepResult) error {
	for _, w := range results {
		for i := range w.receipts {
			said := receiptOf(&w.receipts[i])
			said.Upload, said.Time = w.upload.ID, w.time
			if err := r.journal.add(record{Receipt: said}); err != nil {
				return err
			}
			if w.receipts[i].Err == nil {
				r.out.Freed += w.receipts[i].Freed
				r.out.Kept += w.receipts[i].Kept
			}
		}
		r.recordResult(w)
	}
	if p := r.Scan.Progress; p != nil {
		p.Add(int64(len(results)))
	}
	return nil
}

func receiptOf(b *backend.Receipt) *receipt {
	out := &receipt{Key: b.Key, Freed: b.Freed, Kept: b.Kept, Undo: b.Undo}
	if b.Err != nil {
		out.Err = b.Err.Error()
	}
	return out
}

// errNoAnswer is a store that gave fewer answers than it was asked for.
var errNoAnswer = errors.New("the store didn't say what became of it")

// recordResult counts a work as done or left.
func (r *run) recordResult(w *stepResult) {
	for i := range w.receipts {
		err := w.receipts[i].Err
		switch {
		case err == nil && w.step.Op == plan.Remove:
			r.markEmptiedAbove(w.receipts[i].Key)
			if w.step.Kind == plan.Upload { // several of a directory may go at once
				r.markEmptied(path.Dir(w.receipts[i].Key))
			}
		case err != nil && w.reason == "":
			w.fail(cause(err))
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

func removedBytes(s *plan.Step) int64 {
	if s.Op == plan.Remove {
		return s.Bytes
	}
	return 0
}

// cause strips an error of the operation and the key, which are named anyway.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
