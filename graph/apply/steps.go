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
func (r *run) remove(ctx context.Context, works []*work) {
	works = live(works)
	if len(works) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(works, (len(works)+r.Workers-1)/r.Workers) {
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
func (r *run) write(ctx context.Context, w *work) {
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

// settle notes what became of the works.
func (r *run) settle(works []*work) error {
	for _, w := range works {
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
		r.outcome(w)
	}
	if p := r.Scan.Progress; p != nil {
		p.Add(int64(len(works)))
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

// errSilent is a store that gave fewer answers than it was asked for.
var errSilent = errors.New("the store didn't say what became of it")

// outcome counts a work as done or left.
func (r *run) outcome(w *work) {
	for i := range w.receipts {
		err := w.receipts[i].Err
		switch {
		case err == nil && w.step.Op == plan.Remove:
			r.emptied(w.receipts[i].Key)
			if w.step.Kind == plan.Upload { // several of a folder may go at once
				r.emptiedFrom(path.Dir(w.receipts[i].Key))
			}
		case err != nil && w.left == "":
			w.fail(reason(err))
		}
	}
	if w.left == "" && len(w.receipts) < len(w.intents) {
		w.fail(errSilent)
	}
	if w.left != "" {
		r.leave(w)
		return
	}
	for _, folder := range w.folders {
		r.tries[folder] = true
	}
	r.out.addDone(w.step)
}

func removedBytes(s *plan.Step) int64 {
	if s.Op == plan.Remove {
		return s.Bytes
	}
	return 0
}

// reason strips an error of the operation and the key, which are named anyway.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
