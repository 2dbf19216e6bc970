//go:build unix

package file

import (
	"cmp"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// makeLike makes a folder in the folder d, like it.
func makeLike(d dir, _, name string) error {
	st, err := d.self()
	if err == nil {
		err = unix.Mkdirat(d.fd, name, 0o700)
	}
	if err != nil {
		return err
	}
	made, err := d.open(name)
	if err == nil {
		err = cmp.Or(attributesOf(&st).give(made.fd), d.sync())
		made.close()
	}
	if err != nil {
		_ = d.removeFolder(name)
	}
	return err
}

// folders opens the folder key. What is missing on its way is made by make,
// which is told the folder that is open, the key to make, and its name. What was
// made is returned, outermost first, with an error too.
func (w *Store) folders(op, key string, make func(d dir, key, name string) error) (dir, []string, error) {
	d, err := w.openFolder(op, key)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || key == "" {
		return d, nil, err
	}
	above, name := split(key)
	parent, made, err := w.folders(op, above, make)
	if err != nil {
		return parent, made, err
	}
	defer parent.close()
	switch err = make(parent, key, name); {
	case err == nil:
		made = append(made, key)
	case !errors.Is(err, fs.ErrExist): // else another came first
		return dir{-1}, made, failed(op, key, err)
	}
	d, err = w.openFolder(op, key)
	return d, made, err
}

// unmake removes folders that were made and aren't needed, if nobody else put
// anything into them meanwhile.
func (w *Store) unmake(keys []string) {
	for i := len(keys) - 1; i >= 0; i-- {
		above, name := split(keys[i])
		if d, err := w.openFolder("remove", above); err == nil {
			_ = d.removeFolder(name)
			d.close()
		}
	}
}
