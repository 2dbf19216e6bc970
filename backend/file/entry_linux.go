//go:build amd64 || arm64

package file

import (
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// entry accounts for one name of f, which ends with a NUL.
func (w *worker) entry(f *folder, name []byte, what uint8) {
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
		if f.leaf.Name == "" || f.special && hasBelow(w.special, join(f.key, bare)) || !w.probe(f, bare) {
			w.child(f, bare, false)
		}
	case unix.DT_LNK:
		w.fault(f.key, f.child(bare), backend.ErrSymlink)
	default:
		w.fault(f.key, f.child(bare), backend.ErrIrregular)
	}
}

// child returns the key of name in f, of which it keeps no part.
func (f *folder) child(name string) string { return join(f.key, strings.Clone(name)) }

// child leaves the folder name in f to whoever takes it from the stack.
func (w *worker) child(f *folder, name string, done bool) {
	t := task{key: f.child(name), own: f.leaf, done: done, rounds: f.rounds}
	if !w.crowded() {
		f.refs.Add(1)
		t.parent = f
	}
	w.kids = append(w.kids, t)
}

// file hands over a file of f. Where it is the leaf that the parent looked for
// in vain, it came since then and is handed over as such.
func (w *worker) file(f *folder, name []byte, bare string) {
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
func (w *worker) examine(f *folder, name []byte, bare string) bool {
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

func (w *worker) ownLeaf(f *folder, name []byte, bare string) {
	dir, base := split(f.key)
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

// probe hands over the leaf expected in the folder name of f. It reports false
// where that folder must be opened, because the leaf isn't there or is no file.
func (w *worker) probe(f *folder, name string) bool {
	w.path = append(append(append(append(w.path[:0], name...), '/'), f.leaf.Name...), 0)
	w.room(f.key)
	body, errno := w.first(f.fd, &w.path[0], f.leaf.Read)
	switch errno {
	case 0:
		if kind(&w.st) != unix.S_IFREG || f.device != 0 && f.device != w.st.Dev {
			return false
		}
		w.item(&w.st, body, name, "/", f.leaf.Name)
		if f.leaf.Beside {
			w.child(f, name, true)
		}
		return true
	case unix.ENOENT, unix.ESTALE, unix.ENOTDIR, unix.ELOOP, unix.ENXIO:
		return false
	}
	key := f.child(name)
	if errno != unix.EACCES || w.k.look(f.fd, &w.path[0], &w.st) == 0 {
		key += "/" + f.leaf.Name
	}
	w.fault(f.key, key, errno)
	return true
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

// specialEntry accounts for a mount, or for what is to be followed. It reports
// false where name is neither.
func (w *worker) specialEntry(f *folder, name string) bool {
	if _, ok := slices.BinarySearch(w.special, join(f.key, name)); !ok {
		return false
	}
	key := f.child(name)
	dir, base, read := f.key, []string{name}, 0
	if name == f.own.Name {
		if f.done {
			return true
		}
		parent, last := split(f.key)
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
