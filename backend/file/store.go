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
// What a run removes or replaces is renamed into <state>/runs/<run>/kept, on
// the same filesystem, and so keeps its bytes, times, owner, group and mode. If a
// file is alone in its directory, one rename moves the directory with it.
// The path where a key is kept is computed from the key, without a journal.
// Reading and changing have the same rules for links and mounts. Every change is
// made by a name in an open directory, so that a link that is created meanwhile
// can't redirect it.
type Store struct {
	*Reader
	locker           // the lock, and by it the claims and the state directory
	stateKey  string // where the state directory is below the root, else ""
	move      renaming
	link      renaming // keeps the old name
	syncDir   func(dir) error
	restoring sync.Mutex
	making    making
}

// The reasons for refusing a change, other than the system's errors.
var (
	errState  = errors.New("is in regfsck's own directory")
	errLink   = errors.New("is a symbolic link, which regfsck doesn't follow in its own directory")
	errDevice = errors.New("is on another filesystem than the state directory, or in another mount of it, which can't keep it (use --state DIR on the same one, or --undo none)")
	errKept   = errors.New("was removed by this run before and is kept; what is there now is not changed")
	errOwner  = errors.New("can't be given to the owner of the files next to it (run as that user, or as root)")
)

// OpenStore returns the store in the directory root, to be changed by runs that
// keep what they remove in the directory state. It writes nothing. state need not
// exist, but its parent must.
func OpenStore(root string, o Options, state string) (*Store, error) {
	r, err := Open(root, o)
	if err != nil {
		return nil, err
	}
	w := &Store{Reader: r, locker: locker{claims: claims{&stateDir{store: r}}}, move: moveNew, link: linkNew, syncDir: dir.sync}
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

// withoutLinks resolves the symbolic links in the directories of a path, not the last name.
func withoutLinks(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// guard returns why a run can't change a key, without looking at the store; nil if it can.
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
	case w.isFollowed(key):
		err = backend.ErrFollowed
	case run.Check() != nil:
		return run.Check()
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: key, Err: err}
	}
	return ctx.Err()
}

// failed returns err as an error about key, unless it names a key already.
func failed(op, key string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Op == op {
		return err
	}
	if errors.Is(err, unix.EXDEV) {
		err = errDevice
	}
	return &fs.PathError{Op: op, Path: key, Err: err}
}

// CanUndo is backend.Undoer's. It checks, without a change, that a rename can move files
// from the root and from every followed directory to the state directory.
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
		if err != nil { // a file, which is never removed, or a fault that a listing reports
			continue
		}
		can, err := canRename(d, state)
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

// roots returns the keys that may be on different filesystems: the root and the
// followed keys.
func (w *Store) roots() []string { return append([]string{""}, w.follow...) }

func openPath(path string) (dir, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, dirFlags, 0) })
	if err != nil {
		return dir{-1}, err
	}
	return dir{fd}, nil
}

// canRename reports whether a rename can move names from one directory to the other. It
// can't between two mounts, even of the same device (rename(2), EXDEV). So it is tried
// with a name that doesn't exist, which changes nothing. Any other refusal is an error,
// because it doesn't show that the mounts differ.
func canRename(from, to dir) (bool, error) {
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

// Sync is backend.Syncer's: Remove syncs nothing, and links and blobs may be on different
// filesystems, which write at different times.
func (w *Store) Sync(ctx context.Context) error {
	done := map[uint64]bool{}
	for _, key := range w.roots() {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := w.openDir("sync", key)
		if err != nil && key != "" { // a file, or a directory that can't be opened, where nothing was changed
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
