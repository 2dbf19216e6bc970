//go:build unix

package file

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// apart moves the folder name of d, which holds one file at most, to its place
// where a filesystem renames files alone, as an overlay does in folders of its
// lower layers (rename(2) says EXDEV): a folder like it is made there, the file
// is moved into it, and what is left of it removed. What a crash leaves of that
// is taken up again, and restored like any other.
func (p *place) apart(d dir, name string) error {
	from, err := d.open(name)
	if err != nil {
		return err
	}
	defer from.close()
	st, err := from.self()
	if err != nil {
		return err
	}
	in, made, err := p.like(&st, name)
	if err != nil {
		return err
	}
	defer in.close()
	moved, err := p.empty(from, in)
	if err == nil {
		err = d.removeFolder(name)
	}
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		if err = backend.ErrNotEmpty; moved { // what came into it stays
			err = nil
		}
	}
	if err != nil {
		if made {
			_ = p.dir.removeFolder(name) // unless something is in it
		}
		return err
	}
	at := []unix.Timespec{st.Atim, st.Mtim}
	if err = unix.Fchmod(in.fd, uint32(st.Mode)&0o7777); err == nil && made {
		err = unix.UtimesNanoAt(p.dir.fd, name, at, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err
}

// like opens a folder of the place that is its owner's of whom st is, and can be
// worked in; it reports whether it had to be made.
func (p *place) like(st *unix.Stat_t, name string) (in dir, made bool, err error) {
	err = unix.Mkdirat(p.dir.fd, name, 0o700)
	if made = err == nil; !made && !errors.Is(err, fs.ErrExist) {
		return dir{-1}, false, err
	}
	if in, err = p.dir.open(name); err != nil {
		return in, made, err
	}
	like := attributesOf(st)
	like.mode |= 0o700
	if err = like.give(in.fd); err != nil && made {
		_ = p.dir.removeFolder(name)
	}
	if err != nil {
		in.close()
		return dir{-1}, false, err
	}
	return in, made, nil
}

// empty moves the only file of a folder, if there is one, to another folder.
func (p *place) empty(from, to dir) (moved bool, err error) {
	var names []string
	if err := from.names(func(name string) bool { names = append(names, name); return len(names) < 2 }); err != nil {
		return false, err
	}
	switch len(names) {
	case 0:
		return false, nil
	case 1:
		if err = p.w.move(from, names[0], to, names[0]); errors.Is(err, fs.ErrExist) {
			err = errKept
		}
		return err == nil, err
	}
	return false, unix.ENOTEMPTY
}
