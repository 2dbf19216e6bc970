package apply

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/plan"
)

// recheck is what a look at a file showed.
type recheck struct {
	item backend.Item
	err  error
}

// recheckBlobs looks at the works' blobs together, which keepers do faster.
func (r *run) recheckBlobs(ctx context.Context, results []*stepResult) {
	var blobs []*stepResult
	for _, w := range results {
		if w.reason == "" && w.step.Op == plan.Remove && w.step.Kind == plan.Blob {
			blobs = append(blobs, w)
		}
	}
	if len(blobs) == 0 {
		return
	}
	var g errgroup.Group
	for part := range slices.Chunk(blobs, (len(blobs)+r.Workers-1)/r.Workers) {
		g.Go(func() error {
			keys := make([]string, len(part))
			for i, w := range part {
				keys[i] = w.step.Key
			}
			items, errs := backend.Stats(ctx, r.Store, keys)
			for i, w := range part {
				w.rechecked = &recheck{items[i], errs[i]}
			}
			return nil
		})
	}
	g.Wait()
}
