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
