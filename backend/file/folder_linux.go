//go:build amd64 || arm64

package file

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// folder is an open folder. It stays open until the last of its children has
// been opened.
type folder struct {
	fd      int
	key     string
	leaf    backend.Hint // expected in each child
	own     backend.Hint // expected here by the parent
	done    bool         // the parent has handed that over
	special bool         // mounts, or what is to be followed, are somewhere below
	seen    bool         // it isn't empty
	device  uint64       // where mounts aren't known, else 0
	refs    atomic.Int64

	mu     sync.Mutex
	lost   []string // named here, and not found
	rounds int      // how often they were looked for
}

// enter opens the folder of a task. Nil: it could not, and that is accounted
// for.
func (w *worker) enter(t task) *folder {
	dir, name := split(t.key)
	var fd int
	var err error
	key := t.key
	if t.parent == nil {
		var pe *fs.PathError
		if fd, pe = w.openKey(&w.k, t.key, unix.O_RDONLY|unix.O_DIRECTORY); pe != nil {
			key, err = pe.Path, pe.Err
		}
	} else {
		fd, err = w.openChild(t.parent, name)
	}
	if err == nil {
		if err = w.single(fd, t.key); err != nil {
			w.k.close(fd)
		}
	}
	switch {
	case err == nil:
		return w.newFolder(fd, t)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ESTALE):
		w.miss(t)
	default:
		w.fault(dir, key, err)
	}
	return nil
}

// openChild opens a folder in f, which is neither mounted nor to be followed as
// far as is known.
func (w *worker) openChild(f *folder, name string) (int, error) {
	w.path = append(append(w.path[:0], name...), 0)
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	var fd int
	var errno unix.Errno
	if w.inside {
		fd, errno = w.k.openInside(f.fd, &w.path[0], flags)
	} else {
		fd, errno = w.k.open(f.fd, &w.path[0], flags)
	}
	if errno == 0 && f.device != 0 && !w.inside && (w.k.lookAt(fd, &w.st) != 0 || w.st.Dev != f.device) {
		w.k.close(fd)
		errno = unix.EXDEV
	}
	switch errno {
	case 0:
		return fd, nil
	case unix.ELOOP:
		return -1, backend.ErrSymlink
	case unix.EXDEV:
		return -1, backend.ErrMount
	}
	return -1, errno
}

// newFolder takes over fd, with one reference for the caller.
func (w *worker) newFolder(fd int, t task) *folder {
	f := &folder{
		fd: fd, key: t.key, own: t.own, done: t.done,
		leaf: w.expect(t.key), special: hasBelow(w.special, t.key),
	}
	f.refs.Store(1)
	w.held.Add(1)
	w.cost.list++
	if w.noMount && w.k.lookAt(fd, &w.st) == 0 {
		f.device = w.st.Dev
	}
	return f
}

// release gives back one reference. With the last one, what got lost is looked
// for again; if there is nothing (more) to look for, the folder is closed.
func (w *worker) release(f *folder) {
	for f.refs.Add(-1) == 0 {
		if len(f.lost) == 0 || w.stop.Load() {
			w.k.close(f.fd)
			w.held.Add(-1)
			return
		}
		f.refs.Store(1)
		w.search(f)
	}
}

// crowded tells that no more folders should be kept open for their children.
func (w *worker) crowded() bool { return w.held.Load() > int64(w.folders) }
