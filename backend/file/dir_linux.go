//go:build amd64 || arm64

package file

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openDir opens a directory by the same rules as for reading. An error is a
// *fs.PathError whose Path is the component that can't be entered.
func (s *Reader) openDir(op, key string) (dir, error) {
	var k kernel
	fd, pe := s.system.(*linux).openKey(&k, key, unix.O_RDONLY|unix.O_DIRECTORY)
	if pe != nil {
		pe.Op = op
		return dir{-1}, pe
	}
	return dir{fd}, nil
}

// openChild is openDir for a directory whose parent is open.
func (s *Reader) openChild(op string, parent dir, key, name string) (dir, error) {
	l := s.system.(*linux)
	if !l.inside {
		return s.openDir(op, key)
	}
	var k kernel
	fd, errno := k.openInside(parent.fd, cstring(name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if errno != 0 {
		return s.openDir(op, key)
	}
	return dir{fd}, nil
}

// moveNew is a renaming. It doesn't replace an empty directory either.
func moveNew(from dir, name string, to dir, as string) error {
	err := unix.Renameat2(from.fd, name, to.fd, as, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return moveByLink(linkNew, from, name, to, as)
	}
	return err
}
