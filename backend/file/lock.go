//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
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
	fd, err := w.lockState(run)
	if err != nil {
		root.close()
		return nil, err
	}
	if err := w.claimed(Claim.Take); err != nil {
		root.close()
		_ = unix.Close(fd)
		return nil, err
	}
	return sync.OnceValue(func() error {
		err := unix.Ftruncate(fd, 0)
		root.close()
		return backend.Join(err, unix.Close(fd))
	}), nil
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

// lockState locks the file in the state folder and writes the run into it.
func (w *Writer) lockState(run backend.Run) (int, error) {
	state, err := w.openState(true)
	if err != nil {
		return -1, err
	}
	defer state.close()
	fd, err := again(func() (int, error) {
		return unix.Openat(state.fd, "lock", unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return -1, fmt.Errorf("lock %s/lock: %w", w.state, err)
	}
	err = flock(fd)
	if errors.Is(err, unix.EWOULDBLOCK) {
		_ = unix.Close(fd)
		return -1, w.locked()
	}
	if err == nil {
		err = w.give(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("lock %s/lock: %w", w.state, err)
	}
	// The name is for whoever is refused. A full disk has no room for it, and is
	// what has to be purged.
	if unix.Ftruncate(fd, 0) == nil {
		_, _ = unix.Pwrite(fd, []byte(run.ID+"\n"), 0)
	}
	return fd, nil
}

// locked returns the error that names the run that is at work, as far as this
// state folder knows.
func (w *Writer) locked() error {
	holder := "with another state folder"
	if state, err := w.openState(false); err == nil {
		defer state.close()
		fd, err := again(func() (int, error) {
			return unix.Openat(state.fd, "lock", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		if err == nil {
			var buf [256]byte
			n, _ := unix.Pread(fd, buf[:], 0)
			if id := strings.TrimSpace(string(buf[:max(n, 0)])); id != "" {
				holder = id
			}
			_ = unix.Close(fd)
		}
	}
	return fmt.Errorf("%w: run %s", backend.ErrLocked, holder)
}
