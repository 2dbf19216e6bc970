//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Kept is backend.Keeper's: the bytes that the disk would have back.
func (w *Writer) Kept(ctx context.Context, run backend.Run) (int64, error) {
	return w.tally(ctx, run, false)
}

// Purge is backend.Keeper's. What was freed before an error is told with it.
func (w *Writer) Purge(ctx context.Context, run backend.Run) (int64, error) {
	return w.tally(ctx, run, true)
}

// tally adds up what a run keeps, and removes it if told so.
func (w *Writer) tally(ctx context.Context, run backend.Run, remove bool) (int64, error) {
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
	err = t.folder(d, "kept", filepath.Join(w.state, "runs", run.ID, "kept"))
	if remove && err == nil {
		err = d.sync()
	}
	return t.bytes, err
}

// tally goes through kept folders.
type tally struct {
	ctx    context.Context
	remove bool
	bytes  int64
}

// folder goes through the folder name in above, whose path is for errors. A
// missing one is empty.
func (t *tally) folder(above dir, name, path string) error {
	d, err := above.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("purge", path, err)
	}
	defer d.close()
	var names []string
	err = d.names(func(n string) bool { names = append(names, strings.Clone(n)); return true })
	if err != nil {
		return failed("purge", path, err)
	}
	for _, n := range names {
		if err := cmp.Or(t.ctx.Err(), t.entry(d, n, filepath.Join(path, n))); err != nil {
			return err
		}
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
		return t.folder(d, name, path)
	}
	if err == nil && t.remove {
		err = d.remove(name)
	}
	if err != nil {
		return failed("purge", path, err)
	}
	t.bytes += space(&st)
	return nil
}
