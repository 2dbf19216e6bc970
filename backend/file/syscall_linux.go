//go:build amd64 || arm64

package file

import (
	"context"
	"io"
	"io/fs"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// kernel makes system calls and counts them. Paths are pointers to bytes that
// end with a NUL, so that no call allocates. With package os each link would cost
// five times as much.
type kernel struct {
	calls int64
	how   unix.OpenHow // of openInside
	sampler
}

// sampler decides whether calls are raw: made without the runtime's bookkeeping, which takes
// a twentieth of the processor time of a listing in memory. During a raw call the runtime
// can't use the thread's processor for other goroutines, so a call that waits for a disk
// would block them. Calls are raw only on a local file system, and only while the measured
// ones are quick.
type sampler struct {
	local bool // a local file system; else no call is raw
	raw   bool // calls are raw now
	calls int  // since the last measured one
	quick int  // quick measurements since the last slow one
	until int  // quick measurements in a row after which calls become raw
}

const (
	sampled = 13 // one of so many calls is measured; no multiple of the calls for one file
	settled = 32 // the first value of until, which doubles after each slow raw call
	slow    = 50 * time.Microsecond
)

// sample records how long a call took.
func (s *sampler) sample(took time.Duration) {
	s.calls = 0
	s.quick++
	if took >= slow {
		s.quick = 0
	}
	if s.raw && s.quick == 0 {
		s.until = min(2*max(s.until, settled), 1<<20)
	}
	s.raw = s.local && s.quick >= max(s.until, settled)
}

// call makes one system call.
//
//go:uintptrescapes
func (k *kernel) call(trap, a, b, c, d uintptr) (uintptr, unix.Errno) {
	k.calls++
	if !k.local {
		r, _, errno := unix.Syscall6(trap, a, b, c, d, 0, 0)
		return r, errno
	}
	var start time.Time
	measured := false
	if trap != unix.SYS_GETDENTS64 { // it takes long for many names, also without a disk
		k.sampler.calls++
		measured = k.sampler.calls == sampled
	}
	if measured {
		start = time.Now()
	}
	var r uintptr
	var errno unix.Errno
	if k.raw {
		r, _, errno = unix.RawSyscall6(trap, a, b, c, d, 0, 0)
	} else {
		r, _, errno = unix.Syscall6(trap, a, b, c, d, 0, 0)
	}
	if measured {
		k.sample(time.Since(start))
	}
	return r, errno
}

// openFlags are set for every descriptor: it is closed by an exec, doesn't become the
// terminal, doesn't wait for the other end of a pipe, and doesn't change access times.
const openFlags = unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_NOATIME

// open opens path below dir. O_NOATIME is left out if this user doesn't own the file.
func (k *kernel) open(dir int, path *byte, flags int) (int, unix.Errno) {
	for flags |= openFlags; ; {
		fd, errno := k.call(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(flags), 0)
		switch {
		case errno == unix.EPERM && flags&unix.O_NOATIME != 0:
			flags &^= unix.O_NOATIME
		case errno != unix.EINTR:
			return int(fd), errno
		}
	}
}

// openInside is open for a path without symbolic links (else ELOOP) and within one
// mount (else EXDEV). It needs Linux 5.6.
func (k *kernel) openInside(dir int, path *byte, flags int) (int, unix.Errno) {
	k.how = unix.OpenHow{
		Flags:   uint64(flags | openFlags),
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	if flags&unix.O_PATH != 0 {
		k.how.Flags = uint64(flags | unix.O_CLOEXEC) // openat2 refuses what O_PATH ignores
	}
	for {
		fd, errno := k.call(unix.SYS_OPENAT2, uintptr(dir), uintptr(unsafe.Pointer(path)),
			uintptr(unsafe.Pointer(&k.how)), unsafe.Sizeof(k.how))
		switch {
		case errno == unix.EPERM && k.how.Flags&unix.O_NOATIME != 0:
			k.how.Flags &^= unix.O_NOATIME
		case errno != unix.EINTR:
			return int(fd), errno
		}
	}
}

// look fills st with the state of path below dir. It doesn't follow a symbolic link.
func (k *kernel) look(dir int, path *byte, st *unix.Stat_t) unix.Errno {
	for {
		_, errno := k.call(unix.SYS_NEWFSTATAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
			uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// lookAt fills st with the state of fd.
func (k *kernel) lookAt(fd int, st *unix.Stat_t) unix.Errno {
	_, errno := k.call(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0, 0)
	return errno
}

// read reads into buf, which isn't empty. It returns 0 at the end of the file.
func (k *kernel) read(fd int, buf []byte) (int, unix.Errno) {
	return k.into(unix.SYS_READ, fd, buf)
}

// names reads directory entries into buf. It returns 0 at the end of the directory.
func (k *kernel) names(fd int, buf []byte) (int, unix.Errno) {
	return k.into(unix.SYS_GETDENTS64, fd, buf)
}

func (k *kernel) into(call uintptr, fd int, buf []byte) (int, unix.Errno) {
	for {
		n, errno := k.call(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// close closes fd. Errors don't matter, since it was only read.
func (k *kernel) close(fd int) {
	_, _ = k.call(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0)
}

// read reads f, or a part of it, and then pushes a task for the rest.
func (w *worker) read(f *directory, t task) {
	for !w.stopped.Load() {
		names, end, errno := w.fill(f)
		for range entries(names) {
			f.seen = true // before another worker continues
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
			w.removedWhileOpen(f, t)
			return
		case errno != 0:
			w.fault(f.key, f.key, errno)
			return
		case end:
			w.finish(f, t)
			return
		}
		w.pushChildren()
	}
}

// fill reads names until the buffer is nearly full, or the directory ends.
func (w *worker) fill(f *directory) (names []byte, end bool, errno unix.Errno) {
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

// chunk adds the names in f that were read at once.
func (w *worker) chunk(f *directory, names []byte) {
	for name, what := range entries(names) {
		if w.stopped.Load() {
			return
		}
		w.entry(f, name, what)
	}
}

// finish adds an item for f if it is empty.
func (w *worker) finish(f *directory, t task) {
	if f.seen || f.key == w.prefix {
		return
	}
	switch errno := w.k.lookAt(f.fd, &w.st); {
	case errno != 0:
		w.fault(f.key, f.key, errno)
	case w.st.Nlink == 0:
		w.removedWhileOpen(f, t)
	default:
		dir, name := backend.SplitKey(f.key)
		w.batchFor(dir)
		w.st.Size = 0
		w.item(&w.st, nil, name, "/")
	}
}

// removedWhileOpen is called for a directory that was removed while it was open. Names that
// were read remain valid. If there were none the directory is looked for again, since another
// one may have its name now.
func (w *worker) removedWhileOpen(f *directory, t task) {
	if !f.seen && f.key != w.prefix {
		w.missingTask(t)
	}
}

// reader is an open file. It doesn't use the runtime's poller, which costs four system
// calls a file and can't wait for regular files.
type reader struct {
	fd    int // -1 once closed
	key   string
	done  int64 // bytes read
	bytes *atomic.Int64
}

// Read is io.Reader's.
func (r *reader) Read(p []byte) (int, error) {
	if r.fd < 0 {
		return 0, &fs.PathError{Op: "read", Path: r.key, Err: fs.ErrClosed}
	}
	if len(p) == 0 {
		return 0, nil
	}
	var k kernel
	n, errno := k.read(r.fd, p[:min(len(p), 1<<30)])
	if errno != 0 {
		return 0, &fs.PathError{Op: "read", Path: r.key, Err: errno}
	}
	if n == 0 {
		return 0, io.EOF
	}
	r.done += int64(n)
	return n, nil
}

// Close is io.Closer's. It adds the bytes to the counters.
func (r *reader) Close() error {
	if r.fd < 0 {
		return &fs.PathError{Op: "close", Path: r.key, Err: fs.ErrClosed}
	}
	var k kernel
	k.close(r.fd)
	r.fd = -1
	r.bytes.Add(r.done)
	return nil
}

// Stats is backend.Stater's. Files whose directories have the same parent are looked
// at relative to that parent, with one call each.
func (s *Reader) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	at := siblings{fd: -1}
	at.l, _ = s.system.(*linux)
	defer at.close()
	for i, key := range keys {
		switch {
		case ctx.Err() != nil:
			errs[i] = ctx.Err()
		case checkKey("stat", key) != nil || !at.look(key, &items[i]):
			items[i], errs[i] = s.Stat(ctx, key)
		}
	}
	s.counts.head.Add(at.looked)
	return items, errs
}

// siblings looks at files relative to the parent of their directories, which it keeps
// open until a file with another one.
type siblings struct {
	l      *linux
	k      kernel
	above  string // the parent's key
	fd     int
	path   []byte
	looked int64
}

// look fills in the item of a regular file. It returns false for everything else, which
// must then be looked at with Stat.
func (b *siblings) look(key string, item *backend.Item) bool {
	above := grandparent(key)
	if b.l == nil || above == "" || hasBelow(b.l.boundaries, above) {
		return false
	}
	if b.fd < 0 || above != b.above {
		b.close()
		fd, pe := b.l.openKey(&b.k, above, unix.O_PATH|unix.O_DIRECTORY)
		if pe != nil {
			return false
		}
		b.above, b.fd = above, fd
	}
	b.path = append(append(b.path[:0], key[len(above)+1:]...), 0)
	var st unix.Stat_t
	if b.k.look(b.fd, &b.path[0], &st) != 0 || kindOf(&st) != unix.S_IFREG {
		return false
	}
	b.looked++
	*item = itemOf(&st)
	item.Name = key
	return true
}

func (b *siblings) close() {
	if b.fd >= 0 {
		b.k.close(b.fd)
	}
	b.fd = -1
}

// itemOf returns the item of a file's state, without its name.
func itemOf(st *unix.Stat_t) backend.Item {
	return backend.Item{
		Size: st.Size, Modified: backend.Nanoseconds(st.Mtim.Sec, st.Mtim.Nsec),
		Inode: st.Ino, Changed: backend.Nanoseconds(st.Ctim.Sec, st.Ctim.Nsec),
	}
}
