//go:build amd64 || arm64

package file

import "golang.org/x/sys/unix"

// ownLeaf hands over the leaf of f, whose folder had to be opened.
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
		if f.leaf.Siblings {
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
