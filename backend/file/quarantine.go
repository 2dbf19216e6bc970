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

// stateDir is the state directory of a store, where runs keep what they remove. Of the store
// it uses only the path and the owner.
type stateDir struct {
	state string // its path, whose parent has no symbolic links
	store *Reader
}

// openState opens the directory at the path of names in the state directory. Missing
// directories are made if make is set; otherwise they are fs.ErrNotExist.
func (w *stateDir) openState(make bool, names ...string) (dir, error) {
	return w.openStateAt(w.state, make, names...)
}

// openStateAt is openState for the state directory at path.
func (w *stateDir) openStateAt(path string, make bool, names ...string) (dir, error) {
	parent, name := filepath.Split(path)
	fd, err := retry(func() (int, error) {
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

// openKept opens the run's kept directory, which contains what the run has removed or
// replaced.
func (w *stateDir) openKept(run backend.Run, make bool) (dir, error) {
	return w.openState(make, "runs", run.ID, "kept")
}

// enter opens the directory at the path of names in d. It doesn't close d.
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

// makeOwn makes a directory of the state directory, if it doesn't exist.
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
// so no other run is writing one. What can't be removed remains until the next run.
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
	err = q.top(d, filepath.Join(w.state, "runs", run.ID, "kept"), nil)
	return q.all, err
}

// quarantine collects everything that a run keeps.
type quarantine struct {
	ctx context.Context
	all []backend.Quarantined
}

// top reads the directories in d, whose names are keys. before has the earlier pieces of
// such a name.
func (q *quarantine) top(d dir, path string, before []string) error {
	return q.each(d, path, func(name, at string, kind uint32, sub dir) error {
		names := append(slices.Clone(before), name)
		if kind != unix.S_IFDIR {
			q.found("", at)
			return nil
		}
		if strings.HasSuffix(name, cutMark) {
			return q.top(sub, at, names)
		}
		key, ok := keyOf(names)
		return q.directory(sub, at, key, ok)
	})
}

// directory reads what was removed from the directory key, if known is set.
func (q *quarantine) directory(d dir, path, key string, known bool) error {
	return q.each(d, path, func(name, at string, kind uint32, sub dir) error {
		here := ""
		if known && (kind == unix.S_IFDIR || kind == unix.S_IFREG) {
			here = strings.TrimPrefix(key+"/"+name, "/")
		}
		if kind == unix.S_IFDIR {
			return q.removed(sub, at, here)
		}
		q.found(here, at)
		return nil
	})
}

// removed reads a directory that was removed: an empty one, or one with a single file.
func (q *quarantine) removed(d dir, path, key string) error {
	empty := true
	err := q.each(d, path, func(name, at string, kind uint32, sub dir) error {
		empty = false
		switch {
		case kind == unix.S_IFDIR: // no run makes that
			return q.removed(sub, at, "")
		case kind == unix.S_IFREG && key != "":
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

// each calls do with every name in d, its path and its kind; sub is open if it is a
// directory.
func (q *quarantine) each(d dir, path string, do func(name, at string, kind uint32, sub dir) error) error {
	names, err := d.all()
	if err != nil {
		return failed("look at", path, err)
	}
	for _, name := range names {
		at, sub := filepath.Join(path, name), dir{-1}
		st, err := d.look(name)
		if err = cmp.Or(q.ctx.Err(), err); err == nil && kindOf(&st) == unix.S_IFDIR {
			sub, err = d.open(name)
		}
		if err != nil {
			return failed("look at", at, err)
		}
		err = do(name, at, kindOf(&st), sub)
		sub.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// pieceLength is the longest name that pieces makes; filesystems allow 255 bytes.
const pieceLength = 240

// pieces returns the path, below a run's kept directory, of the directory that keeps what was
// in the directory key. It is the whole key as one name, with % and / escaped, so that a
// directory and its content are kept independently. A long name is cut into several; all
// but the last end in %+, which an escaped key never contains.
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

// Kept is backend.Undoer's: the bytes that the disk would free.
func (w *stateDir) Kept(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, false)
}

// Purge is backend.Undoer's.
func (w *stateDir) Purge(ctx context.Context, run backend.Run, _ backend.Receipts) (int64, error) {
	return w.tally(ctx, run, true)
}

// tally adds up the bytes that a run keeps, and removes them if remove is set.
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

// tally adds up, and possibly removes, kept directories.
type tally struct {
	ctx    context.Context
	remove bool
	bytes  atomic.Int64
}

// directory adds up the directory name in above, with that many workers for its entries.
// path is for errors. A missing directory counts as empty.
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
