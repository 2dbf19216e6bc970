//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// openState opens the state directory, or the directory in it that the names lead to,
// and makes what is missing if told so. Otherwise what is missing is
// fs.ErrNotExist.
func (w *Store) openState(make bool, names ...string) (dir, error) {
	return w.openStateAt(w.state, make, names...)
}

// openStateAt is openState for the state directory at path.
func (w *Store) openStateAt(path string, make bool, names ...string) (dir, error) {
	parent, name := filepath.Split(path)
	fd, err := again(func() (int, error) {
		return unix.Open(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return dir{-1}, fmt.Errorf("state directory %s: %w", path, err)
	}
	above := dir{fd}
	defer above.close()
	d, err := w.enter(above, make, append([]string{name}, names...)...)
	if err != nil {
		return d, fmt.Errorf("state directory %s: %w", filepath.Join(append([]string{path}, names...)...), err)
	}
	return d, nil
}

// openKept opens the directory of what the run keeps.
func (w *Store) openKept(run backend.Run, make bool) (dir, error) {
	return w.openState(make, "runs", run.ID, "kept")
}

// enter opens the directory that the names lead to from d, which stays open.
func (w *Store) enter(d dir, make bool, names ...string) (dir, error) {
	at := d
	for _, name := range names {
		next, err := at.open(name)
		if make && errors.Is(err, fs.ErrNotExist) {
			if err = w.makeOwn(at, name); err == nil {
				next, err = at.open(name)
			}
		}
		if at != d {
			at.close()
		}
		if errors.Is(err, backend.ErrSymlink) {
			err = fmt.Errorf("%s: %w", name, errLink)
		}
		if err != nil {
			return dir{-1}, err
		}
		at = next
	}
	return at, nil
}

// makeOwn makes a directory of the state.
func (w *Store) makeOwn(d dir, name string) error {
	err := unix.Mkdirat(d.fd, name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	made, err := d.open(name)
	if err != nil {
		return err
	}
	defer made.close()
	return w.give(made.fd)
}

// Give is backend.Claimer's: the owner is that of the root directory.
func (w *Store) Give(f *os.File) error { return w.give(int(f.Fd())) }

func (w *Store) give(fd int) error {
	root, err := w.openDir("look at", "")
	if err != nil {
		return err
	}
	defer root.close()
	st, err := root.self()
	if err == nil {
		err = unix.Fchown(fd, int(st.Uid), int(st.Gid))
	}
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// pieceLength is how long a name is made at most; 255 bytes are allowed.
const pieceLength = 240

// pieces returns the names of the directories, from a run's kept directory on, in which
// is kept what was in the directory key: the whole key as one name, with % and /
// escaped, so that a directory and what was in it are kept independently. A long
// one is cut; all pieces but the last end in %+, which no key does then.
func pieces(key string) []string {
	if key == "" {
		return []string{"%"}
	}
	rest := strings.NewReplacer("%", "%25", "/", "%2F").Replace(key)
	var names []string
	for len(rest) > pieceLength {
		at := pieceLength
		for at > pieceLength-utf8.UTFMax && !utf8.RuneStart(rest[at]) {
			at--
		}
		names = append(names, rest[:at]+cutMark)
		rest = rest[at:]
	}
	return append(names, rest)
}
