//go:build amd64 || arm64

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// vanished tells that what was listed can't be found. A network filesystem
// says ESTALE where the thing behind a name was replaced.
func vanished(errno unix.Errno) bool { return errno == unix.ENOENT || errno == unix.ESTALE }

// lose notes a name of f that was listed and can't be found.
func (f *folder) lose(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = append(f.lost, strings.Clone(name))
}

// miss notes a folder that was listed and can't be found.
func (w *worker) miss(t task) {
	dir, name := split(t.key)
	if t.parent != nil {
		t.parent.lose(name)
		return
	}
	fd, pe := w.openKey(&w.k, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case pe == nil:
		p := &folder{fd: fd, key: dir, leaf: t.own, special: hasBelow(w.special, dir), lost: []string{name}, rounds: t.rounds}
		p.refs.Store(1)
		w.held.Add(1)
		w.release(p)
	case !errors.Is(pe, fs.ErrNotExist) && !errors.Is(pe, unix.ENOTDIR):
		w.fault(dir, pe.Path, pe.Err)
	}
}

// search looks again for what got lost in f: what the listing doesn't name any
// more was in motion, what it names is tried again, and what it names again and
// again is a fault. All lost names of a folder share one listing.
func (w *worker) search(f *folder) {
	lost := f.lost
	f.lost = nil
	f.rounds++
	listed, err := w.listed(f, lost)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, name := range lost {
		what, ok := listed[name]
		switch {
		case err != nil:
			w.fault(f.key, join(f.key, name), err)
		case ok && f.rounds > looks:
			w.fault(f.key, join(f.key, name), backend.ErrListed)
		case ok:
			w.entry(f, append([]byte(name), 0), what)
		}
	}
	w.pushKids()
}

// listed lists f anew and returns the types of those names that are there.
func (w *worker) listed(f *folder, names []string) (map[string]uint8, error) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	fd, errno := w.k.open(f.fd, cstring("."), unix.O_RDONLY|unix.O_DIRECTORY)
	if errno != 0 {
		return nil, errno
	}
	defer w.k.close(fd)
	found := map[string]uint8{}
	for {
		n, errno := w.k.names(fd, w.buffer[:])
		if errno != 0 {
			return nil, errno
		}
		if n == 0 {
			return found, nil
		}
		for name, what := range entries(w.buffer[:n]) {
			if bare := name[:len(name)-1]; wanted[string(bare)] {
				found[string(bare)] = what
			}
		}
	}
}

// entries goes through what getdents64 writes: inode and offset (8 bytes each),
// the length of the entry (2), its type (1), and the name with its NUL. The
// folder itself and its parent are left out.
func entries(buf []byte) iter.Seq2[[]byte, uint8] {
	return func(yield func([]byte, uint8) bool) {
		for len(buf) > 0 {
			size := binary.NativeEndian.Uint16(buf[16:])
			name := buf[19:size]
			name = name[:bytes.IndexByte(name, 0)+1]
			if !dots(name) && !yield(name, buf[18]) {
				return
			}
			buf = buf[size:]
		}
	}
}

// dots tells the names of a folder itself and of its parent, with their NUL.
func dots(name []byte) bool {
	return name[0] == '.' && (len(name) == 2 || len(name) == 3 && name[1] == '.')
}
