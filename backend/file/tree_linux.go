//go:build amd64 || arm64

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// directory is an open directory. It remains open until all of its children have been
// opened.
type directory struct {
	fd            int
	key           string
	leaf          backend.Hint // expected in each child
	own           backend.Hint // the parent's leaf, expected in this directory
	leafDone      bool         // own was already returned, with the parent's items
	hasBoundaries bool         // there are mounts or followed keys below
	seen          bool         // it isn't empty
	device        uint64       // its device, if mounts aren't known; else 0
	refs          atomic.Int64

	mu      sync.Mutex
	missing []string // names that were listed and not found
	rounds  int      // how often they were rechecked
}

// openTask opens the directory of a task. If it can't, it records that and returns nil.
func (w *worker) openTask(t task) *directory {
	dir, _ := backend.SplitKey(t.key)
	var fd int
	var err error
	key := t.key
	if t.parent == nil {
		var pe *fs.PathError
		if fd, pe = w.openKey(&w.k, t.key, unix.O_RDONLY|unix.O_DIRECTORY); pe != nil {
			key, err = pe.Path, pe.Err
		}
	} else {
		fd, err = w.openBelow(t.parent, strings.TrimPrefix(t.key[len(t.parent.key):], "/"))
	}
	if err == nil {
		if err = w.checkTwice(fd, t.key); err != nil {
			w.k.close(fd)
		}
	}
	switch {
	case err == nil:
		return w.newDirectory(fd, t)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ESTALE):
		w.missingTask(t)
	default:
		w.fault(dir, key, err)
	}
	return nil
}

