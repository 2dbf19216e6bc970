package apply

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"regfsck/backend"
)

// dirContents is what a directory holds.
type dirContents struct {
	files []backend.Item  // Name is the key
	dirs  map[string]bool // all below it and itself; none if it isn't there
}

// listDir lists a directory. What can't be read is an error.
func listDir(ctx context.Context, s backend.Reader, key string) (in dirContents, err error) {
	top := strings.TrimSuffix(key, "/")
	in.dirs = map[string]bool{}
	err = s.List(ctx, top, func(string) backend.Leaf { return backend.Leaf{} }, func(b backend.Batch) error {
		for _, f := range b.Faults {
			return backend.Fault{Key: strings.Clone(f.Key), Err: f.Err}
		}
		for _, it := range b.Items {
			it.Name, it.Body, it.ETag = b.Dir+"/"+it.Name, nil, ""
			dir, empty := strings.CutSuffix(it.Name, "/")
			if !empty {
				dir = it.Name[:strings.LastIndexByte(it.Name, '/')]
				in.files = append(in.files, it)
			}
			in.addParents(dir, top)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return dirContents{}, nil
	}
	in.dirs[top] = true
	return in, err
}

// notUTF8 returns the first of the keys in it that no journal can hold, since
// its name is no UTF-8; "" if there is none. What it holds can't be put back.
func (in *dirContents) notUTF8() string {
	var keys []string
	for _, f := range in.files {
		keys = append(keys, f.Name)
	}
	for dir := range in.dirs {
		keys = append(keys, dir)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !utf8.ValidString(key) {
			return key
		}
	}
	return ""
}

// addParents adds a directory below top, and all on the way to it.
func (in *dirContents) addParents(dir, top string) {
	for len(dir) > len(top) && !in.dirs[dir] {
		in.dirs[dir] = true
		dir = dir[:strings.LastIndexByte(dir, '/')]
	}
}
