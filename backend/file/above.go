package file

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"regfsck/backend"
)

// Names is backend.Shallow's. Symbolic links in the directory are files to it.
func (s *Reader) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	if err := checkKey("list", dir); err != nil {
		return nil, err
	}
	if s.aboveBase(dir) {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	s.counts.list.Add(1)
	rest := strings.TrimPrefix(strings.TrimPrefix(dir, s.base), "/")
	entries, err := os.ReadDir(filepath.Join(s.real, filepath.FromSlash(rest)))
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: reason(err)}
	}
	var items []backend.Item
	for _, e := range entries {
		info, err := e.Info()
		if err != nil { // it has vanished
			continue
		}
		it := backend.Item{Name: e.Name(), Modified: backend.Nanoseconds(info.ModTime().Unix(), int64(info.ModTime().Nanosecond()))}
		switch {
		case e.IsDir():
			it.Name += "/"
		case info.Mode().IsRegular():
			it.Size = info.Size()
		}
		items = append(items, it)
	}
	return items, ctx.Err()
}
