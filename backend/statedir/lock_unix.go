//go:build unix

package statedir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrHeld is a file that another process has locked, or another of this one.
var ErrHeld = errors.New("another process has it open")

// Lock locks an open file until it is closed, by whatever ends the process. Where
// the filesystem has no locks there is none.
func Lock(f *os.File) error {
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

// foreignName reports whether a file has names elsewhere and isn't the
// directory's owner's: whoever may write in the directory could have given the
// file of another that name.
func foreignName(dir, file fs.FileInfo) bool {
	in, ok := dir.Sys().(*syscall.Stat_t)
	is, also := file.Sys().(*syscall.Stat_t)
	return ok && also && is.Nlink > 1 && is.Uid != in.Uid
}
