//go:build unix

package file

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Lock is backend.Locker's. The lock is the system's, on a file in the state
// folder that names the run, and where the filesystem can do that also on the
// root itself, which excludes runs with other state folders. A state folder
// belongs to the store for which it is locked first.
func (w *Writer) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := w.openFolder("lock", "")
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
	if err := w.claimed(Claim.Take); err != nil {
		root.close()
		_ = unix.Close(l.file)
		return nil, err
	}
	w.lock.Store(l)
	return sync.OnceValue(func() error {
		err := w.Held(ctx)
		w.lock.Store(nil)
		if err == nil {
			err = unix.Ftruncate(l.file, 0)
		}
		root.close()
		return backend.Join(err, unix.Close(l.file))
	}), nil
}

// heldLock is a lock that a run has.
type heldLock struct {
	root dir
	file int    // the file in the state directory
	says string // what was written into it
}

var errTaken = errors.New("was taken away from this run: another may be at work by now, so that nothing more is changed")

// Held is backend.Holder's. The system's lock is asked for once more, which changes
// nothing where it is held still; that no other had it meanwhile, the file tells.
func (w *Writer) Held(context.Context) error {
	l := w.lock.Load()
	if l == nil {
		return nil
	}
	path := filepath.Join(w.state, lockName)
	var at, is unix.Stat_t
	err := cmp.Or(unix.Lstat(path, &at), unix.Fstat(l.file, &is))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (at.Dev != is.Dev || at.Ino != is.Ino || l.said() != l.says) {
		err = errTaken
	}
	for _, fd := range []int{l.file, l.root.fd} {
		if err == nil && errors.Is(flock(fd), unix.EWOULDBLOCK) {
			err = errTaken
		}
	}
	if err != nil {
		return fmt.Errorf("the lock %s: %w", path, err)
	}
	return nil
}

// said is what the file says now.
func (l *heldLock) said() string {
	buf := make([]byte, 256)
	n, _ := unix.Pread(l.file, buf, 0)
	return string(buf[:max(n, 0)])
}

// Claimed tells, without a change, whether the state folder belongs to another
// store, which is backend.ErrOther then. A state folder inside the store needs no
// word for that, and moves with it.
func (w *Writer) Claimed() error { return w.claimed(Claim.Check) }

func (w *Writer) claimed(do func(Claim) error) error {
	if w.stateKey != "" {
		return nil
	}
	return do(Claim{State: w.state, Store: w.root, Give: w.Give})
}

func flock(fd int) error {
	_, err := again(func() (struct{}, error) { return struct{}{}, unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	return err
}

// lockName is the file of the state directory that is locked.
const lockName = "lock"

// lockState locks the file in the state folder and writes the run into it.
func (w *Writer) lockState(run backend.Run) (*heldLock, error) {
	state, err := w.openState(true)
	if err != nil {
		return nil, err
	}
	defer state.close()
	path := filepath.Join(w.state, lockName)
	fd, err := again(func() (int, error) {
		return unix.Openat(state.fd, lockName, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = flock(fd)
	if errors.Is(err, unix.EWOULDBLOCK) {
		_ = unix.Close(fd)
		return nil, w.locked()
	}
	if err == nil {
		err = w.give(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// The name is for whoever is refused, and what follows it tells this lock from a
	// later one of the same run. A full disk has no room for it, and is what has to
	// be purged.
	l := &heldLock{file: fd}
	_ = unix.Ftruncate(fd, 0)
	_, _ = unix.Pwrite(fd, []byte(run.ID+"\n"+rand.Text()+"\n"), 0)
	l.says = l.said()
	return l, nil
}

// locked returns the error that names the run that is at work, as far as this
// state folder knows.
func (w *Writer) locked() error {
	holder := "with another state folder"
	if state, err := w.openState(false); err == nil {
		defer state.close()
		fd, err := again(func() (int, error) {
			return unix.Openat(state.fd, lockName, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		if err == nil {
			id, _, _ := strings.Cut((&heldLock{file: fd}).said(), "\n")
			if id != "" {
				holder = id
			}
			_ = unix.Close(fd)
		}
	}
	return fmt.Errorf("%w: run %s", backend.ErrLocked, holder)
}
