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

// directory is an open directory. It stays open until the last of its children has
// been opened.
type directory struct {
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

// enter opens the directory of a task. Nil: it could not, and that is accounted
// for.
func (w *worker) enter(t task) *directory {
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
		if err = w.single(fd, t.key); err != nil {
			w.k.close(fd)
		}
	}
	switch {
	case err == nil:
		return w.newDirectory(fd, t)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ESTALE):
		w.miss(t)
	default:
		w.fault(dir, key, err)
	}
	return nil
}

// openBelow opens a directory below f, which is neither mounted nor to be followed as
// far as is known. It is in f, or the usual one in a directory of f.
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

// newDirectory takes over fd, with one reference for the caller.
func (w *worker) newDirectory(fd int, t task) *directory {
	f := &directory{
		fd: fd, key: t.key, own: t.own, done: t.done,
		special: hasBelow(w.special, t.key),
	}
	if t.leaf != nil {
		f.leaf = *t.leaf
	} else {
		f.leaf = w.expect(t.key)
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
// for again; if there is nothing (more) to look for, the directory is closed.
func (w *worker) release(f *directory) {
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

// crowded tells that no more directories should be kept open for their children.
func (w *worker) crowded() bool { return w.held.Load() > int64(w.maxOpen) }

// entry accounts for one name of f, which ends with a NUL.
func (w *worker) entry(f *directory, name []byte, what uint8) {
	bare := unsafe.String(&name[0], len(name)-1)
	if f.special && w.specialEntry(f, bare) {
		return
	}
	if what == unix.DT_UNKNOWN {
		if !w.examine(f, name, bare) {
			return
		}
		what = uint8(kind(&w.st) >> 12) // IFTODT of dirent.h
	}
	switch what {
	case unix.DT_REG:
		w.file(f, name, bare)
	case unix.DT_DIR:
		switch {
		case w.plain && f.leaf.Usual.File != "" && w.usual(f, bare):
		case f.leaf.Name == "" || f.special && hasBelow(w.special, backend.JoinKey(f.key, bare)) || !w.probe(f, bare):
			w.child(f, bare, false)
		}
	case unix.DT_LNK:
		w.fault(f.key, f.child(bare), backend.ErrSymlink)
	default:
		w.fault(f.key, f.child(bare), backend.ErrIrregular)
	}
}

// child returns the key of name in f, of which it keeps no part.
func (f *directory) child(name string) string { return backend.JoinKey(f.key, strings.Clone(name)) }

// child leaves the directory name in f to whoever takes it from the stack.
func (w *worker) child(f *directory, name string, done bool) {
	t := task{key: f.child(name), own: f.leaf, done: done, rounds: f.rounds}
	if !w.crowded() {
		f.refs.Add(1)
		t.parent = f
	}
	w.kids = append(w.kids, t)
}

// file hands over a file of f. Where it is the leaf that the parent looked for
// in vain, it came since then and is handed over as such.
func (w *worker) file(f *directory, name []byte, bare string) {
	if bare == f.own.Name {
		if !f.done {
			w.ownLeaf(f, name, bare)
		}
		return
	}
	if !w.examine(f, name, bare) {
		return
	}
	if kind(&w.st) != unix.S_IFREG {
		f.lose(bare)
		return
	}
	w.room(f.key)
	w.item(&w.st, nil, bare)
}

// examine looks at name in f, and accounts for it where it can't.
func (w *worker) examine(f *directory, name []byte, bare string) bool {
	w.cost.head++
	errno := w.k.look(f.fd, &name[0], &w.st)
	switch {
	case vanished(errno):
		f.lose(bare)
	case errno != 0:
		w.fault(f.key, f.child(bare), errno)
	}
	return errno == 0
}

// specialEntry accounts for a mount, or for what is to be followed. It reports
// false where name is neither.
func (w *worker) specialEntry(f *directory, name string) bool {
	if _, ok := slices.BinarySearch(w.special, backend.JoinKey(f.key, name)); !ok {
		return false
	}
	key := f.child(name)
	dir, base, read := f.key, []string{name}, 0
	if name == f.own.Name {
		if f.done {
			return true
		}
		parent, last := backend.SplitKey(f.key)
		dir, base, read = parent, []string{last, "/", name}, f.own.Read
	}
	w.room(dir)
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
	case kind(&w.st) == unix.S_IFREG:
		w.item(&w.st, body, base...)
	case kind(&w.st) == unix.S_IFDIR:
		w.kids = append(w.kids, task{key: key, own: f.leaf, rounds: f.rounds})
	default:
		w.fault(dir, key, backend.ErrIrregular)
	}
	return true
}

// ownLeaf hands over the leaf of f, whose directory had to be opened.
func (w *worker) ownLeaf(f *directory, name []byte, bare string) {
	dir, base := backend.SplitKey(f.key)
	w.room(dir)
	body, errno := w.first(f.fd, &name[0], f.own.Read)
	switch {
	case errno == 0 && kind(&w.st) == unix.S_IFREG:
		w.item(&w.st, body, base, "/", bare)
	case errno == 0, vanished(errno), errno == unix.ELOOP, errno == unix.ENXIO: // it has become something else
		f.lose(bare)
	default:
		w.fault(f.key, f.child(bare), errno)
	}
}

// probe hands over the leaf expected in the directory name of f. It reports false
// where that directory must be opened, because the leaf isn't there or is no file.
func (w *worker) probe(f *directory, name string) bool {
	path := w.cpath(name, "/", f.leaf.Name)
	w.room(f.key)
	body, errno := w.first(f.fd, path, f.leaf.Read)
	switch errno {
	case 0:
		if kind(&w.st) != unix.S_IFREG || f.device != 0 && f.device != w.st.Dev {
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

// directories returns how many directories are in the directory at path below f; -1 if
// that isn't known, or it isn't a directory.
func (w *worker) directories(f *directory, path ...string) int {
	if !w.plain || w.k.look(f.fd, w.cpath(path...), &w.st) != 0 || kind(&w.st) != unix.S_IFDIR {
		return -1
	}
	return int(w.st.Nlink) - 2 // its name, its "." and the ".." of each
}

// cpath returns a path as the kernel reads it. It is valid until the next call.
func (w *worker) cpath(parts ...string) *byte {
	w.path = w.path[:0]
	for _, part := range parts {
		w.path = append(w.path, part...)
	}
	w.path = append(w.path, 0)
	return &w.path[0]
}

// usual hands over the file that is usual in the directory name of f, and lists the usual
// directory there. It reports false, and has handed over nothing, where there may be
// other directories, or where the file can't be read: name must be listed then.
func (w *worker) usual(f *directory, name string) bool {
	u := f.leaf.Usual
	above, _ := backend.SplitKey(u.Directory)
	if w.directories(f, name) != 2 || w.directories(f, name, "/", above) != 1 {
		return false
	}
	n := w.directories(f, name, "/", u.Directory)
	if n < 0 {
		return false
	}
	key := f.child(name)
	w.room(key)
	body, ok := w.contentInside(f, f.leaf.Read, name, "/", u.File)
	if !ok {
		return false
	}
	w.item(&w.st, body, u.File)
	dir := backend.JoinKey(key, u.Directory)
	leaf := w.expect(dir)
	if n != 1 || !w.named(f, dir, &leaf, string(body)) {
		w.child(f, name+"/"+u.Directory, false)
		asked := leaf
		w.kids[len(w.kids)-1].leaf = &asked
	}
	return true
}

// named hands over the expected file in the one child of dir, a directory below f, where
// content names that child. It reports false where content doesn't.
func (w *worker) named(f *directory, dir string, leaf *backend.Hint, content string) bool {
	child, ok := strings.CutPrefix(content, leaf.Content)
	if !ok || leaf.Content == "" || leaf.Read == 0 || leaf.Siblings != backend.SiblingsOptional || !isName(child) {
		return false
	}
	w.room(dir)
	body, ok := w.contentInside(f, leaf.Read, strings.TrimPrefix(dir[len(f.key):], "/"), "/", child, "/", leaf.Name)
	if ok {
		w.item(&w.st, body, child, "/", leaf.Name)
	}
	return ok
}

// isName reports whether s can be the name of a directory.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// contentInside makes w.st of the file at path below f, and reads its first bytes. It
// reports false where there is none, where a symbolic link is in the path, and of errors.
func (w *worker) contentInside(f *directory, read int, path ...string) ([]byte, bool) {
	fd, errno := w.k.openInside(f.fd, w.cpath(path...), unix.O_RDONLY|unix.O_NOFOLLOW)
	if errno != 0 {
		return nil, false
	}
	body, errno := w.content(fd, read)
	w.k.close(fd)
	return body, errno == 0 && kind(&w.st) == unix.S_IFREG
}

// first looks at path below dir, which makes w.st, and reads its first bytes.
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
	if errno := w.k.lookAt(fd, &w.st); errno != 0 || kind(&w.st) != unix.S_IFREG {
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

// vanished tells that what was listed can't be found. A network filesystem
// says ESTALE where the thing behind a name was replaced.
func vanished(errno unix.Errno) bool { return errno == unix.ENOENT || errno == unix.ESTALE }

// lose notes a name of f that was listed and can't be found.
func (f *directory) lose(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = append(f.lost, strings.Clone(name))
}

// miss notes a directory that was listed and can't be found.
func (w *worker) miss(t task) {
	dir, name := backend.SplitKey(t.key)
	if t.parent != nil && t.parent.key == dir {
		t.parent.lose(name)
		return
	}
	fd, pe := w.openKey(&w.k, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case pe == nil:
		p := &directory{fd: fd, key: dir, leaf: t.own, special: hasBelow(w.special, dir), lost: []string{name}, rounds: t.rounds}
		p.refs.Store(1)
		w.held.Add(1)
		w.release(p)
	case !errors.Is(pe, fs.ErrNotExist) && !errors.Is(pe, unix.ENOTDIR):
		w.fault(dir, pe.Path, pe.Err)
	}
}

// search looks again for what got lost in f: what the listing doesn't name any
// more was in motion, what it names is tried again, and what it names again and
// again is a fault. All lost names of a directory share one listing.
func (w *worker) search(f *directory) {
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
			w.fault(f.key, backend.JoinKey(f.key, name), err)
		case ok && f.rounds > looks:
			w.fault(f.key, backend.JoinKey(f.key, name), backend.ErrListed)
		case ok:
			w.entry(f, append([]byte(name), 0), what)
		}
	}
	w.pushKids()
}

// listed lists f anew and returns the types of those names that are there.
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

// entries goes through what getdents64 writes: inode and offset (8 bytes each),
// the length of the entry (2), its type (1), and the name with its NUL. The
// directory itself and its parent are left out.
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

// dots tells the names of a directory itself and of its parent, with their NUL.
func dots(name []byte) bool {
	return name[0] == '.' && (len(name) == 2 || len(name) == 3 && name[1] == '.')
}
