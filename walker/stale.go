package walker

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"regfsck/backend"
)

// current returns each with what the store doesn't have any more left out, though
// its listing names it. Only what may well be gone is looked at itself; what a look
// can't tell stays.
func (w *Walker) current(ctx context.Context, each func(backend.Batch) error) func(backend.Batch) error {
	if w.Removed == nil {
		return each
	}
	return func(b backend.Batch) error {
		var keys []string
		at := map[int]int{} // which of the keys an item is
		for i := range b.Items {
			if key := b.Dir + "/" + b.Items[i].Name; !strings.HasSuffix(key, "/") && w.Removed(key) {
				at[i] = len(keys)
				keys = append(keys, key)
			}
		}
		if len(keys) == 0 {
			return each(b)
		}
		_, errs := backend.Stats(ctx, w.Reader, keys)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var items []backend.Item
		for i, item := range b.Items {
			if n, looked := at[i]; !looked || !errors.Is(errs[n], fs.ErrNotExist) {
				items = append(items, item)
			}
		}
		if b.Items = items; len(items) == 0 && len(b.Faults) == 0 {
			return nil
		}
		return each(b)
	}
}
