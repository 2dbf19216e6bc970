package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/yamldoc"
)

// readSettings reads a settings file. The file can name commands to run (--before) and paths
// to write, so it is refused unless it belongs to root or the process's user, and only the
// owner can write or replace it. shown reports whether everybody can read it.
func readSettings(path string) (body []byte, shown bool, err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // opening it might block
		return nil, false, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	defer f.Close()
	info, err = f.Stat()
	if err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is no file", path)
	}
	if who := foreignWriters(info); who != "" {
		return nil, false, fmt.Errorf("%s is not trusted, since it can name commands: it can be changed by %s (chmod go-w, and chown it to root or to yourself, after you have checked that its content is yours)", path, who)
	}
	if err := trustedWay(path); err != nil {
		return nil, false, fmt.Errorf("%s is not trusted, since it can name commands: %w", path, err)
	}
	if body, err = yamldoc.ReadAll(f, maxSettings); err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	return body, everybodyReads(info), nil
}

// trustedWay fails if another user can change a directory on the path to a file, or a
// symbolic link there. No link may be in a directory that everybody can write.
func trustedWay(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at := filepath.VolumeName(path) + string(filepath.Separator)
	parts := func(p string) []string {
		return strings.FieldsFunc(p[len(filepath.VolumeName(p)):], func(r rune) bool { return r < 128 && os.IsPathSeparator(uint8(r)) })
	}
	const most = 40 // the limit of Linux
	for rest, links := parts(path), 0; len(rest) > 0; {
		dir, err := os.Stat(at)
		if err != nil {
			return err
		}
		who := foreignWriters(dir)
		if who != "" && dir.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("its directory %s can be changed by %s (chmod go-w, and chown it to root or to yourself)", at, who)
		}
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		target, err := os.Readlink(next)
		if links++; err == nil && links > most {
			err = errors.New("too many symbolic links")
		}
		if err != nil {
			return err
		}
		if who != "" {
			return fmt.Errorf("%s is a symbolic link in a directory that can be changed by %s (name the file itself)", next, who)
		}
		if filepath.IsAbs(target) {
			at = filepath.VolumeName(target) + string(filepath.Separator)
		}
		rest = append(parts(target), rest...)
	}
	return nil
}
