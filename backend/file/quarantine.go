//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// stateDir is the state directory of a store, where runs keep what they take away. It
// knows of the store only where it is and whose.
type stateDir struct {
	state string // its path, whose parent is without links
	store *Reader
}

// openState opens the state directory, or the directory in it that the names lead to,
// and makes what is missing if told so. Otherwise what is missing is
// fs.ErrNotExist.
func (w *stateDir) openState(make bool, names ...string) (dir, error) {
	return w.openStateAt(w.state, make, names...)
}

// openStateAt is openState for the state directory at path.
func (w *stateDir) openStateAt(path string, make bool, names ...string) (dir, error) {
	parent, name := filepath.Split(path)
	fd, err := again(func() (int, error) {
		return unix.Open(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return dir{-1}, fmt.Errorf("state directory %s: %w", path, err)
	}
	above := dir{fd}
	defer above.close()
	d, err := w.enter(above, make, append([]string{name}, names...)...)
	if err != nil {
		return d, fmt.Errorf("state directory %s: %w", filepath.Join(append([]string{path}, names...)...), err)
	}
	return d, nil
}

// openKept opens the directory of what the run keeps.
func (w *stateDir) openKept(run backend.Run, make bool) (dir, error) {
	return w.openState(make, "runs", run.ID, "kept")
}

// enter opens the directory that the names lead to from d, which stays open.
func (w *stateDir) enter(d dir, make bool, names ...string) (dir, error) {
	at := d
	for _, name := range names {
		next, err := at.open(name)
		if make && errors.Is(err, fs.ErrNotExist) {
			if err = w.makeOwn(at, name); err == nil {
				next, err = at.open(name)
			}
		}
		if at != d {
			at.close()
		}
		if errors.Is(err, backend.ErrSymlink) {
			err = fmt.Errorf("%s: %w", name, errLink)
		}
		if err != nil {
			return dir{-1}, err
		}
		at = next
	}
	return at, nil
}

// makeOwn makes a directory of the state.
func (w *stateDir) makeOwn(d dir, name string) error {
	err := unix.Mkdirat(d.fd, name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	made, err := d.open(name)
	if err != nil {
		return err
	}
	defer made.close()
	return w.give(made.fd)
}

// SetOwner is backend.Claimer's: the owner is that of the root directory.
func (w *stateDir) SetOwner(f *os.File) error { return w.give(int(f.Fd())) }

func (w *stateDir) give(fd int) error {
	root, err := w.store.openDir("look at", "")
	if err != nil {
		return err
	}
	defer root.close()
	st, err := root.self()
	if err == nil {
		err = unix.Fchown(fd, int(st.Uid), int(st.Gid))
	}
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// runs returns the ids of the runs in the state directory, the newest first.
func (w *stateDir) runs() (ids []string, err error) {
	d, err := w.openState(false, "runs")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	ids, err = d.all()
	ids = slices.DeleteFunc(ids, func(name string) bool { return backend.Run{ID: name}.Check() != nil })
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, err
}

// tempPrefix begins the names of files that are written in a run's directory.
const tempPrefix = "new-"

// removeTemps removes the files that interrupted runs were writing. The store is locked,
// so nobody is writing any of them; what can't be removed now is left to the next run.
func (w *stateDir) removeTemps() {
	runs, err := w.openState(false, "runs")
	if err != nil {
		return
	}
	defer runs.close()
	_ = runs.names(func(run string) bool {
		d, err := runs.open(run)
		if err != nil {
			return true
		}
		defer d.close()
		names, _ := d.all()
		for _, name := range names {
			if strings.HasPrefix(name, tempPrefix) {
				_ = d.remove(name)
			}
		}
		return true
	})
}

// Quarantined is backend.Undoer's.
func (w *stateDir) Quarantined(ctx context.Context, run backend.Run) ([]backend.Quarantined, error) {
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
	names, err := d.all()
	if err != nil {
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

// pieceLength is how long a name is made at most; 255 bytes are allowed.
const pieceLength = 240

// pieces returns the names of the directories, from a run's kept directory on, in which
// is kept what was in the directory key: the whole key as one name, with % and /
// escaped, so that a directory and what was in it are kept independently. A long
// one is cut; all pieces but the last end in %+, which no key does then.
func pieces(key string) []string {
	if key == "" {
		return []string{"%"}
	}
	rest := strings.NewReplacer("%", "%25", "/", "%2F").Replace(key)
	var names []string
	for len(rest) > pieceLength {
		at := pieceLength
		for at > pieceLength-utf8.UTFMax && !utf8.RuneStart(rest[at]) {
			at--
		}
		names = append(names, rest[:at]+cutMark)
		rest = rest[at:]
	}
	return append(names, rest)
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
func (w *stateDir) Kept(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, false)
}

// Purge is backend.Undoer's.
func (w *stateDir) Purge(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, true)
}

// tally adds up what a run keeps, and removes it if told so.
func (w *stateDir) tally(ctx context.Context, run backend.Run, remove bool) (int64, error) {
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
	err = t.directory(d, "kept", filepath.Join(w.state, "runs", run.ID, "kept"), w.store.workers)
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
	names, err := d.all()
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
