//go:build unix

package file

import (
	"cmp"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// file removes a file whose folder is in the folder above. place is where what
// is in above is kept.
func (r *removal) file(above dir, place *place, key string) (receipt backend.Receipt, err error) {
	folder, name := split(key)
	_, base := split(folder)
	d, err := r.openChild("remove", above, folder, base)
	if err != nil {
		return receipt, err
	}
	defer d.close()
	st, err := d.look(name)
	if err != nil {
		return receipt, err
	}
	if err := regular(&st); err != nil {
		return receipt, err
	}
	alone := false
	if folder != "" && !r.run.Stay && !r.standing(folder) {
		if alone, err = d.holdsOnly(name); err != nil {
			return receipt, err
		}
	}
	switch {
	case !r.run.Keep:
		if err = d.remove(name); err == nil && alone {
			_ = above.removeFolder(base) // if something came into it, it stays
		}
		receipt.Freed = space(&st)
	case alone:
		receipt.Undo, receipt.Kept = "folder", space(&st)
		err = place.take(above, base)
	default:
		receipt.Undo, receipt.Kept = "file", space(&st)
		err = r.keep(d, folder, name)
	}
	if err != nil {
		return backend.Receipt{}, err
	}
	return receipt, nil
}

// folder removes an empty folder.
func (r *removal) folder(key string) (receipt backend.Receipt, err error) {
	parent, name := split(key)
	above, err := r.openFolder("remove", parent)
	if err != nil {
		return receipt, err
	}
	defer above.close()
	d, err := r.openChild("remove", above, key, name)
	if err != nil {
		return receipt, err
	}
	defer d.close()
	if empty, err := d.holdsOnly(""); err != nil || !empty {
		return receipt, cmp.Or(err, backend.ErrNotEmpty)
	}
	if !r.run.Keep {
		if err = above.removeFolder(name); errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			err = backend.ErrNotEmpty
		}
		return receipt, err
	}
	if err := r.keep(above, parent, name); err != nil {
		return receipt, err
	}
	return backend.Receipt{Undo: "folder"}, nil
}

// keep takes away what name is in the folder key, which is open as d.
func (r *removal) keep(d dir, key, name string) error {
	place := &place{w: r.Store, kept: r.kept, key: key, dir: dir{-1}}
	defer place.close()
	return place.take(d, name)
}

// regular tells why what was looked at is no file.
func regular(st *unix.Stat_t) error {
	switch kindOf(st) {
	case unix.S_IFREG:
		return nil
	case unix.S_IFLNK:
		return backend.ErrSymlink
	}
	return backend.ErrIrregular
}
