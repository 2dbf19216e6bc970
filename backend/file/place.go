//go:build unix

package file

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// place is where a run keeps what was in one folder. It is made and opened when
// it is first needed.
type place struct {
	w    *Store
	kept dir
	key  string // of the folder in the store
	dir  dir    // open where the descriptor isn't negative
}

// open opens the place, and makes it.
func (p *place) open() (dir, error) {
	if p.dir.fd >= 0 {
		return p.dir, nil
	}
	var err error
	p.dir, err = p.w.enter(p.kept, true, pieces(p.key)...)
	return p.dir, err
}

func (p *place) close() { p.dir.close() }

// take moves name from the folder d to its place.
func (p *place) take(d dir, name string) error {
	to, err := p.open()
	if err != nil {
		return err
	}
	err = p.w.move(d, name, to, name)
	if errors.Is(err, unix.EXDEV) {
		if can, lookErr := together(d, to); can && lookErr == nil {
			err = p.apart(d, name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return errKept
	}
	return err
}
