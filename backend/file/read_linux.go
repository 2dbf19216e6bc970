//go:build amd64 || arm64

package file

import "golang.org/x/sys/unix"

// read goes through f, or through a part of it and leaves the rest to whoever
// takes it from the stack.
func (w *worker) read(f *folder, t task) {
	for !w.stop.Load() {
		names, end, errno := w.fill(f)
		for range entries(names) {
			f.seen = true // before another worker reads on
			break
		}
		if errno == 0 && !end && !w.crowded() {
			f.refs.Add(1)
			w.push(task{more: f})
			w.chunk(f, names)
			return
		}
		w.chunk(f, names)
		switch {
		case errno == unix.ENOENT, errno == unix.ESTALE && !f.seen:
			w.gone(f, t)
			return
		case errno != 0:
			w.fault(f.key, f.key, errno)
			return
		case end:
			w.finish(f, t)
			return
		}
		w.pushKids()
	}
}

// fill reads names until the buffer is as good as full, or the folder ends.
func (w *worker) fill(f *folder) (names []byte, end bool, errno unix.Errno) {
	n := 0
	for bufferSize-n >= 1024 { // the longest entry takes 280
		got, errno := w.k.names(f.fd, w.buffer[n:])
		if errno != 0 || got == 0 {
			return w.buffer[:n], got == 0, errno
		}
		n += got
	}
	return w.buffer[:n], false, 0
}

// chunk accounts for the names that were read of f at once.
func (w *worker) chunk(f *folder, names []byte) {
	for name, what := range entries(names) {
		if w.stop.Load() {
			return
		}
		w.entry(f, name, what)
	}
}

// finish hands over a folder that turned out to be empty.
func (w *worker) finish(f *folder, t task) {
	if f.seen || f.key == w.prefix {
		return
	}
	switch errno := w.k.lookAt(f.fd, &w.st); {
	case errno != 0:
		w.fault(f.key, f.key, errno)
	case w.st.Nlink == 0:
		w.gone(f, t)
	default:
		dir, name := split(f.key)
		w.room(dir)
		w.st.Size = 0
		w.item(&w.st, nil, name, "/")
	}
}

// gone accounts for a folder that was removed while it was open. What had been
// read of it stands; otherwise another of its name may have taken its place.
func (w *worker) gone(f *folder, t task) {
	if !f.seen && f.key != w.prefix {
		w.miss(t)
	}
}
