//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Kept is backend.Keeper's: the bytes that the disk would have back.
func (w *Store) Kept(ctx context.Context, run backend.Run) (int64, error) {
	return w.tally(ctx, run, false)
}

// Purge is backend.Keeper's. What was freed before an error is told with it.
func (w *Store) Purge(ctx context.Context, run backend.Run) (int64, error) {
	return w.tally(ctx, run, true)
}

// tally adds up what a run keeps, and removes it if told so.
func (w *Store) tally(ctx context.Context, run backend.Run, remove bool) (int64, error) {
	if err := cmp.Or(checkRun(run), ctx.Err()); err != nil {
		return 0, err
	}
	d, err := w.openState(false, "runs", run.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer d.close()
	t := tally{ctx: ctx, remove: remove}
	err = t.folder(d, "kept", filepath.Join(w.state, "runs", run.ID, "kept"), w.workers)
	if remove && err == nil {
		err = d.sync()
	}
	return t.bytes.Load(), err
}

// tally goes through kept folders.
type tally struct {
	ctx    context.Context
	remove bool
	bytes  atomic.Int64
}

// folder goes through the folder name in above, whose path is for errors, with
// so many workers for what is in it. A missing one is empty.
func (t *tally) folder(above dir, name, path string, workers int) error {
	d, err := above.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("look at", path, err)
	}
	defer d.close()
	var names []string
	err = d.names(func(n string) bool { names = append(names, strings.Clone(n)); return true })
	if err != nil {
		return failed("look at", path, err)
	}
	group, ctx := errgroup.WithContext(t.ctx)
	group.SetLimit(workers)
	for _, n := range names {
		entry := func() error { return cmp.Or(ctx.Err(), t.entry(d, n, filepath.Join(path, n))) }
		if workers > 1 {
			group.Go(entry)
		} else if err = entry(); err != nil {
			break
		}
	}
	if err := cmp.Or(err, group.Wait(), t.ctx.Err()); err != nil {
		return err
	}
	if t.remove {
		if err := above.removeFolder(name); err != nil {
			return failed("purge", path, err)
		}
	}
	return nil
}

func (t *tally) entry(d dir, name, path string) error {
	st, err := d.look(name)
	if err == nil && kindOf(&st) == unix.S_IFDIR {
		return t.folder(d, name, path, 1)
	}
	if err == nil && t.remove {
		err = d.remove(name)
	}
	if err != nil {
		return failed("purge", path, err)
	}
	t.bytes.Add(space(&st))
	return nil
}
