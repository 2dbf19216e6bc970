// Package outside writes files and directories outside a store: reports, plans, lists, and
// the state directory. It refuses paths among a registry's own files.
//
// A file is written under a temporary name and renamed when it is complete.
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
	Path string   // of the result; after Create its directory has no symbolic links
	temp *os.File // nil before Create
}

// Create starts a file. It refuses a path inside the store of t or a followed link's target;
// any path is allowed if t has no store.
func Create(path string, t location.Location, follow []string) (*File, error) {
	f := &File{Path: path}
	return f, f.Create(t, follow)
}

// Create starts the file f.Path.
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

// Again starts to overwrite a file that was written.
func (f *File) Again() error { return f.begin(filepath.Dir(f.Path)) }

// begin creates the temporary file.
func (f *File) begin(dir string) (err error) {
	name := fmt.Sprintf(".%s.%d.tmp", filepath.Base(f.Path), os.Getpid())
	f.temp, err = os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return failure.Unwritable(f.Path, err)
	}
	return nil
}

// Directory returns the directory of path without symbolic links. It refuses one inside the
// store or a followed link's target.
func Directory(path string, t location.Location, follow []string) (dir string, err error) {
	if dir, err = filepath.Abs(filepath.Dir(path)); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", failure.Unwritable(path, err)
	}
	var parts []string
	if t.Location != nil { // otherwise the answer isn't about a store
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

// within reports whether path is dir or inside it.
func within(path, dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && backend.Within(path, real)
}

// Write writes the content and renames the file to its path.
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

// Discard removes the temporary file, if there is one. A completed file remains.
func (f *File) Discard() {
	if f.temp == nil {
		return
	}
	f.temp.Close()
	os.Remove(f.temp.Name())
}
