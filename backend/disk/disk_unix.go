//go:build linux || darwin

package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Of returns the Space of a directory's filesystem. The error is errors.ErrUnsupported if
// the system or the filesystem doesn't report it.
func Of(dir string) (Space, error) {
	var fs unix.Statfs_t
	for {
		if err := unix.Statfs(dir, &fs); err == nil {
			break
		} else if err != unix.EINTR {
			return Space{}, err
		}
	}
	if fs.Blocks == 0 { // such as a filesystem that has no disk
		return Space{}, errors.ErrUnsupported
	}
	block := blockOf(&fs)
	return Space{Used: int64(fs.Blocks-fs.Bfree) * block, Free: int64(fs.Bavail) * block}, nil
}
