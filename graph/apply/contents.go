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

// inside is what a folder holds.
type inside struct {
	files   []backend.Item  // Name is the key
	folders map[string]bool // all below it and itself; none if it isn't there
}

// contents lists a folder. What can't be read is an error.
func contents(ctx context.Context, s backend.Reader, key string) (in inside, err error) {
	top := strings.TrimSuffix(key, "/")
	in.folders = map[string]bool{}
	err = s.List(ctx, top, func(string) backend.Leaf { return backend.Leaf{} }, func(b backend.Batch) error {
		for _, f := range b.Faults {
			return backend.Fault{Key: strings.Clone(f.Key), Err: f.Err}
		}
		for _, it := range b.Items {
			it.Name, it.Body, it.ETag = b.Dir+"/"+it.Name, nil, ""
			folder, empty := strings.CutSuffix(it.Name, "/")
			if !empty {
				folder = it.Name[:strings.LastIndexByte(it.Name, '/')]
				in.files = append(in.files, it)
			}
			in.wayTo(folder, top)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return inside{}, nil
	}
	in.folders[top] = true
	return in, err
}

// unspeakable returns the first of the keys in it that no journal can hold, since
// its name is no UTF-8; "" if there is none. What it holds can't be put back.
func (in *inside) unspeakable() string {
	var keys []string
	for _, f := range in.files {
		keys = append(keys, f.Name)
	}
	for folder := range in.folders {
		keys = append(keys, folder)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !utf8.ValidString(key) {
			return key
		}
	}
	return ""
}

// wayTo adds a folder below top, and all on the way to it.
func (in *inside) wayTo(folder, top string) {
	for len(folder) > len(top) && !in.folders[folder] {
		in.folders[folder] = true
		folder = folder[:strings.LastIndexByte(folder, '/')]
	}
}
