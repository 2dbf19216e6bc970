//go:build unix

package file

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// bringAlong brings back a file in its folder, as it was taken away; where there
// is a folder again, the file alone.
func (r *restoration) bringAlong(from dir, name, folder string) error {
	d, err := r.openFolder("restore", folder)
	if err == nil {
		d.close()
		return r.bring(from, name, folder)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above, _ := split(folder)
	d, _, err = r.folders("restore", above, r.makeBack)
	if err != nil {
		return err
	}
	defer d.close()
	r.touch(above)
	_, base := split(folder)
	kept, err := r.enter(r.kept, false, pieces(above)...)
	if err != nil {
		return err
	}
	defer kept.close()
	return r.move(kept, base, d, base)
}

// bring moves name from where it is kept to its folder.
func (r *restoration) bring(from dir, name, folder string) error {
	d, _, err := r.folders("restore", folder, r.makeBack)
	if err != nil {
		return err
	}
	defer d.close()
	r.touch(folder)
	err = r.move(from, name, d, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	s := second{name: name, of: d, in: from}
	if same, lookErr := s.same(); same {
		return from.remove(name) // it never lost its name here
	} else if lookErr != nil {
		return lookErr
	}
	return err
}

// makeBack brings back a folder that was taken away, or makes it like the one
// above, d.
func (r *restoration) makeBack(d dir, key, _ string) error {
	above, name := split(key)
	r.touch(above)
	from, err := r.find(name, unix.S_IFDIR, pieces(above)...)
	if err != nil {
		return err
	}
	defer from.close()
	if from.fd >= 0 {
		if empty, err := from.emptyFolder(name); err != nil {
			return err
		} else if empty { // else it comes back with the file in it
			return r.move(from, name, d, name)
		}
	}
	return makeLike(d, key, name)
}

// touch notes that the folder is changed for the sake of the current receipt.
func (r *restoration) touch(folder string) {
	r.touched[folder] = append(r.touched[folder], r.current)
}
