//go:build unix && !(linux && (amd64 || arm64))

package file

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

func newSystem(c config, counts *counters) (system, error) { return newPortable(c, counts) }

// openDir opens a directory by the same rules as for reading. An error is a
// *fs.PathError whose Path is the component that can't be entered.
func (s *Reader) openDir(op, key string) (dir, error) {
	p := s.system.(*portable)
	info, pe := p.resolve(key)
	if pe == nil && !info.IsDir() {
		pe = &fs.PathError{Path: key, Err: errNotDir}
	}
	if pe != nil {
		pe.Op = op
		return dir{-1}, pe
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(p.path(key), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return dir{-1}, &fs.PathError{Op: op, Path: key, Err: err}
	}
	d := dir{fd}
	seen, ok := info.Sys().(*syscall.Stat_t)
	if st, err := d.self(); err != nil || !ok || st.Ino != seen.Ino || uint64(st.Dev) != uint64(seen.Dev) {
		d.close()
		return dir{-1}, &fs.PathError{Op: op, Path: key, Err: errChanged}
	}
	return d, nil
}

// openChild is openDir for a directory whose parent is open.
func (s *Reader) openChild(op string, _ dir, key, _ string) (dir, error) {
	return s.openDir(op, key)
}

// moveNew is a renaming.
func moveNew(from dir, name string, to dir, as string) error {
	return moveByLink(linkNew, from, name, to, as)
}
