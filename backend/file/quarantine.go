//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Quarantined is backend.Undoer's.
func (w *Store) Quarantined(ctx context.Context, run backend.Run) ([]backend.Quarantined, error) {
	if err := cmp.Or(run.Check(), ctx.Err()); err != nil {
		return nil, err
	}
	d, err := w.openKept(run, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	q := quarantine{ctx: ctx}
	err = q.places(d, filepath.Join(w.state, "runs", run.ID, "kept"), nil)
	return q.all, err
}

// OpenQuarantined is backend.Undoer's.
func (w *Store) OpenQuarantined(ctx context.Context, run backend.Run, key string) (io.ReadCloser, error) {
	if err := cmp.Or(w.guard(ctx, "open", run, key), ctx.Err()); err != nil {
		return nil, err
	}
	r := restoration{Store: w}
	var err error
	if r.kept, err = w.openKept(run, false); err != nil {
		return nil, err
	}
	defer r.kept.close()
	k, err := r.locate(key)
	if err != nil {
		return nil, failed("open", key, err)
	}
	defer k.in.close()
	if k.in.fd < 0 {
		return nil, failed("open", key, errLost)
	}
	_, name := backend.SplitKey(key)
	f, err := k.in.file(name)
	if err != nil {
		return nil, failed("open", key, err)
	}
	return f, nil
}

// quarantine goes through all that a run keeps.
type quarantine struct {
	ctx context.Context
	all []backend.Quarantined
}

// places goes through the directories in d, which are named after keys; before
// are the pieces of a name that led to d.
func (q *quarantine) places(d dir, path string, before []string) error {
	return q.each(d, path, func(name string, is *unix.Stat_t) error {
		at, names := filepath.Join(path, name), append(slices.Clone(before), name)
		if kindOf(is) != unix.S_IFDIR {
			q.found("", at)
			return nil
		}
		sub, err := d.open(name)
		if err != nil {
			return failed("look at", at, err)
		}
		defer sub.close()
		if strings.HasSuffix(name, cutMark) {
			return q.places(sub, at, names)
		}
		key, ok := keyOf(names)
		return q.inside(sub, at, key, ok)
	})
}

// inside goes through what was in the directory key, if it is known.
func (q *quarantine) inside(d dir, path, key string, known bool) error {
	return q.each(d, path, func(name string, is *unix.Stat_t) error {
		at, here := filepath.Join(path, name), ""
		if known {
			here = strings.TrimPrefix(key+"/"+name, "/")
		}
		if kindOf(is) != unix.S_IFDIR {
			if kindOf(is) != unix.S_IFREG {
				here = ""
			}
			q.found(here, at)
			return nil
		}
		sub, err := d.open(name)
		if err != nil {
			return failed("look at", at, err)
		}
		defer sub.close()
		return q.along(sub, at, here)
	})
}

// along goes through a directory that was taken away: with nothing in it, or one
// file.
func (q *quarantine) along(d dir, path, key string) error {
	empty := true
	err := q.each(d, path, func(name string, is *unix.Stat_t) error {
		empty = false
		at := filepath.Join(path, name)
		switch {
		case kindOf(is) == unix.S_IFDIR: // no run took that away
			sub, err := d.open(name)
			if err != nil {
				return failed("look at", at, err)
			}
			defer sub.close()
			return q.along(sub, at, "")
		case kindOf(is) == unix.S_IFREG && key != "":
			q.found(key+"/"+name, at)
		default:
			q.found("", at)
		}
		return nil
	})
	if err == nil && empty && key != "" {
		q.found(key+"/", path)
	}
	return err
}

func (q *quarantine) found(key, path string) {
	q.all = append(q.all, backend.Quarantined{Key: key, Path: path})
}

// each calls do with every name in d, and what it is.
func (q *quarantine) each(d dir, path string, do func(name string, is *unix.Stat_t) error) error {
	var names []string
	if err := d.names(func(name string) bool { names = append(names, strings.Clone(name)); return true }); err != nil {
		return failed("look at", path, err)
	}
	for _, name := range names {
		st, err := d.look(name)
		if err = cmp.Or(q.ctx.Err(), err); err != nil {
			return failed("look at", filepath.Join(path, name), err)
		}
		if err := do(name, &st); err != nil {
			return err
		}
	}
	return nil
}

// cutMark ends all names of pieces but the last one.
const cutMark = "%+"

// keyOf is the inverse of pieces; ok is false for names that it never makes.
func keyOf(names []string) (key string, ok bool) {
	var whole strings.Builder
	for _, name := range names {
		whole.WriteString(strings.TrimSuffix(name, cutMark))
	}
	if key = whole.String(); key == "%" {
		key = ""
	}
	key = strings.NewReplacer("%2F", "/", "%25", "%").Replace(key)
	return key, slices.Equal(pieces(key), names)
}

// Kept is backend.Undoer's: the bytes that the disk would have back.
func (w *Store) Kept(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, false)
}

// Purge is backend.Undoer's.
func (w *Store) Purge(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, true)
}

// tally adds up what a run keeps, and removes it if told so.
func (w *Store) tally(ctx context.Context, run backend.Run, remove bool) (int64, error) {
	if err := cmp.Or(run.Check(), ctx.Err()); err != nil {
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
	err = t.directory(d, "kept", filepath.Join(w.state, "runs", run.ID, "kept"), w.workers)
	if remove && err == nil {
		err = d.sync()
	}
	return t.bytes.Load(), err
}

// tally goes through kept directories.
type tally struct {
	ctx    context.Context
	remove bool
	bytes  atomic.Int64
}

// directory goes through the directory name in above, whose path is for errors, with
// so many workers for what is in it. A missing one is empty.
func (t *tally) directory(above dir, name, path string, workers int) error {
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
		if err := above.removeDir(name); err != nil {
			return failed("purge", path, err)
		}
	}
	return nil
}

func (t *tally) entry(d dir, name, path string) error {
	st, err := d.look(name)
	if err == nil && kindOf(&st) == unix.S_IFDIR {
		return t.directory(d, name, path, 1)
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
