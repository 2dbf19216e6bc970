//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// CanKeep tells, without a change, whether the state folder can keep what runs
// remove: that it is, or would be, where the root and every folder that is
// followed can be renamed to.
func (w *Store) CanKeep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	state, err := w.openState(false)
	if errors.Is(err, fs.ErrNotExist) {
		state, err = openPath(filepath.Dir(w.state))
	}
	if err != nil {
		return fmt.Errorf("state folder %s: %w", w.state, reason(err))
	}
	defer state.close()
	for _, key := range w.roots() {
		d, err := w.openFolder("keep", key)
		if err != nil && key == "" {
			return err
		}
		if err != nil { // a file, which is never removed, or what a scan will name
			continue
		}
		can, err := together(d, state)
		d.close()
		if err != nil {
			return failed("keep", key, err)
		}
		if !can {
			return fmt.Errorf("state folder %s: %s %w", w.state, filepath.Join(w.root, strings.TrimPrefix(key, w.base)), errDevice)
		}
	}
	return nil
}

// roots are the keys where a filesystem of its own may begin: the store's, and
// those that are followed.
func (w *Store) roots() []string { return append([]string{""}, w.following()...) }

func openPath(path string) (dir, error) {
	fd, err := again(func() (int, error) { return unix.Open(path, openDir, 0) })
	if err != nil {
		return dir{-1}, err
	}
	return dir{fd}, nil
}

// together reports whether names can be moved from one folder to the other. One
// device isn't enough, since no rename leads from one mount of it to another
// (rename(2), EXDEV): it is tried with a name that nobody has, which changes
// nothing. Any other refusal is an error: it says nothing of mounts.
func together(from, to dir) (bool, error) {
	a, err := from.self()
	if err != nil {
		return false, err
	}
	b, err := to.self()
	if err != nil || a.Dev != b.Dev {
		return false, err
	}
	name := fmt.Sprintf("regfsck-%016x", rand.Uint64())
	switch err := unix.Renameat(from.fd, name, to.fd, name); {
	case errors.Is(err, unix.EXDEV):
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return true, nil
}