// openBelow opens a directory below f that isn't a known mount or followed key. It is a
// child of f, or the usual directory in a child.
func (w *worker) openBelow(f *directory, name string) (int, error) {
	path := w.cpath(name)
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	var fd int
	var errno unix.Errno
	if w.inside {
		fd, errno = w.k.openInside(f.fd, path, flags)
	} else {
		fd, errno = w.k.open(f.fd, path, flags)
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

// newDirectory returns the directory with the descriptor fd, which release will close. The
// caller has one reference.
func (w *worker) newDirectory(fd int, t task) *directory {
	f := &directory{
		fd: fd, key: t.key, own: t.own, leafDone: t.leafDone,
		hasBoundaries: hasBelow(w.boundaries, t.key),
	}
	f.leaf = w.expect(t.key)
	f.refs.Store(1)
	w.openDirs.Add(1)
	w.cost.list++
	if w.noMount && w.k.lookAt(fd, &w.st) == 0 {
		f.device = w.st.Dev
	}
	return f
}

// release drops one reference. With the last one the missing names are rechecked; if
// there are none, the directory is closed.
func (w *worker) release(f *directory) {
	for f.refs.Add(-1) == 0 {
		if len(f.missing) == 0 || w.stopped.Load() {
			w.k.close(f.fd)
			w.openDirs.Add(-1)
			return
		}
		f.refs.Store(1)
		w.recheck(f)
	}
}

// crowded reports whether too many directories are open, so that no more should be kept open
// for their children.
func (w *worker) crowded() bool { return w.openDirs.Load() > int64(w.maxOpen) }

// entry adds the item, task or fault for one name in f. name ends with a NUL.
func (w *worker) entry(f *directory, name []byte, what uint8) {
	bare := unsafe.String(&name[0], len(name)-1)
	if f.hasBoundaries && w.boundaryEntry(f, bare) {
		return
	}
	if what == unix.DT_UNKNOWN {
		if !w.examine(f, name, bare) {
			return
		}
		what = uint8(kindOf(&w.st) >> 12) // IFTODT of dirent.h
	}
	switch what {
	case unix.DT_REG:
		w.file(f, name, bare)
	case unix.DT_DIR:
		switch {
		case w.plain && f.leaf.Usual.File != "" && w.usual(f, bare):
		case f.leaf.In(bare).Name == "" || f.hasBoundaries && hasBelow(w.boundaries, backend.JoinKey(f.key, bare)) || !w.probe(f, bare):
			w.child(f, bare, false)
		}
	case unix.DT_LNK:
		w.fault(f.key, f.child(bare), backend.ErrSymlink)
	default:
		w.fault(f.key, f.child(bare), backend.ErrIrregular)
	}
}

// child returns the key of name in f. It doesn't keep the memory of name.
func (f *directory) child(name string) string { return backend.JoinKey(f.key, strings.Clone(name)) }

// child adds a task for the directory name in f.
func (w *worker) child(f *directory, name string, done bool) {
	t := task{key: f.child(name), own: f.leaf.In(name), leafDone: done, rounds: f.rounds}
	if !w.crowded() {
		f.refs.Add(1)
		t.parent = f
	}
	w.children = append(w.children, t)
}

// file adds a file in f. The parent's leaf is added as such if it didn't exist yet when the
// parent was listed.
func (w *worker) file(f *directory, name []byte, bare string) {
	if bare == f.own.Name {
		if !f.leafDone {
			w.ownLeaf(f, name, bare)
		}
		return
	}
	if !w.examine(f, name, bare) {
		return
	}
	if kindOf(&w.st) != unix.S_IFREG {
		f.addMissing(bare)
		return
	}
	w.batchFor(f.key)
	w.item(&w.st, nil, bare)
}

// examine fills w.st with the state of name in f. It reports whether it could; if not, it
// records the name as missing or as a fault.
func (w *worker) examine(f *directory, name []byte, bare string) bool {
	w.cost.head++
	errno := w.k.look(f.fd, &name[0], &w.st)
	switch {
	case vanished(errno):
		f.addMissing(bare)
	case errno != 0:
		w.fault(f.key, f.child(bare), errno)
	}
	return errno == 0
}

// boundaryEntry adds the item, task or fault for a mount or a followed key. It reports
// whether name is one of these.
func (w *worker) boundaryEntry(f *directory, name string) bool {
	if _, ok := slices.BinarySearch(w.boundaries, backend.JoinKey(f.key, name)); !ok {
		return false
	}
	key := f.child(name)
	dir, base, read := f.key, []string{name}, 0
	if name == f.own.Name {
		if f.leafDone {
			return true
		}
		parent, last := backend.SplitKey(f.key)
		dir, base, read = parent, []string{last, "/", name}, f.own.Read
	}
	w.batchFor(dir)
	fd, pe := w.openKey(&w.k, key, unix.O_RDONLY)
	if pe != nil {
		w.fault(dir, pe.Path, pe.Err)
		return true
	}
	body, errno := w.content(fd, read)
	w.k.close(fd)
	switch {
	case errno != 0:
		w.fault(dir, key, errno)
	case kindOf(&w.st) == unix.S_IFREG:
		w.item(&w.st, body, base...)
	case kindOf(&w.st) == unix.S_IFDIR:
		w.children = append(w.children, task{key: key, own: f.leaf.In(name), rounds: f.rounds})
	default:
		w.fault(dir, key, backend.ErrIrregular)
	}
	return true
}

// ownLeaf adds the parent's leaf in f, after f had to be opened.
func (w *worker) ownLeaf(f *directory, name []byte, bare string) {
	dir, base := backend.SplitKey(f.key)
	w.batchFor(dir)
	body, errno := w.first(f.fd, &name[0], f.own.Read)
	switch {
	case errno == 0 && kindOf(&w.st) == unix.S_IFREG:
		w.item(&w.st, body, base, "/", bare)
	case errno == 0, vanished(errno), errno == unix.ELOOP, errno == unix.ENXIO: // no longer a file
		f.addMissing(bare)
	default:
		w.fault(f.key, f.child(bare), errno)
	}
}

// probe adds the leaf expected in the directory name of f. It returns false if that
// directory must be opened, because the leaf doesn't exist or isn't a file.
func (w *worker) probe(f *directory, name string) bool {
	path := w.cpath(name, "/", f.leaf.Name)
	w.batchFor(f.key)
	body, errno := w.first(f.fd, path, f.leaf.Read)
	switch errno {
	case 0:
		if kindOf(&w.st) != unix.S_IFREG || f.device != 0 && f.device != w.st.Dev {
			return false
		}
		w.item(&w.st, body, name, "/", f.leaf.Name)
		if f.leaf.Siblings == backend.SiblingsAll || f.leaf.Siblings == backend.SiblingDirectories && w.directories(f, name) != 0 {
			w.child(f, name, true)
		}
		return true
	case unix.ENOENT, unix.ESTALE, unix.ENOTDIR, unix.ELOOP, unix.ENXIO:
		return false
	}
	key := f.child(name)
	if errno != unix.EACCES || w.k.look(f.fd, path, &w.st) == 0 {
		key += "/" + f.leaf.Name
	}
	w.fault(f.key, key, errno)
	return true
}

// directories returns the number of directories in the directory at path below f; -1 if
// it is unknown, or path isn't a directory.
func (w *worker) directories(f *directory, path ...string) int {
	if !w.plain || w.k.look(f.fd, w.cpath(path...), &w.st) != 0 || kindOf(&w.st) != unix.S_IFDIR {
		return -1
	}
	return int(w.st.Nlink) - 2 // links: its name, its ".", and ".." of each child
}

// cpath returns a path that ends with a NUL. It is valid until the next call.
func (w *worker) cpath(parts ...string) *byte {
	w.path = w.path[:0]
	for _, part := range parts {
		w.path = append(w.path, part...)
	}
	w.path = append(w.path, 0)
	return &w.path[0]
}

// usual adds the usual file in the directory name of f, and a task for the usual directory
// there. It returns false, and adds nothing, if there may be other directories, or if the
// file can't be read: then name must be listed. Directories are counted after the file is
// read: a push adds a directory before it replaces the file.
func (w *worker) usual(f *directory, name string) bool {
	u := f.leaf.Usual
	above, _ := backend.SplitKey(u.Directory)
	key := f.child(name)
	w.batchFor(key)
	body, ok := w.contentInside(f, f.leaf.Read, name, "/", u.File)
	file := w.st
	if !ok || w.directories(f, name) != 2 || w.directories(f, name, "/", above) != 1 {
		return false
	}
	n := w.directories(f, name, "/", u.Directory)
	child, ok := strings.CutPrefix(string(body), f.leaf.Content)
	if n < 1 || !ok || !isName(child) {
		return false
	}
	var only []byte // what Entry contains, if child is the only directory
	whole := false
	if n == 1 && u.Entry != "" {
		only, whole = w.contentInside(f, f.leaf.Read, name, "/", u.Directory, "/", child, "/", u.Entry)
	}
	if !whole && w.directories(f, name, "/", u.Directory, "/", child) < 0 {
		return false
	}
	w.item(&file, body, u.File)
	if !whole {
		w.child(f, name+"/"+u.Directory, false)
		return true
	}
	w.batch.of(backend.JoinKey(key, u.Directory)) // without delivering it: it has the memory of only
	w.item(&w.st, only, child, "/", u.Entry)
	return true
}

// isName reports whether s can be the name of a directory.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// contentInside fills w.st with the state of the file at path below f, and reads its first
// bytes. It returns false if there is no file, if path has a symbolic link, and on errors.
func (w *worker) contentInside(f *directory, read int, path ...string) ([]byte, bool) {
	fd, errno := w.k.openInside(f.fd, w.cpath(path...), unix.O_RDONLY|unix.O_NOFOLLOW)
	if errno != 0 {
		return nil, false
	}
	body, errno := w.content(fd, read)
	w.k.close(fd)
	return body, errno == 0 && kindOf(&w.st) == unix.S_IFREG
}

// first fills w.st with the state of path below dir, and reads its first bytes.
func (w *worker) first(dir int, path *byte, read int) ([]byte, unix.Errno) {
	if read == 0 {
		w.cost.head++
		return nil, w.k.look(dir, path, &w.st)
	}
	fd, errno := w.k.open(dir, path, unix.O_RDONLY|unix.O_NOFOLLOW)
	if errno != 0 {
		return nil, errno
	}
	body, errno := w.content(fd, read)
	w.k.close(fd)
	return body, errno
}

// content returns the first bytes of the file fd, in the batch's memory.
func (w *worker) content(fd, read int) ([]byte, unix.Errno) {
	if errno := w.k.lookAt(fd, &w.st); errno != 0 || kindOf(&w.st) != unix.S_IFREG {
		return nil, errno
	}
	w.cost.get++
	body := w.batch.space(int(min(int64(read), w.st.Size)))
	n := 0
	for n < len(body) {
		got, errno := w.k.read(fd, body[n:])
		if errno != 0 {
			return nil, errno
		}
		if got == 0 {
			break
		}
		n += got
	}
	w.cost.bytes += int64(n)
	return body[:n], 0
}

// vanished reports whether an error means that a listed name no longer exists. A network
// filesystem returns ESTALE if the file of a name was replaced.
func vanished(errno unix.Errno) bool { return errno == unix.ENOENT || errno == unix.ESTALE }

// addMissing records a name in f that was listed and can't be found.
func (f *directory) addMissing(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing = append(f.missing, strings.Clone(name))
}

// missingTask records that the directory of a task was listed and can't be found.
func (w *worker) missingTask(t task) {
	dir, name := backend.SplitKey(t.key)
	if t.parent != nil && t.parent.key == dir {
		t.parent.addMissing(name)
		return
	}
	fd, pe := w.openKey(&w.k, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case pe == nil:
		p := &directory{fd: fd, key: dir, leaf: t.own, hasBoundaries: hasBelow(w.boundaries, dir), missing: []string{name}, rounds: t.rounds}
		p.refs.Store(1)
		w.openDirs.Add(1)
		w.release(p)
	case !errors.Is(pe, fs.ErrNotExist) && !errors.Is(pe, unix.ENOTDIR):
		w.fault(dir, pe.Path, pe.Err)
	}
}

// recheck lists f again for its missing names. A name that isn't listed any more was
// removed; one that is listed is tried again, and is a fault after maxRechecks. One
// listing serves all missing names of a directory.
func (w *worker) recheck(f *directory) {
	missing := f.missing
	f.missing = nil
	f.rounds++
	listed, err := w.listed(f, missing)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, name := range missing {
		what, ok := listed[name]
		switch {
		case err != nil:
			w.fault(f.key, backend.JoinKey(f.key, name), err)
		case ok && f.rounds > maxRechecks:
			w.fault(f.key, backend.JoinKey(f.key, name), backend.ErrListed)
		case ok:
			w.entry(f, append([]byte(name), 0), what)
		}
	}
	w.pushChildren()
}

// listed lists f again and returns the types of those names that exist.
func (w *worker) listed(f *directory, names []string) (map[string]uint8, error) {
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

// entries returns the names, with their NUL, and types that getdents64 wrote. An entry is
// inode and offset (8 bytes each), its length (2), type (1), and name. The names of the
// directory itself and of its parent are left out.
func entries(buf []byte) iter.Seq2[[]byte, uint8] {
	return func(yield func([]byte, uint8) bool) {
		for len(buf) > 0 {
			size := binary.NativeEndian.Uint16(buf[16:])
			name := buf[19:size]
			name = name[:bytes.IndexByte(name, 0)+1]
			if !isDot(name) && !yield(name, buf[18]) {
				return
			}
			buf = buf[size:]
		}
	}
}

// isDot reports whether name, with its NUL, is "." or "..".
func isDot(name []byte) bool {
	return name[0] == '.' && (len(name) == 2 || len(name) == 3 && name[1] == '.')
}
