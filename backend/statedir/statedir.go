// Package statedir opens and writes files of a state directory. By default that is a
// directory in the store's root, which the store's owner may change while root works in it.
// So no symbolic link is followed, neither for the directory nor below it, and a file of another
// owner that also has a name elsewhere (a hard link) isn't opened. One of the same owner is read,
// and is edited as a copy.
package statedir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"regfsck/backend"
)

// ErrShared is the error for a state directory in which more users may write than in the
// store: they could replace what a run keeps or records there.
var ErrShared = errors.New("can be written by others than the store")

// The reasons for not opening a file or directory that exists.
var (
	errLink      = errors.New("is a symbolic link, which regfsck doesn't follow in its own directory")
	errIrregular = errors.New("is no file, as regfsck writes it")
	errNames     = errors.New("is a further name of a file elsewhere, which regfsck doesn't touch")
	errChanged   = errors.New("became another one while it was opened")
)

// Dir is the open state directory, or a directory below it.
type Dir struct {
	root *os.Root
	path string
}

// Open opens the state directory at path. Symbolic links above it must be resolved; it
// can't be one itself. The error for a missing directory is fs.ErrNotExist.
func Open(path string) (*Dir, error) {
	above, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	defer above.Close()
	d := &Dir{above, filepath.Dir(path)}
	return d.Dir(filepath.Base(path))
}

// OpenBelow opens the directory with the path names below the state directory at path.
func OpenBelow(path string, names ...string) (*Dir, error) {
	d, err := Open(path)
	for _, name := range names {
		if err != nil {
			return nil, err
		}
		above := d
		d, err = above.Dir(name)
		above.Close()
	}
	return d, err
}

