package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// ErrKey: the key could lead outside the store's root.
var ErrKey = errors.New("is no key: it must be a path below the root, without empty, . and .. components")

// JoinKey returns the key of name in the directory dir, where "" is the root.
func JoinKey(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// SplitKey returns the directory of a key, and its name there.
func SplitKey(key string) (dir, name string) {
	i := strings.LastIndexByte(key, '/')
	return key[:max(i, 0)], key[i+1:]
}

// Inside reports whether key is below the directory dir, where "" is the root.
func Inside(key, dir string) bool {
	return dir == "" || len(key) > len(dir) && key[len(dir)] == '/' && key[:len(dir)] == dir
}

// CheckKey returns a *fs.PathError of ErrKey if no driver can have a file under that key.
func CheckKey(op, key string) error {
	if key == "" || BadComponent(key) >= 0 {
		return &fs.PathError{Op: op, Path: key, Err: ErrKey}
	}
	return nil
}

// BadComponent returns the offset in key of its first invalid component (an empty one, ".",
// "..", or one with a zero byte); -1 for none.
func BadComponent(key string) int {
	if key != "" && key[0] != '/' && key[0] != '.' && key[len(key)-1] != '/' &&
		!strings.Contains(key, "//") && !strings.Contains(key, "/.") && strings.IndexByte(key, 0) < 0 {
		return -1
	}
	for at := 0; ; {
		name, _, more := strings.Cut(key[at:], "/")
		if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
			return at
		}
		if at += len(name) + 1; !more {
			return -1
		}
	}
}

// ErrRun: no run can have that id.
var ErrRun = errors.New("is no run's id: letters, digits and dashes")

// Check returns ErrRun if the run's id isn't valid in names.
func (r Run) Check() error {
	if r.ID == "" || strings.Trim(r.ID, "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("%q %w", r.ID, ErrRun)
	}
	return nil
}

// Within reports whether an absolute path of this machine is dir or below it; both must be
// free of symbolic links.
func Within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
