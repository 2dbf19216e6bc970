package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// ErrKey is a key that could lead anywhere but below a store's root.
var ErrKey = errors.New("is no key: it must be a path below the root, without empty, . and .. components")

// JoinKey returns the key of name in the directory dir, where "" is the root.
func JoinKey(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// SplitKey returns the directory that a key is in, and its name there.
func SplitKey(key string) (dir, name string) {
	i := strings.LastIndexByte(key, '/')
	return key[:max(i, 0)], key[i+1:]
}

// Inside reports whether key lies below the directory dir, where "" is the root.
func Inside(key, dir string) bool {
	return dir == "" || len(key) > len(dir) && key[len(dir)] == '/' && key[:len(dir)] == dir
}

// CheckKey returns a *fs.PathError of ErrKey for what can't be the key of a file with
// every driver.
func CheckKey(op, key string) error {
	if key == "" || BadComponent(key) >= 0 {
		return &fs.PathError{Op: op, Path: key, Err: ErrKey}
	}
	return nil
}

// BadComponent returns where in key the first component begins that no key may
// have: an empty one, ".", "..", or one with a zero byte. -1 means none.
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

// ErrRun is an id that no run has.
var ErrRun = errors.New("is no run's id: letters, digits and dashes")

// Check returns ErrRun where the run's id could be a part of no name.
func (r Run) Check() error {
	if r.ID == "" || strings.Trim(r.ID, "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("%q %w", r.ID, ErrRun)
	}
	return nil
}

// Within reports whether an absolute path of this machine is dir or is below it; both
// are without links.
func Within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
