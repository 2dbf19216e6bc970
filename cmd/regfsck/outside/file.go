// Package outside is about files and directories that are written for a store and stand
// outside of it: reports, plans, lists, and the state directory. Everything here refuses a
// place among a registry's own files.
//
// A file is written under another name in its directory, and renamed once it is complete:
// so it is there whole or not at all.
package outside

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"regfsck/backend"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
)

// File is a file that is being written.
type File struct {
	Path string   // where it is to stand; once it is begun, without links in its directory
	temp *os.File // nil until it is begun
}

// Create begins a file that is to stand at path. It refuses a place in the store of t, or in
// a followed part of it; a t without a store refuses none.
func Create(path string, t location.Location, follow []string) (*File, error) {
	f := &File{Path: path}
	return f, f.Create(t, follow)
}

// Create begins the file at its path, as the function does.
func (f *File) Create(t location.Location, follow []string) error {
	dir, err := Directory(f.Path, t, follow)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(f.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: there is something that is no file", f.Path)
	}
	if err := f.begin(dir); err != nil {
		return err
	}
	f.Path = filepath.Join(dir, filepath.Base(f.Path))
	return nil
}

// Again begins a file once more that stands in its place already, to be written anew.
func (f *File) Again() error { return f.begin(filepath.Dir(f.Path)) }

// begin begins the file in its directory.
func (f *File) begin(dir string) (err error) {
	name := fmt.Sprintf(".%s.%d.tmp", filepath.Base(f.Path), os.Getpid())
	f.temp, err = os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return failure.Unwritable(f.Path, err)
	}
	return nil
}

// Directory returns the directory in which a file is to be written, without links. It
// refuses one in the store, or in a followed part of it.
func Directory(path string, t location.Location, follow []string) (dir string, err error) {
	if dir, err = filepath.Abs(filepath.Dir(path)); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", failure.Unwritable(path, err)
	}
	var parts []string
	if t.Location != nil { // else the answer is about no store
		if root := t.Traits().Root; root != "" {
			parts = []string{root}
		}
	}
	for _, part := range append(parts, follow...) {
		if !filepath.IsAbs(part) {
			part = t.Path(part)
		}
		if within(dir, part) {
			return "", fmt.Errorf("%s: this is inside the store; name a place outside of it", path)
		}
	}
	return dir, nil
}

// within reports whether path is a directory or stands inside it.
func within(path, dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && backend.Within(path, real)
}

// Write has the content written, and puts the file in its place.
func (f *File) Write(write func(io.Writer) error) error {
	err := write(f.temp)
	if err == nil {
		err = f.temp.Sync()
	}
	err = backend.Join(err, f.temp.Close())
	if err == nil {
		err = os.Rename(f.temp.Name(), f.Path)
	}
	if err != nil {
		return failure.Unwritable(f.Path, err)
	}
	return nil
}

// Discard removes what was begun and not written to its end; a file in its place is not
// touched.
func (f *File) Discard() {
	if f.temp == nil {
		return
	}
	f.temp.Close()
	os.Remove(f.temp.Name())
}
