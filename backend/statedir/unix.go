//go:build unix

package statedir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrHeld is the error for a file that another process, or another opening by this one, has
// locked.
var ErrHeld = errors.New("another process has it open")

// lock locks an open file until it is closed, or the process ends. On a filesystem without
// locks it does nothing.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		}
		return nil
	}
}

// foreignName reports whether a file has further names and isn't owned by the directory's
// owner: then another user with write access to the directory could have linked another user's file
// there.
func foreignName(dir, file fs.FileInfo) bool {
	in, ok := dir.Sys().(*syscall.Stat_t)
	is, also := file.Sys().(*syscall.Stat_t)
	return ok && also && is.Nlink > 1 && is.Uid != in.Uid
}

// hasFurtherNames reports whether a file has more than one name.
func hasFurtherNames(file fs.FileInfo) bool {
	is, ok := file.Sys().(*syscall.Stat_t)
	return ok && is.Nlink > 1
}

// setAttributes gives a file the mode of another one, and its owner, if this process may.
func setAttributes(f *os.File, of fs.FileInfo) error {
	var err error
	if is, ok := of.Sys().(*syscall.Stat_t); ok {
		if err = f.Chown(int(is.Uid), int(is.Gid)); errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	return cmp.Or(err, f.Chmod(of.Mode().Perm()))
}

// outsiders returns who may write in a directory, besides root and those who may write in
// the store's directory (nil if the store isn't on this machine); "" for none.
func outsiders(dir, store fs.FileInfo) string {
	is, ok := dir.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	of, local := &syscall.Stat_t{}, false
	if store != nil {
		of, local = store.Sys().(*syscall.Stat_t)
	}
	const group, world = 0o020, 0o002
	mode := fs.FileMode(0)
	if local {
		mode = store.Mode()
	}
	switch {
	case mode&world != 0:
		return ""
	case is.Uid != 0 && !(local && is.Uid == of.Uid):
		return fmt.Sprintf("user %d, whose it is", is.Uid)
	case dir.Mode()&world != 0:
		return "everybody"
	case dir.Mode()&group != 0 && !(mode&group != 0 && is.Gid == of.Gid):
		return fmt.Sprintf("group %d", is.Gid)
	}
	return ""
}
