//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

var errLost = fmt.Errorf("is neither kept nor in the store: %w", fs.ErrNotExist)

// restoration is one call of Restore.
type restoration struct {
	*Store
	kept    dir
	changed map[string][]int // the receipts for which a directory was changed
	current int
}

// Restore is backend.Store's. Restored files are durable when it returns. Removed
// directories above them are restored too.
func (w *Store) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	w.restoring.Lock()
	defer w.restoring.Unlock()
	r := restoration{Store: w, changed: map[string][]int{}}
	var err error
	if r.kept, err = w.openKept(run, false); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	defer r.kept.close()
	errs := make([]error, len(receipts))
	for i, receipt := range receipts {
		r.current = i
		if errs[i] = cmp.Or(w.guard(ctx, "restore", run, receipt.Key), err); errs[i] != nil {
			continue
		}
		if err := r.restore(receipt.Key, receipt.Was); err != nil {
			errs[i] = failed("restore", receipt.Key, err)
		}
	}
	r.sync(errs)
	return errs
}

// sync makes durable what was moved.
func (r *restoration) sync(errs []error) {
	for dirKey, which := range r.changed {
		d, err := r.openDir("restore", dirKey)
		if err == nil {
			err = r.syncDir(d)
			d.close()
		}
		if err != nil {
			for _, i := range which {
				errs[i] = cmp.Or(errs[i], failed("restore", dirKey, err))
			}
		}
	}
}

// restore restores one key, if the kept file is unchanged.
func (r *restoration) restore(key string, was *backend.Original) error {
	dirKey, name := backend.SplitKey(strings.TrimSuffix(key, "/"))
	k, err := r.locate(key)
	if err != nil {
		return err
	}
	defer k.in.close()
	if k.in.fd < 0 {
		return r.mustExist(dirKey, name)
	}
	if strings.HasSuffix(key, "/") {
		if empty, err := k.in.holdsNothing(name); err != nil || !empty {
			return err // it is restored with its file
		}
	} else if err := k.in.check(name, was); err != nil {
		return err
	}
	if k.along {
		return r.restoreDirectory(k.in, name, dirKey)
	}
	return r.moveBack(k.in, name, dirKey)
}

// check compares the file name in d with what is known of the original.
func (d dir) check(name string, was *backend.Original) error {
	if was == nil {
		return nil
	}
	st, err := d.look(name)
	if err != nil {
		return err
	}
	return was.Check(st.Size, func() (io.ReadCloser, error) { return d.file(name) })
}

// keptEntry is where a key is kept.
type keptEntry struct {
	in    dir  // contains it under its own name; negative descriptor: the key isn't kept
	along bool // its directory was removed with it
}

// locate returns where a key is kept.
func (r *restoration) locate(key string) (keptEntry, error) {
	key, isDir := strings.CutSuffix(key, "/")
	dirKey, name := backend.SplitKey(key)
	kind := uint32(unix.S_IFREG)
	if isDir {
		kind = unix.S_IFDIR
	}
	in, err := r.find(name, kind, pieces(dirKey)...)
	if err != nil || in.fd >= 0 || isDir || dirKey == "" {
		return keptEntry{in: in}, err
	}
	above, base := backend.SplitKey(dirKey)
	in, err = r.find(name, kind, append(pieces(above), base)...)
	return keptEntry{in, true}, err
}

// find opens the directory at the path of names in the kept directory, if it contains an
// entry of that name and kind; else the descriptor is negative. Only a missing entry, or
// one of another kind, means "not kept": what can't be looked at may be kept, and is an
// error.
func (r *restoration) find(name string, kind uint32, names ...string) (dir, error) {
	if r.kept.fd < 0 {
		return dir{-1}, nil
	}
	d, err := r.enter(r.kept, false, names...)
	if err == nil {
		var st unix.Stat_t
		if st, err = d.look(name); err == nil && kindOf(&st) == kind {
			return d, nil
		}
		d.close()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("what the run keeps can't be looked at: %w", err)
	}
	return dir{-1}, err
}

