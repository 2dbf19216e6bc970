package file

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
)

// checkKey refuses keys that could lead anywhere but below the root.
func checkKey(op, key string) error {
	rest := key
	for more := true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if part == "" || part == "." || part == ".." {
			return &fs.PathError{Op: op, Path: key, Err: backend.ErrKey}
		}
	}
	if strings.IndexByte(key, 0) >= 0 || filepath.Separator != '/' && !filepath.IsLocal(filepath.FromSlash(key)) {
		return &fs.PathError{Op: op, Path: key, Err: backend.ErrKey}
	}
	return nil
}

// grandparent returns the key of the directory that the directory of a file is in,
// where the root is in itself.
func grandparent(key string) string {
	dirKey, _ := backend.SplitKey(key)
	above, _ := backend.SplitKey(dirKey)
	return above
}

// below returns the part of path that is below the directory dir, both absolute.
func below(dir, p string) (string, bool) {
	rest, ok := strings.CutPrefix(p, dir)
	if !ok || rest == "" {
		return "", false
	}
	if rest[0] == filepath.Separator {
		return filepath.ToSlash(rest[1:]), true
	}
	return filepath.ToSlash(rest), strings.HasSuffix(dir, string(filepath.Separator))
}

// aboveBase reports whether a key is in none of the directories that there are:
// it is beside the base, or above it. The key "" is the root's own name, with a
// base too.
func (c *config) aboveBase(key string) bool {
	rest, ok := strings.CutPrefix(key, c.base)
	return c.base != "" && key != "" && (!ok || rest != "" && rest[0] != '/')
}

// followed returns what the user wants followed as keys, sorted, so that a
// directory stands before what is in it.
func followed(given, real, base string, paths []string) ([]string, error) {
	var keys []string
	for _, p := range paths {
		key, err := followKey(given, real, base, p)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", p, err)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// followKey turns an absolute path or a key into a key. A path may name the
// root as the caller does, or as it really is.
func followKey(given, real, base, p string) (string, error) {
	if !filepath.IsAbs(p) {
		key := path.Clean(filepath.ToSlash(p))
		return key, checkKey("follow", key)
	}
	given, err := filepath.Abs(given)
	if err != nil {
		return "", err
	}
	p = filepath.Clean(p)
	forms := []string{p}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil {
		forms = append(forms, filepath.Join(dir, filepath.Base(p)))
	}
	for _, form := range forms {
		for _, root := range []string{given, real} {
			if key, ok := below(root, form); ok {
				return backend.JoinKey(base, key), nil
			}
		}
	}
	return "", fmt.Errorf("is not below %s", real)
}
