//go:build amd64 || arm64

package file

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// openKey opens what key names, "" being the root, through no symbolic link
// and no mount but those to follow. The error has no Op yet; its Path is the
// component that is in the way, where that is one.
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

// anchor returns the deepest folder that is held open and leads to key.
func (l *linux) anchor(key string) anchor {
	for _, a := range l.anchors {
		if rest, ok := strings.CutPrefix(key, a.key); ok && (a.key == "" || rest == "" || rest[0] == '/') {
			return a
		}
	}
	return l.anchors[len(l.anchors)-1]
}

// openFollowed opens a file that is a link or a mount to follow.
func (l *linux) openFollowed(k *kernel, key string, flags int) (int, *fs.PathError) {
	dir, name := split(key)
	parent, pe := l.openKey(k, dir, unix.O_PATH|unix.O_DIRECTORY)
	if pe != nil {
		return -1, pe
	}
	defer k.close(parent)
	fd, errno := k.open(parent, cstring(name), flags)
	return opened(fd, key, errno)
}

// explain goes the way again that failed as a whole, to find the component
// that is in the way. A path too long for one call is opened by it.
func (l *linux) explain(k *kernel, a anchor, rest string, flags int, errno unix.Errno) (int, *fs.PathError) {
	fd, pe := l.walk(k, a, rest, flags)
	if pe == nil && errno == unix.EXDEV { // mounted since the store was opened
		k.close(fd)
		return -1, &fs.PathError{Path: join(a.key, rest), Err: backend.ErrMount}
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
		key = join(key, name)
		fd, err := l.step(k, at, key, name, &st)
		if err == nil && more && kind(&st) != unix.S_IFDIR {
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

// step opens name below the folder at, whose state is st, as a path. A link
// comes back as such only to be refused.
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
	case kind(st) == unix.S_IFLNK:
		err = backend.ErrSymlink
	case l.mounts[key], l.noMount && kind(st) == unix.S_IFDIR && st.Dev != device:
		err = backend.ErrMount
	}
	if err != nil {
		k.close(fd)
		return -1, err
	}
	return fd, nil
}

// cstring returns s as the kernel reads it.
func cstring(s string) *byte { return &append([]byte(s), 0)[0] }
