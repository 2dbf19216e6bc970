//go:build amd64 || arm64

package file

import (
	"bufio"
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

// linux is the system for Linux. It has a descriptor of the root, and of
// every followed directory, so that one call resolves a key.
type linux struct {
	config
	counts     *counters
	anchors    []anchor        // deepest first; the root is last, as ""
	files      map[string]bool // followed keys that are files
	mounts     map[string]bool // keys of mounts
	boundaries []string        // sorted: all mounts and followed keys
	noMount    bool            // the system doesn't list its mounts: devices are compared
	inside     bool            // openInside works here
	maxOpen    int             // how many directories a listing keeps open
	buffers    sync.Pool
}

// anchor is an open directory from which keys are resolved.
type anchor struct {
	key string
	fd  int
}

func newSystem(c config, counts *counters) (system, error) {
	l := &linux{config: c, counts: counts, files: map[string]bool{}, maxOpen: maxDirs()}
	l.buffers.New = func() any { return new([bufferSize]byte) }
	fd, err := unix.Open(c.given, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		err = errNotDir
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.given, err)
	}
	l.anchors = []anchor{{"", fd}}
	if c.base != "" {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, backend.Join(fmt.Errorf("open store %s: %w", c.given, err), l.close())
		}
		l.anchors = slices.Insert(l.anchors, 0, anchor{c.base, copied})
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

// maxDirs returns a quarter of the process's limit of descriptors.
func maxDirs() int {
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
	if errno == 0 && kindOf(&st) == unix.S_IFREG {
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
	if errno == 0 && kindOf(&st) == unix.S_IFREG {
		it := itemOf(&st)
		it.Name = key
		return it, nil
	}
	if kindOf(&st) == unix.S_IFLNK {
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

// openKey opens a key; "" is the root. It passes no symbolic link and no mount but
// the followed ones. The error has no Op; its Path is the component that can't be
// entered, if it is one.
func (l *linux) openKey(k *kernel, key string, flags int) (int, *fs.PathError) {
	if l.files[key] {
		return l.openFollowed(k, key, flags)
	}
	if l.aboveBase(key) {
		return -1, &fs.PathError{Path: key, Err: unix.ENOENT}
	}
	a := l.anchor(key)
	rest := strings.TrimPrefix(key[len(a.key):], "/")
	if rest == "" {
		rest = "."
	}
	flags |= unix.O_NOFOLLOW
	if !l.inside && rest != "." {
		return l.walk(k, a, rest, flags)
	}
	var space [256]byte
	path := &append(append(space[:0], rest...), 0)[0]
	if rest == "." {
		fd, errno := k.open(a.fd, path, flags)
		return opened(fd, key, errno)
	}
	fd, errno := k.openInside(a.fd, path, flags)
	switch errno {
	case unix.ELOOP, unix.ENOTDIR, unix.EXDEV, unix.ENAMETOOLONG, unix.EAGAIN:
		return l.explain(k, a, rest, flags, errno)
	}
	return opened(fd, key, errno)
}

func opened(fd int, key string, errno unix.Errno) (int, *fs.PathError) {
	if errno != 0 {
		return -1, &fs.PathError{Path: key, Err: errno}
	}
	return fd, nil
}

// anchor returns the deepest open directory that contains key.
func (l *linux) anchor(key string) anchor {
	for _, a := range l.anchors {
		if rest, ok := strings.CutPrefix(key, a.key); ok && (a.key == "" || rest == "" || rest[0] == '/') {
			return a
		}
	}
	return l.anchors[len(l.anchors)-1]
}

// openFollowed opens a file that is a followed link or mount.
func (l *linux) openFollowed(k *kernel, key string, flags int) (int, *fs.PathError) {
	dir, name := backend.SplitKey(key)
	parent, pe := l.openKey(k, dir, unix.O_PATH|unix.O_DIRECTORY)
	if pe != nil {
		return -1, pe
	}
	defer k.close(parent)
	fd, errno := k.open(parent, cstring(name), flags)
	return opened(fd, key, errno)
}

// explain opens a path again, one component at a time, to find the component that
// failed. It also opens paths that are too long for one call.
func (l *linux) explain(k *kernel, a anchor, rest string, flags int, errno unix.Errno) (int, *fs.PathError) {
	fd, pe := l.walk(k, a, rest, flags)
	if pe == nil && errno == unix.EXDEV { // mounted since the store was opened
		k.close(fd)
		return -1, &fs.PathError{Path: backend.JoinKey(a.key, rest), Err: backend.ErrMount}
	}
	return fd, pe
}

// walk opens rest below a, one component at a time.
func (l *linux) walk(k *kernel, a anchor, rest string, flags int) (int, *fs.PathError) {
	var st unix.Stat_t
	at, key := a.fd, a.key
	if errno := k.lookAt(at, &st); errno != 0 {
		return -1, &fs.PathError{Path: key, Err: errno}
	}
	for more := true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		key = backend.JoinKey(key, name)
		fd, err := l.step(k, at, key, name, &st)
		if err == nil && more && kindOf(&st) != unix.S_IFDIR {
			k.close(fd)
			err = unix.ENOTDIR
		}
		if err == nil && !more {
			k.close(fd)
			var errno unix.Errno
			if fd, errno = k.open(at, cstring(name), flags); errno != 0 {
				err = errno
			}
		}
		if at != a.fd {
			k.close(at)
		}
		if err != nil {
			return -1, &fs.PathError{Path: key, Err: err}
		}
		at = fd
	}
	return at, nil
}

// step opens name below the directory at with O_PATH. st is the state of that directory,
// then of name. A symbolic link is refused.
func (l *linux) step(k *kernel, at int, key, name string, st *unix.Stat_t) (int, error) {
	device := st.Dev
	fd, errno := k.open(at, cstring(name), unix.O_PATH|unix.O_NOFOLLOW)
	if errno != 0 {
		return -1, errno
	}
	var err error
	errno = k.lookAt(fd, st)
	switch {
	case errno != 0:
		err = errno
	case kindOf(st) == unix.S_IFLNK:
		err = backend.ErrSymlink
	case l.mounts[key], l.noMount && kindOf(st) == unix.S_IFDIR && st.Dev != device:
		err = backend.ErrMount
	}
	if err != nil {
		k.close(fd)
		return -1, err
	}
	return fd, nil
}

// plain reports whether the whole store is on one local file system that keeps as a
// directory's link count the number of directories in it, plus two: ext2 to ext4 (which have
// 1 from 65,000 directories on), XFS and tmpfs. Others have 1 or 2 for every directory.
func (l *linux) plain() bool {
	var st unix.Statfs_t
	if !l.inside || l.noMount || len(l.boundaries) > 0 || unix.Fstatfs(l.anchor("").fd, &st) != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}

// cstring returns s with a NUL at its end.
func cstring(s string) *byte { return &append([]byte(s), 0)[0] }

// readMounts reads which mounts are below the root.
func (l *linux) readMounts() {
	text, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		l.setMounts(nil, false)
		return
	}
	defer text.Close()
	keys, err := mountKeys(text, l.real, l.base)
	l.setMounts(keys, err == nil)
}

// setMounts sets the keys of the mounts, if they are known.
func (l *linux) setMounts(keys []string, known bool) {
	l.noMount = !known
	l.mounts = map[string]bool{}
	for _, key := range keys {
		l.mounts[key] = true
	}
	l.boundaries = slices.Concat(keys, l.config.follow)
	slices.Sort(l.boundaries)
}

// follow adds a followed key. Followed directories above it must have been added before.
func (l *linux) follow(key string) error {
	var k kernel
	dir, name := backend.SplitKey(key)
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
	case errno == 0 && kindOf(&st) == unix.S_IFDIR:
		l.anchors = slices.Insert(l.anchors, 0, anchor{key, fd})
		return nil
	case errno == 0 && kindOf(&st) == unix.S_IFREG:
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

// hasBelow reports whether a sorted list of keys has some below the directory dir.
func hasBelow(sorted []string, dir string) bool {
	if dir == "" || len(sorted) == 0 {
		return len(sorted) > 0
	}
	i, _ := slices.BinarySearch(sorted, dir+"/")
	return i < len(sorted) && strings.HasPrefix(sorted[i], dir+"/")
}

// mountKeys reads the text of /proc/self/mountinfo, whose fifth field is a mount's
// path (proc_pid_mountinfo(5)), and returns the keys of the mounts strictly below
// root, which has the key base.
func mountKeys(text io.Reader, root, base string) ([]string, error) {
	var keys []string
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if key, ok := below(root, unescape(fields[4])); ok {
			keys = append(keys, backend.JoinKey(base, key))
		}
	}
	return keys, lines.Err()
}

// unescape decodes the kernel's form of space, tab, newline and backslash: a
// backslash and three octal digits.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) bool {
	return strings.Trim(s, "01234567") == ""
}

// identity identifies a directory under all of its names.
type identity struct{ dev, ino uint64 }

// identities has the keys of directories that must not be listed under another key. A
// directory that is listed under two keys would be judged twice, and what isn't needed
// under one key would be removed although it is needed under the other.
type identities map[identity][]string

// knownDirectories returns the identities for a listing: those of the followed directories,
// of the prefix and of all directories above it. Without followed keys every directory has
// one key. The root may have other names outside the store.
func (l *linux) knownDirectories(k *kernel, prefix string) identities {
	if len(l.config.follow) == 0 || prefix == "" {
		return nil
	}
	all := identities{}
	add := func(key string) {
		fd, pe := l.openKey(k, key, unix.O_PATH|unix.O_DIRECTORY)
		if pe != nil { // a listing of it reports the error
			return
		}
		defer k.close(fd)
		var st unix.Stat_t
		if k.lookAt(fd, &st) == 0 {
			id := identity{st.Dev, st.Ino}
			all[id] = append(all[id], key)
		}
	}
	for _, key := range l.config.follow {
		add(key)
	}
	for key := prefix; ; key, _ = backend.SplitKey(key) {
		add(key)
		if key == "" {
			return all
		}
	}
}

// checkTwice returns an error if the directory fd, opened under a key, is known under
// another key.
func (w *worker) checkTwice(fd int, key string) error {
	if len(w.identities) == 0 || w.k.lookAt(fd, &w.st) != 0 {
		return nil
	}
	others := w.identities[identity{w.st.Dev, w.st.Ino}]
	if i := slices.IndexFunc(others, func(other string) bool { return other != key }); i >= 0 {
		return fmt.Errorf("%w: %s", backend.ErrTwice, others[i])
	}
	return nil
}
