//go:build unix

package file

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// dir is an open directory. Its methods work on single names in it, and don't follow
// symbolic links.
type dir struct{ fd int }

// dirFlags are the flags with which directories are opened.
const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// retry calls f until no signal interrupts it.
func retry[T any](f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

// open opens a directory in d.
func (d dir) open(name string) (dir, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(d.fd, name, dirFlags, 0) })
	if err == nil {
		return dir{fd}, nil
	}
	if st, lookErr := d.look(name); lookErr == nil && kindOf(&st) == unix.S_IFLNK {
		err = backend.ErrSymlink
	}
	return dir{-1}, err
}

// file opens a file in d for reading. It doesn't wait for a pipe.
func (d dir) file(name string) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// close closes d. Callers sync before, if changes must be durable.
func (d dir) close() {
	if d.fd >= 0 {
		_ = unix.Close(d.fd)
	}
}

// self returns the state of d itself.
func (d dir) self() (st unix.Stat_t, err error) {
	err = unix.Fstat(d.fd, &st)
	return st, err
}

// look returns the state of name in d.
func (d dir) look(name string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// names calls each with the names in d until it returns false. It continues where
// the last call with the same descriptor ended.
func (d dir) names(each func(name string) bool) error {
	buf := make([]byte, 2048)
	var names []string
	for {
		n, err := retry(func() (int, error) { return unix.ReadDirent(d.fd, buf) })
		if err != nil || n <= 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if !each(name) {
				return nil
			}
		}
	}
}

// all returns the names in d. No names may have been read from d before.
func (d dir) all() (all []string, err error) {
	err = d.names(func(name string) bool {
		all = append(all, strings.Clone(name))
		return true
	})
	return all, err
}

// holdsOnly reports whether d contains nothing but name; if name is "", whether it is
// empty. No names may have been read from d before.
func (d dir) holdsOnly(name string) (bool, error) {
	only := true
	err := d.names(func(n string) bool {
		only = n == name
		return only
	})
	return only && err == nil, err
}

// holdsNothing reports whether the directory name in d is empty.
func (d dir) holdsNothing(name string) (bool, error) {
	in, err := d.open(name)
	if err != nil {
		return false, err
	}
	defer in.close()
	return in.holdsOnly("")
}

func (d dir) remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }

func (d dir) removeDir(name string) error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) }

// sync makes the names in d durable. Filesystems that can't sync a directory don't need it.
func (d dir) sync() error {
	_, err := retry(func() (struct{}, error) { return struct{}{}, unix.Fsync(d.fd) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// renaming gives a file or directory, name in the directory from, the new name as in the
// directory to. It replaces nothing.
type renaming func(from dir, name string, to dir, as string) error

// linkNew is a renaming that keeps the old name: it makes a hard link.
func linkNew(from dir, name string, to dir, as string) error {
	return unix.Linkat(from.fd, name, to.fd, as, 0)
}

// moveByLink is a renaming for filesystems whose rename always replaces: a file gets its
// new name by a hard link before the old one is removed. What can't be linked, such as a
// directory, is renamed after a look at the new name.
func moveByLink(link renaming, from dir, name string, to dir, as string) error {
	st, err := from.look(name)
	if err != nil {
		return err
	}
	if kindOf(&st) == unix.S_IFREG {
		err := link(from, name, to, as)
		if err == nil {
			return from.remove(name)
		}
		if !noLinks(err) {
			return err
		}
	}
	if _, err := to.look(as); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	return unix.Renameat(from.fd, name, to.fd, as)
}

// noLinks reports whether err is the refusal of any hard link: the filesystem has none, has
// too many of this file, or forbids them for files of other users.
func noLinks(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EMLINK)
}

// kindOf returns the file type bits of st.
func kindOf(st *unix.Stat_t) uint32 { return uint32(st.Mode) & unix.S_IFMT }

// space returns how many bytes the disk frees if one name of st is removed.
func space(st *unix.Stat_t) int64 {
	if kindOf(st) != unix.S_IFREG || st.Nlink > 1 {
		return 0
	}
	return int64(st.Blocks) * 512
}

// makeLike makes a directory in the directory d, with its attributes, and syncs d.
func makeLike(d dir, key, name string) error {
	err := makeUnsynced(d, key, name)
	if err != nil {
		return err
	}
	if err = d.sync(); err != nil {
		_ = d.removeDir(name)
	}
	return err
}

// makeUnsynced is makeLike for callers that sync d later.
func makeUnsynced(d dir, _, name string) error {
	st, err := d.self()
	if err == nil {
		err = unix.Mkdirat(d.fd, name, 0o700)
	}
	if err != nil {
		return err
	}
	made, err := d.open(name)
	if err == nil {
		err = attributesOf(&st).give(made.fd)
		made.close()
	}
	if err != nil {
		_ = d.removeDir(name)
	}
	return err
}

// device returns the filesystem of a file, if the system has that.
func device(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true
}
