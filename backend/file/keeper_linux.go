//go:build amd64 || arm64

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// linux is the keeper for Linux. It holds a descriptor of the root, and of
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

func newKeeper(c config, counts *counters) (keeper, error) {
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
	l.inside = probeInside(fd)
	l.readMounts()
	for _, key := range c.follow {
		if err := l.follow(key); err != nil {
			return nil, errors.Join(fmt.Errorf("follow %s: %w", key, err), l.close())
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

// probeInside tells whether openat2 works: old kernels don't have it, and some
// sandboxes forbid it.
func probeInside(root int) bool {
	var k kernel
	fd, errno := k.openInside(root, &[]byte(".\x00")[0], unix.O_PATH)
	if errno == 0 {
		k.close(fd)
	}
	return errno == 0
}

// readMounts learns what is mounted below the root.
func (l *linux) readMounts() {
	text, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		l.setMounts(nil, false)
		return
	}
	defer text.Close()
	keys, err := mountKeys(text, l.real)
	l.setMounts(keys, err == nil)
}

// setMounts takes up where something is mounted, if that is known.
func (l *linux) setMounts(keys []string, known bool) {
	l.noMount = !known
	l.mounts = map[string]bool{}
	for _, key := range keys {
		l.mounts[key] = true
	}
	l.special = slices.Concat(keys, l.config.follow)
	slices.Sort(l.special)
}

// follow takes up a key that may lead elsewhere. Folders before it in order
// have been taken up.
func (l *linux) follow(key string) error {
	var k kernel
	dir, name := split(key)
	parent, pe := l.openKey(&k, dir, unix.O_PATH|unix.O_DIRECTORY)
	if pe != nil {
		return pe
	}
	defer k.close(parent)
	fd, errno := k.open(parent, cstring(name), unix.O_PATH)
	if errno != 0 {
		return errno
	}
	var st unix.Stat_t
	errno = k.lookAt(fd, &st)
	switch {
	case errno == 0 && kind(&st) == unix.S_IFDIR:
		l.anchors = slices.Insert(l.anchors, 0, anchor{key, fd})
		return nil
	case errno == 0 && kind(&st) == unix.S_IFREG:
		k.close(fd)
		l.files[key] = true
		return nil
	}
	k.close(fd)
	if errno != 0 {
		return errno
	}
	return backend.ErrIrregular
}

func (l *linux) close() error {
	var errs []error
	for _, a := range l.anchors {
		errs = append(errs, unix.Close(a.fd))
	}
	return errors.Join(errs...)
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
		return backend.Item{Name: key, Size: st.Size, Modified: st.Mtim.Nano()}, nil
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

func hasBelow(sorted []string, dir string) bool {
	i, _ := slices.BinarySearch(sorted, dir+"/")
	return dir == "" && len(sorted) > 0 || i < len(sorted) && strings.HasPrefix(sorted[i], dir+"/")
}