// Make makes the state directory at path, or the directory with the path names below it,
// with all missing parents, durably. Only the owner may use what it makes; it calls setOwner
// with each new directory, unless setOwner is nil.
func Make(path string, setOwner func(*os.File) error, names ...string) (*Dir, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	d := &Dir{root, filepath.Dir(path)}
	for _, name := range append([]string{filepath.Base(path)}, names...) {
		above := d
		d, err = above.make(name, setOwner)
		above.Close()
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// make opens the directory name in d, and makes it if it is missing.
func (d *Dir) make(name string, setOwner func(*os.File) error) (*Dir, error) {
	err := d.root.Mkdir(name, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, d.failed(name, err)
	}
	if err := d.Sync(); err != nil { // also if another process made it and crashed
		return nil, err
	}
	in, err := d.Dir(name)
	if err != nil || !made || setOwner == nil {
		return in, err
	}
	f, err := in.root.Open(".")
	if err == nil {
		err = backend.Join(setOwner(f), f.Close())
	}
	if err != nil {
		in.Close()
		return nil, d.failed(name, err)
	}
	return in, nil
}

// Path returns the directory's path, for people.
func (d *Dir) Path() string { return d.path }

// Close closes the directory.
func (d *Dir) Close() { _ = d.root.Close() }

// Dir opens the directory name in d.
func (d *Dir) Dir(name string) (*Dir, error) {
	info, err := d.root.Lstat(name)
	switch {
	case err != nil:
		return nil, d.failed(name, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, d.failed(name, errLink)
	case !info.IsDir():
		return nil, d.failed(name, syscall.ENOTDIR)
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, d.failed(name, err)
	}
	if is, err := root.Stat("."); err != nil || !os.SameFile(info, is) {
		root.Close()
		return nil, d.failed(name, backend.Join(errChanged, err))
	}
	return &Dir{root, filepath.Join(d.path, name)}, nil
}

// maxReads is how often Read opens a file that is replaced meanwhile.
const maxReads = 100

// Read opens the file name for reading, again if another process replaces it meanwhile with
// Write.
func (d *Dir) Read(name string) (f *os.File, err error) {
	for range maxReads {
		if f, err = d.open(name, os.O_RDONLY); !errors.Is(err, errChanged) {
			break
		}
	}
	return f, err
}

// Text returns the first bytes of the file name, most at most.
func (d *Dir) Text(name string, most int64) (string, error) {
	f, err := d.Read(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	all, err := io.ReadAll(io.LimitReader(f, most))
	return string(all), d.failed(name, err)
}

// Edit opens the file name for reading and writing, makes it if it is missing, and locks it until
// it is closed. If it is locked already, the error is ErrHeld. A file with further names, as cp -al
// makes them, is first replaced by a copy, so that what the other names show doesn't change.
func (d *Dir) Edit(name string) (f *os.File, err error) {
	copied := false
	for range maxReads {
		f, err = d.Create(name)
		if errors.Is(err, fs.ErrExist) {
			f, err = d.open(name, os.O_RDWR)
		}
		if errors.Is(err, errChanged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		switch err = backend.Join(err, lock(f)); {
		case err != nil:
			return nil, d.failed(name, backend.Join(err, f.Close()))
		case !d.Is(name, f): // another process replaced it before the lock
		case copied || !hasFurtherNames(info):
			return f, nil
		default:
			err, copied = d.copy(name, f, info), true
		}
		if err = backend.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, d.failed(name, errChanged)
}

// copy replaces the file name, which is open as f, by a copy with the same owner and mode.
func (d *Dir) copy(name string, f *os.File, info fs.FileInfo) error {
	body, err := io.ReadAll(f)
	if err != nil {
		return d.failed(name, err)
	}
	return d.Write(name, body, func(to *os.File) error { return setAttributes(to, info) })
}

// Create makes the file name, which must not exist.
func (d *Dir) Create(name string) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, d.failed(name, err)
	}
	info, err := d.root.Lstat(name)
	if err == nil {
		err = d.mayOpen(info, f)
	}
	if err != nil {
		f.Close()
		return nil, d.failed(name, err)
	}
	return f, nil
}

// Write writes the file name atomically, and replaces a file of that name. It calls setOwner
// with the new file first, unless setOwner is nil.
func (d *Dir) Write(name string, body []byte, setOwner func(*os.File) error) error {
	temp := name + "-" + rand.Text()
	f, err := d.Create(temp)
	if err != nil {
		return err
	}
	if setOwner != nil {
		err = setOwner(f)
	}
	if err == nil {
		_, err = f.Write(body)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = backend.Join(err, f.Close()); err == nil {
		err = d.Rename(temp, name)
	}
	if err != nil {
		return backend.Join(d.failed(name, err), d.Remove(temp))
	}
	return d.Sync()
}

// open opens an existing file.
func (d *Dir) open(name string, flag int) (*os.File, error) {
	info, err := d.root.Lstat(name)
	if err == nil {
		err = d.mayOpen(info, nil)
	}
	if err != nil {
		return nil, d.failed(name, err)
	}
	f, err := d.root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err == nil {
		if err = d.mayOpen(info, f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, d.failed(name, err)
	}
	return f, nil
}

// mayOpen returns why a file may not be used. info is that of its name; f, unless nil, is
// the file that was opened by that name since.
func (d *Dir) mayOpen(info fs.FileInfo, f *os.File) error {
	if f != nil {
		is, err := f.Stat()
		if err != nil {
			return err
		}
		if !os.SameFile(info, is) {
			return errChanged
		}
		info = is
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errLink
	case !info.Mode().IsRegular():
		return errIrregular
	}
	self, err := d.root.Stat(".")
	if err == nil && foreignName(self, info) {
		err = errNames
	}
	return err
}

// Is reports whether name in d is the open file f.
func (d *Dir) Is(name string, f *os.File) bool {
	info, err := d.root.Lstat(name)
	if err != nil {
		return false
	}
	is, err := f.Stat()
	return err == nil && os.SameFile(info, is)
}

// Has reports whether the name exists.
func (d *Dir) Has(name string) (bool, error) {
	_, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, d.failed(name, err)
}

// Rename renames name in d to as, and replaces a file of that name.
func (d *Dir) Rename(name, as string) error { return d.failed(name, d.root.Rename(name, as)) }

// Remove removes the file or link name. A missing one is no error.
func (d *Dir) Remove(name string) error {
	err := d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return d.failed(name, err)
}

// Entries returns the entries of d.
func (d *Dir) Entries() ([]fs.DirEntry, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, d.failed("", err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	return entries, d.failed("", err)
}

// Private returns ErrShared if root should not rely on d's content: users other than root
// who may not write in the store's directory may write in d. store is "" if the store isn't
// on this machine. For other users than root it returns nil: they can only open their own
// files.
func (d *Dir) Private(store string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	is, err := d.Info()
	if err != nil {
		return err
	}
	var of fs.FileInfo
	if store != "" {
		if of, err = os.Stat(store); err != nil {
			return err
		}
	}
	if who := outsiders(is, of); who != "" {
		return fmt.Errorf("state directory %s %w: by %s (chmod 700 %[1]s, and chown it to root or to the store's owner, once you have seen that what is in it is regfsck's)", d.path, ErrShared, who)
	}
	return nil
}

// Info returns the FileInfo of d.
func (d *Dir) Info() (fs.FileInfo, error) {
	info, err := d.root.Stat(".")
	return info, d.failed("", err)
}

// Sync makes the names in d durable. Filesystems that can't sync a directory don't need it.
func (d *Dir) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return d.failed("", err)
	}
	defer f.Close()
	if err = f.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return d.failed("", err)
}

// failed returns err as a *fs.PathError for name in d.
func (d *Dir) failed(name string, err error) error {
	if err == nil {
		return nil
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return &fs.PathError{Op: "open", Path: filepath.Join(d.path, name), Err: backend.Cause(err)}
}
