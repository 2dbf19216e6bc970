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

var errLost = fmt.Errorf("is neither kept nor in its place: %w", fs.ErrNotExist)

// restoration is one call of Restore.
type restoration struct {
	*Store
	kept    dir
	touched map[string][]int // by directory, the receipts for whose sake it was changed
	current int
}

// Restore is backend.Store's. What it moved back is durable when it returns.
// Directories that were taken away and are needed on the way come back too.
func (w *Store) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	w.restoring.Lock()
	defer w.restoring.Unlock()
	r := restoration{Store: w, touched: map[string][]int{}}
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
	for dirKey, which := range r.touched {
		d, err := r.openDir("restore", dirKey)
		if err == nil {
			err = d.sync()
			d.close()
		}
		if err != nil {
			for _, i := range which {
				errs[i] = cmp.Or(errs[i], failed("restore", dirKey, err))
			}
		}
	}
}

// restore brings back one key, if it is what it was.
func (r *restoration) restore(key string, was *backend.Original) error {
	dirKey, name := backend.SplitKey(strings.TrimSuffix(key, "/"))
	k, err := r.locate(key)
	if err != nil {
		return err
	}
	defer k.in.close()
	if k.in.fd < 0 {
		return r.mustStand(dirKey, name)
	}
	if strings.HasSuffix(key, "/") {
		if empty, err := k.in.holdsNothing(name); err != nil || !empty {
			return err // it comes back with the file with which it was taken away
		}
	} else if err := k.in.check(name, was); err != nil {
		return err
	}
	if k.along {
		return r.bringAlong(k.in, name, dirKey)
	}
	return r.bring(k.in, name, dirKey)
}

// check compares the file name in d with what is known of it.
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

// keepsake is where a key is kept.
type keepsake struct {
	in    dir  // holds it under its own name; its descriptor is negative where the key isn't kept
	along bool // its directory was taken away with it
}

// locate finds out where a key is kept.
func (r *restoration) locate(key string) (keepsake, error) {
	key, isDir := strings.CutSuffix(key, "/")
	dirKey, name := backend.SplitKey(key)
	kind := uint32(unix.S_IFREG)
	if isDir {
		kind = unix.S_IFDIR
	}
	in, err := r.find(name, kind, pieces(dirKey)...)
	if err != nil || in.fd >= 0 || isDir || dirKey == "" {
		return keepsake{in: in}, err
	}
	above, base := backend.SplitKey(dirKey)
	in, err = r.find(name, kind, append(pieces(above), base)...)
	return keepsake{in, true}, err
}

// find opens the directory that the names lead to from the kept one, if there is
// something of that name and kind in it; else the descriptor is negative. That
// something isn't there, or is of another kind, is all that means "not kept":
// what can't be looked at may well be kept.
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

// mustStand reports whether what isn't kept is there.
func (r *restoration) mustStand(dirKey, name string) error {
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

// bringAlong brings back a file in its directory, as it was taken away; where there
// is a directory again, the file alone.
func (r *restoration) bringAlong(from dir, name, dirKey string) error {
	d, err := r.openDir("restore", dirKey)
	if err == nil {
		d.close()
		return r.bring(from, name, dirKey)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above, _ := backend.SplitKey(dirKey)
	d, _, err = r.dirs("restore", above, r.makeBack)
	if err != nil {
		return err
	}
	defer d.close()
	r.touch(above)
	_, base := backend.SplitKey(dirKey)
	kept, err := r.enter(r.kept, false, pieces(above)...)
	if err != nil {
		return err
	}
	defer kept.close()
	return r.move(kept, base, d, base)
}

// bring moves name from where it is kept to its directory.
func (r *restoration) bring(from dir, name, dirKey string) error {
	d, _, err := r.dirs("restore", dirKey, r.makeBack)
	if err != nil {
		return err
	}
	defer d.close()
	r.touch(dirKey)
	err = r.move(from, name, d, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	s := second{name: name, of: d, in: from}
	if same, lookErr := s.same(); same {
		return from.remove(name) // it never lost its name here
	} else if lookErr != nil {
		return lookErr
	}
	return err
}

// makeBack brings back a directory that was taken away, or makes it like the one
// above, d.
func (r *restoration) makeBack(d dir, key, _ string) error {
	above, name := backend.SplitKey(key)
	r.touch(above)
	from, err := r.find(name, unix.S_IFDIR, pieces(above)...)
	if err != nil {
		return err
	}
	defer from.close()
	if from.fd >= 0 {
		if empty, err := from.holdsNothing(name); err != nil {
			return err
		} else if empty { // else it comes back with the file in it
			return r.move(from, name, d, name)
		}
	}
	return makeLike(d, key, name)
}

// touch notes that the directory is changed for the sake of the current receipt.
func (r *restoration) touch(dirKey string) {
	r.touched[dirKey] = append(r.touched[dirKey], r.current)
}

// file opens the directory in which a file is kept under its own name. One that isn't
// kept is errLost.
func (r *restoration) file(key string) (in dir, name string, err error) {
	k, err := r.locate(key)
	if err == nil && k.in.fd < 0 {
		err = errLost
	}
	_, name = backend.SplitKey(key)
	return k.in, name, err
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
	in, name, err := r.file(key)
	if err != nil {
		return nil, failed("open", key, err)
	}
	defer in.close()
	f, err := in.file(name)
	if err != nil {
		return nil, failed("open", key, err)
	}
	return f, nil
}

// Earlier is backend.Undoer's: where a run keeps a key follows from the key, so that
// nothing is listed but the names of the runs.
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
		size, err := w.keptSize(run, key)
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

// keptSize returns how many bytes a file has that the run keeps.
func (w *Store) keptSize(run backend.Run, key string) (int64, error) {
	r := restoration{Store: w}
	var err error
	if r.kept, err = w.openKept(run, false); err != nil {
		return 0, err
	}
	defer r.kept.close()
	in, name, err := r.file(key)
	if err != nil {
		return 0, err
	}
	defer in.close()
	st, err := in.look(name)
	return st.Size, err
}
