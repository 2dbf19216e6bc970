package s3

import (
	"errors"
	"io/fs"
	"strings"
)

var errKey = errors.New("is no key: it must be a path below the root, without empty, . and .. components")

// checkKey refuses what can't be the key of a file in every keeper.
func checkKey(op, key string) error {
	if key == "" || badComponent(key) >= 0 {
		return &fs.PathError{Op: op, Path: key, Err: errKey}
	}
	return nil
}

// badComponent returns where in key the first component begins that no key may
// have: an empty one, ".", "..", or one with a zero byte. -1 means none.
func badComponent(key string) int {
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

// inside reports whether key lies below the folder dir, where "" is the root.
func inside(key, dir string) bool {
	return dir == "" || len(key) > len(dir) && key[len(dir)] == '/' && key[:len(dir)] == dir
}

// above returns the folder that holds key; "" for the root.
func above(key string) string { return key[:max(strings.LastIndexByte(key, '/'), 0)] }

// join returns the key of name in the folder dir.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
