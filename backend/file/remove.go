//go:build unix

package file

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// removal is one call of Remove.
type removal struct {
	*Store
	ctx      context.Context
	run      backend.Run
	kept     dir // where to keep, if the run keeps
	keys     []string
	receipts []backend.Receipt
}

// Remove is backend.Store's. It is a look into the file's folder and a rename
// for each file, and syncs nothing: after a power failure a file is in one place
// or the other. Files go first, those of one folder in the order of their names,
// then folders in the order of keys.
func (w *Store) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	r := removal{Store: w, ctx: ctx, run: run, kept: dir{-1}, keys: keys, receipts: make([]backend.Receipt, len(keys))}
	var err error
	if err = checkRun(run); err == nil && run.Keep && ctx.Err() == nil && len(keys) > 0 {
		r.kept, err = w.openKept(run, true)
	}
	defer r.kept.close()
	var files, folders []int
	for i, key := range keys {
		r.receipts[i] = backend.Receipt{Key: key, Err: cmp.Or(w.guard(ctx, "remove", run, key), err)}
		switch {
		case r.receipts[i].Err != nil:
		case strings.HasSuffix(key, "/"):
			folders = append(folders, i)
		default:
			files = append(files, i)
		}
	}
	r.files(files)
	for _, i := range folders {
		r.do(i, func() (backend.Receipt, error) { return r.folder(strings.TrimSuffix(keys[i], "/")) })
	}
	return r.receipts
}

// do fills in the receipt of a key.
func (r *removal) do(i int, remove func() (backend.Receipt, error)) {
	err := r.ctx.Err()
	if err == nil {
		r.receipts[i], err = remove()
		r.receipts[i].Key = r.keys[i]
	}
	if err != nil && r.ctx.Err() == nil {
		err = failed("remove", r.keys[i], err)
	}
	r.receipts[i].Err = err
}

// files removes files, the folders that theirs are in side by side.
func (r *removal) files(which []int) {
	slices.SortFunc(which, func(a, b int) int {
		return cmp.Or(strings.Compare(grandparent(r.keys[a]), grandparent(r.keys[b])), strings.Compare(r.keys[a], r.keys[b]))
	})
	var group errgroup.Group
	group.SetLimit(r.workers)
	for len(which) > 0 {
		above := grandparent(r.keys[which[0]])
		n := slices.IndexFunc(which, func(i int) bool { return grandparent(r.keys[i]) != above })
		if n < 0 {
			n = len(which)
		}
		part := which[:n]
		group.Go(func() error { r.part(above, part); return nil })
		which = which[n:]
	}
	_ = group.Wait()
}

// part removes files whose folders are all in the folder above.
func (r *removal) part(above string, which []int) {
	d, err := r.openFolder("remove", above)
	defer d.close()
	place := &place{w: r.Store, kept: r.kept, key: above, dir: dir{-1}}
	defer place.close()
	for _, i := range which {
		r.do(i, func() (backend.Receipt, error) {
			if err != nil {
				return backend.Receipt{}, err
			}
			return r.file(d, place, r.keys[i])
		})
	}
}
