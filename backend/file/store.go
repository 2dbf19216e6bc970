//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Store is a Reader that can change the store: a backend.Store.
//
// What a run removes or writes over is renamed into <state>/runs/<run>/kept, on
// the same filesystem, and so keeps its bytes, times, owner, group and mode; a
// file that is alone in its directory goes with the directory in that one rename.
// Nothing is found by a journal: where a key is kept follows from the key.
// Reading and changing have one policy for links and mounts, and every change is
// made by a name in an open directory, so that no link that is put in the way
// meanwhile leads it elsewhere.
type Store struct {
	*Reader
	locker           // the lock, and by it the claims and the state directory
	stateKey  string // where the state directory is below the root, else ""
	move      renaming
	link      renaming // leaves the old name
	restoring sync.Mutex
}

// The reasons for refusing a change that are no errors of the system.
var (
	errState  = errors.New("is in regfsck's own directory")
	errLink   = errors.New("is a symbolic link, which regfsck doesn't follow in its own directory")
	errStands = errors.New("is followed to elsewhere, and is not changed from here")
	errDevice = errors.New("is on another filesystem than the state directory, or in another mount of it, which can't keep it (use --state DIR on the same one, or --undo none)")
	errKept   = errors.New("was taken away by this run before and is kept; what stands there now is left")
	errOwner  = errors.New("can't be given to the owner of what is beside it (run as that user, or as root)")
)

// OpenStore returns the store in the directory root, to be changed by runs that
// keep in the directory state what they take away. Nothing is written by it. state
// need not be there, but its parent must.
func OpenStore(root string, o Options, state string) (*Store, error) {
	r, err := Open(root, o)
	if err != nil {
		return nil, err
	}
	w := &Store{Reader: r, locker: locker{claims: claims{&stateDir{store: r}}}, move: moveNew, link: linkNew}
	if w.state, err = filepath.Abs(state); err == nil {
		w.state, err = withoutLinks(w.state)
	}
	if err == nil && w.state == r.real {
		err = errors.New("is the store itself")
	}
	if err != nil {
		return nil, backend.Join(fmt.Errorf("open state directory %s: %w", state, backend.Cause(err)), r.Close())
	}
	if key, ok := below(r.real, w.state); ok {
		w.stateKey = backend.JoinKey(o.Base, key)
	}
	return w, nil
}

// withoutLinks resolves the links on the way to a path, but not itself.
func withoutLinks(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// guard tells why a key can't be changed by a run, whatever there is.
func (w *Store) guard(ctx context.Context, op string, run backend.Run, key string) error {
	key = strings.TrimSuffix(key, "/")
	if err := checkKey(op, key); err != nil {
		return err
	}
	rest, below := strings.CutPrefix(key, w.stateKey)
	var err error
	switch {
	case w.stateKey != "" && below && (rest == "" || rest[0] == '/'):
		err = errState
	case w.standing(key):
		err = errStands
	case run.Check() != nil:
		return run.Check()
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: key, Err: err}
	}
	return ctx.Err()
}

// failed returns err as one about key, unless it says already what it is about.
func failed(op, key string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Op == op {
		return err
	}
	if errors.Is(err, unix.EXDEV) {
		err = errDevice
	}
	return &fs.PathError{Op: op, Path: key, Err: err}
}

// CanUndo tells, without a change, whether the state directory can keep what runs
// remove: that it is, or would be, where the root and every directory that is
// followed can be renamed to.
func (w *Store) CanUndo(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	state, err := w.openState(false)
	if errors.Is(err, fs.ErrNotExist) {
		state, err = openPath(filepath.Dir(w.state))
	}
	if err != nil {
		return fmt.Errorf("state directory %s: %w", w.state, backend.Cause(err))
	}
	defer state.close()
	for _, key := range w.roots() {
		d, err := w.openDir("keep", key)
		if err != nil && key == "" {
			return err
		}
		if err != nil { // a file, which is never removed, or what a scan will name
			continue
		}
		can, err := together(d, state)
		d.close()
		if err != nil {
			return failed("keep", key, err)
		}
		if !can {
			return fmt.Errorf("state directory %s: %s %w", w.state, filepath.Join(w.real, strings.TrimPrefix(key, w.base)), errDevice)
		}
	}
	return nil
}

// roots are the keys where a filesystem of its own may begin: the store's, and
// those that are followed.
func (w *Store) roots() []string { return append([]string{""}, w.following()...) }

func openPath(path string) (dir, error) {
	fd, err := again(func() (int, error) { return unix.Open(path, dirFlags, 0) })
	if err != nil {
		return dir{-1}, err
	}
	return dir{fd}, nil
}

// together reports whether names can be moved from one directory to the other. One
// device isn't enough, since no rename leads from one mount of it to another
// (rename(2), EXDEV): it is tried with a name that nobody has, which changes
// nothing. Any other refusal is an error: it says nothing of mounts.
func together(from, to dir) (bool, error) {
	a, err := from.self()
	if err != nil {
		return false, err
	}
	b, err := to.self()
	if err != nil || a.Dev != b.Dev {
		return false, err
	}
	name := fmt.Sprintf("regfsck-%016x", rand.Uint64())
	switch err := unix.Renameat(from.fd, name, to.fd, name); {
	case errors.Is(err, unix.EXDEV):
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return true, nil
}

// Sync is backend.Syncer's: Remove syncs nothing, and of filesystems of their
// own, which links and blobs may stand on, each writes when it likes.
func (w *Store) Sync(ctx context.Context) error {
	done := map[uint64]bool{}
	for _, key := range w.roots() {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := w.openDir("sync", key)
		if err != nil && key != "" { // a file; or it can't be opened, and nothing was changed there
			continue
		}
		if err != nil {
			return err
		}
		st, err := d.self()
		if err == nil && !done[uint64(st.Dev)] {
			done[uint64(st.Dev)] = true
			err = d.syncAll()
		}
		d.close()
		if err != nil {
			return failed("sync", key, err)
		}
	}
	return nil
}

// Abort is backend.Writer's: directories have no multipart uploads.
func (w *Store) Abort(context.Context, backend.Upload) error { return backend.ErrNoMultipart }
