//go:build unix

package file

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/backend/statedir"
)

// locker lets only one run at a time change the store.
type locker struct {
	claims
	held atomic.Pointer[heldLock]
}

// Lock is backend.Locker's. It locks, with flock(2), a file in the state directory that
// contains the run's id. If the filesystem can, it locks the root directory too, which
// excludes runs with other state directories. A state directory belongs to the store for
// which it is locked first.
func (w *locker) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if err := run.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := w.store.openDir("lock", "")
	if err != nil {
		return nil, err
	}
	if errors.Is(flock(root.fd), unix.EWOULDBLOCK) {
		root.close()
		return nil, w.locked()
	}
	l, err := w.lockState(run)
	if err != nil {
		root.close()
		return nil, err
	}
	l.root = root
	if root.syncReportsErrors() {
		l.syncGroup = &syncGroup{sync: root.syncAll}
	}
	if err := w.claim().Take(); err != nil {
		root.close()
		l.file.Close()
		return nil, err
	}
	_ = w.recordState() // it may fail: a full disk, or no permission
	w.held.Store(l)
	w.removeTemps()
	return sync.OnceValue(func() error {
		err := w.Held(ctx)
		w.held.Store(nil)
		if err == nil {
			err = l.file.Truncate(0)
		}
		root.close()
		return backend.Join(err, l.file.Close())
	}), nil
}

// heldLock is a lock that a run holds.
type heldLock struct {
	root      dir
	file      *os.File   // the file in the state directory
	written   string     // what was written into it
	syncGroup *syncGroup // nil: each writer syncs its own files
}

var errTaken = errors.New("is no longer held by this run: another run may be changing the store now, so this one changes nothing more")

// Held is backend.Locker's. It locks again, which changes nothing if the lock is still
// held. The file's content shows that no other run has locked it meanwhile.
func (w *locker) Held(context.Context) error {
	l := w.held.Load()
	if l == nil {
		return nil
	}
	path := filepath.Join(w.state, lockName)
	var at, is unix.Stat_t
	err := cmp.Or(unix.Lstat(path, &at), unix.Fstat(int(l.file.Fd()), &is))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (at.Dev != is.Dev || at.Ino != is.Ino || l.content() != l.written) {
		err = errTaken
	}
	for _, fd := range []int{int(l.file.Fd()), l.root.fd} {
		if err == nil && errors.Is(flock(fd), unix.EWOULDBLOCK) {
			err = errTaken
		}
	}
	if err != nil {
		return fmt.Errorf("the lock %s: %w", path, err)
	}
	return nil
}

// content returns what the file contains now.
func (l *heldLock) content() string {
	buf := make([]byte, 256)
	n, _ := l.file.ReadAt(buf, 0)
	return string(buf[:n])
}

// claims has the records by which a store and its state directories name each other.
type claims struct{ *stateDir }

// claim returns the record of the store that the state directory belongs to.
func (w claims) claim() statedir.Claim {
	return statedir.Claim{State: w.state, Store: w.store.real, Local: true, SetOwner: w.SetOwner}
}

// Claimed returns, without a change, why the state directory can't be used for this
// store: see statedir.Claim.Check.
func (w claims) Claimed() error { return w.claim().Check() }

// Identity is backend.Claimer's: the directory of the store, without links.
func (w claims) Identity() string { return w.store.real }

// Recorded is backend.Claimer's.
func (w claims) Recorded(store string) error { return w.claim().Recorded(store) }

func flock(fd int) error {
	_, err := retry(func() (struct{}, error) { return struct{}{}, unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	return err
}

// lockName is the file of the state directory that is locked.
const lockName = "lock"

// lockState locks the file in the state directory and writes the run into it.
func (w *locker) lockState(run backend.Run) (*heldLock, error) {
	made, err := w.openState(true)
	if err != nil {
		return nil, err
	}
	made.close()
	state, err := statedir.Open(w.state)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	f, err := state.Edit(lockName)
	if errors.Is(err, statedir.ErrHeld) {
		return nil, w.locked()
	}
	if err != nil {
		return nil, err
	}
	if err = flock(int(f.Fd())); err == nil { // again: Edit ignores that a filesystem has no locks
		err = w.SetOwner(f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	// The id is for runs that are refused. The random text distinguishes this lock from
	// a later one of the same run. Both may fail on a full disk, where purge must run.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(run.ID+"\n"+rand.Text()+"\n"), 0)
	l := &heldLock{file: f}
	l.written = l.content()
	return l, nil
}

// locked returns the error that names the run that holds the lock, if this state directory
// has its id.
func (w *locker) locked() error {
	holder := "with another state directory"
	if state, err := statedir.Open(w.state); err == nil {
		defer state.Close()
		all, _ := state.Text(lockName, 256)
		if id, _, _ := strings.Cut(all, "\n"); id != "" {
			holder = id
		}
	}
	return fmt.Errorf("%w: run %s", backend.ErrLocked, holder)
}

// markName is the file in a store's default state directory that names all others.
const markName = "states"

// States is backend.Claimer's.
func (w claims) States(context.Context) ([]backend.StateDir, error) {
	mark, err := w.readMark()
	all := w.claim().Known(mark)
	if own := w.ownState(); err == nil && own != w.state && w.claim().At(own).Used() && w.hasRuns(own) {
		all = append([]backend.StateDir{{Host: statedir.Hostname(), Path: own, Here: true}}, all...)
	}
	return all, err
}

// hasRuns reports whether there has been a run with a state directory.
func (w claims) hasRuns(state string) bool {
	d, err := statedir.OpenBelow(state, "runs")
	if err == nil {
		d.Close()
	}
	return err == nil
}

// ownState is the path of the default state directory.
func (w claims) ownState() string { return filepath.Join(w.store.real, backend.Own) }

func (w claims) readMark() (string, error) {
	d, err := statedir.Open(w.ownState())
	if err != nil {
		return "", ignoreMissing(err)
	}
	defer d.Close()
	mark, err := d.Text(markName, statedir.MaxClaim)
	return mark, ignoreMissing(err)
}

// ignoreMissing returns err, or nil if it means that a file doesn't exist.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recordState writes into the store's default state directory that this one is used, if
// it is another.
func (w claims) recordState() error {
	if w.state == w.ownState() {
		return nil
	}
	mark, err := w.readMark()
	if err != nil {
		return err
	}
	mark, is := w.claim().Marked(mark)
	if !is {
		return nil
	}
	made, err := w.openStateAt(w.ownState(), true)
	if err != nil {
		return err
	}
	made.close()
	d, err := statedir.Open(w.ownState())
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Write(markName, []byte(mark), w.SetOwner)
}