// mustExist returns errLost if a key that isn't kept doesn't exist either.
func (r *restoration) mustExist(dirKey, name string) error {
	d, err := r.openDir("restore", dirKey)
	if err == nil {
		_, err = d.look(name)
		d.close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

// restoreDirectory restores a directory with its file, as it was removed; if the directory
// exists again, only the file.
func (r *restoration) restoreDirectory(from dir, name, dirKey string) error {
	d, err := r.openDir("restore", dirKey)
	if err == nil {
		d.close()
		return r.moveBack(from, name, dirKey)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above, _ := backend.SplitKey(dirKey)
	d, _, err = r.dirs("restore", above, r.restoreParent)
	if err != nil {
		return err
	}
	defer d.close()
	r.noteChanged(above)
	_, base := backend.SplitKey(dirKey)
	kept, err := r.enter(r.kept, false, pieces(above)...)
	if err != nil {
		return err
	}
	defer kept.close()
	return r.move(kept, base, d, base)
}

// moveBack moves name from where it is kept to its directory.
func (r *restoration) moveBack(from dir, name, dirKey string) error {
	d, _, err := r.dirs("restore", dirKey, r.restoreParent)
	if err != nil {
		return err
	}
	defer d.close()
	r.noteChanged(dirKey)
	err = r.move(from, name, d, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	s := secondName{name: name, of: d, in: from}
	if same, lookErr := s.same(); same {
		return from.remove(name) // the store's name was never removed
	} else if lookErr != nil {
		return lookErr
	}
	return err
}

// restoreParent restores a removed directory, or makes it with the attributes of its parent d.
func (r *restoration) restoreParent(d dir, key, _ string) error {
	above, name := backend.SplitKey(key)
	r.noteChanged(above)
	from, err := r.find(name, unix.S_IFDIR, pieces(above)...)
	if err != nil {
		return err
	}
	defer from.close()
	if from.fd >= 0 {
		if empty, err := from.holdsNothing(name); err != nil {
			return err
		} else if empty { // else it is restored with its file
			return r.move(from, name, d, name)
		}
	}
	return makeLike(d, key, name)
}

// noteChanged records that a directory is changed for the current receipt.
func (r *restoration) noteChanged(dirKey string) {
	r.changed[dirKey] = append(r.changed[dirKey], r.current)
}

// withKept calls use with the directory in which a run keeps a file, and the file's name
// there. If the file isn't kept the error is errLost.
func (w *Store) withKept(run backend.Run, key string, use func(in dir, name string) error) error {
	r := restoration{Store: w}
	var err error
	if r.kept, err = w.openKept(run, false); err != nil {
		return err
	}
	defer r.kept.close()
	k, err := r.locate(key)
	defer k.in.close()
	if err == nil && k.in.fd < 0 {
		err = errLost
	}
	if err == nil {
		_, name := backend.SplitKey(key)
		err = use(k.in, name)
	}
	if err != nil {
		return failed("open", key, err)
	}
	return nil
}

// OpenQuarantined is backend.Undoer's.
func (w *Store) OpenQuarantined(ctx context.Context, run backend.Run, key string) (f io.ReadCloser, err error) {
	if err := cmp.Or(w.guard(ctx, "open", run, key), ctx.Err()); err != nil {
		return nil, err
	}
	err = w.withKept(run, key, func(in dir, name string) error {
		f, err = in.file(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Earlier is backend.Undoer's. The path where a run keeps a key is computed from the key, so
// that it lists only the names of the runs.
func (w *Store) Earlier(ctx context.Context, key string) ([]backend.Earlier, error) {
	if err := cmp.Or(checkKey("look at", key), ctx.Err()); err != nil {
		return nil, err
	}
	ids, err := w.runs()
	if err != nil {
		return nil, err
	}
	var all []backend.Earlier
	var failures []error
	for _, id := range ids {
		run := backend.Run{ID: id}
		var size int64
		err := w.withKept(run, key, func(in dir, name string) error {
			st, err := in.look(name)
			size = st.Size
			return err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			failures = append(failures, fmt.Errorf("what run %s keeps of %s: %w", id, key, backend.Cause(err)))
		default:
			all = append(all, backend.Earlier{
				Where: "run " + id, Size: size,
				Open: func(ctx context.Context) (io.ReadCloser, error) { return w.OpenQuarantined(ctx, run, key) },
			})
		}
	}
	return all, cmp.Or(backend.Join(failures...), ctx.Err())
}
