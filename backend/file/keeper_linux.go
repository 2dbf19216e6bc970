//go:build amd64 || arm64

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// linux is the system for Linux. It holds a descriptor of the root, and of
// every folder to follow, so that one call resolves a key.
type linux struct {
	config
	counts  *counters
	anchors []anchor        // deepest first; the root is last, as ""
	files   map[string]bool // keys to follow that are files
	mounts  map[string]bool // keys where something is mounted
	special []string        // sorted: all mounts, and all that is followed
	noMount bool            // the system doesn't tell what is mounted: devices must do
	inside  bool            // openInside works here
	folders int             // how many folders a listing keeps open
	buffers sync.Pool
}

// anchor is a folder from which keys are resolved.
type anchor struct {
	key string
	fd  int
}

func newSystem(c config, counts *counters) (system, error) {
	l := &linux{config: c, counts: counts, files: map[string]bool{}, folders: maxFolders()}
	l.buffers.New = func() any { return new([bufferSize]byte) }
	fd, err := unix.Open(c.given, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		err = errNotFolder
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.given, err)
	}
	l.anchors = []anchor{{"", fd}}
	if c.base != "" {
		again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, backend.Join(fmt.Errorf("open store %s: %w", c.given, err), l.close())
		}
		l.anchors = slices.Insert(l.anchors, 0, anchor{c.base, again})
	}
	l.inside = probeInside(fd)
	l.readMounts()
	for _, key := range c.follow {
		if err := l.follow(key); err != nil {
			return nil, backend.Join(fmt.Errorf("follow %s: %w", key, err), l.close())
		}
	}
	return l, nil
}

// maxFolders leaves three quarters of the descriptors to others.
func maxFolders() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 64
	}
	return int(min(limit.Cur/4, 4096))
}

// probeInside reports whether openat2 works: old kernels don't have it, and some
// sandboxes forbid it.
func probeInside(root int) bool {
	var k kernel
	fd, errno := k.openInside(root, &[]byte(".\x00")[0], unix.O_PATH)
	if errno == 0 {
		k.close(fd)
	}
	return errno == 0
}

func (l *linux) close() error {
	var errs []error
	for _, a := range l.anchors {
		errs = append(errs, unix.Close(a.fd))
	}
	return backend.Join(errs...)
}

func (l *linux) open(key string) (io.ReadCloser, error) {
	var k kernel
	fd, pe := l.openKey(&k, key, unix.O_RDONLY)
	if pe != nil {
		if pe.Err == unix.ENXIO { // a socket
			pe.Err = backend.ErrIrregular
		}
		pe.Op = "open"
		return nil, pe
	}
	var st unix.Stat_t
	errno := k.lookAt(fd, &st)
	if errno == 0 && kind(&st) == unix.S_IFREG {
		return &reader{fd: fd, bytes: &l.counts.bytes, key: key}, nil
	}
	k.close(fd)
	return nil, &fs.PathError{Op: "open", Path: key, Err: notFile(errno)}
}

func (l *linux) stat(key string) (backend.Item, error) {
	var k kernel
	fd, pe := l.openKey(&k, key, unix.O_PATH)
	if pe != nil {
		pe.Op = "stat"
		return backend.Item{}, pe
	}
	var st unix.Stat_t
	errno := k.lookAt(fd, &st)
	k.close(fd)
	if errno == 0 && kind(&st) == unix.S_IFREG {
		return backend.Item{Name: key, Size: st.Size, Modified: backend.Nanoseconds(st.Mtim.Sec, st.Mtim.Nsec)}, nil
	}
	if kind(&st) == unix.S_IFLNK {
		return backend.Item{}, &fs.PathError{Op: "stat", Path: key, Err: backend.ErrSymlink}
	}
	return backend.Item{}, &fs.PathError{Op: "stat", Path: key, Err: notFile(errno)}
}

func notFile(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return backend.ErrIrregular
}
