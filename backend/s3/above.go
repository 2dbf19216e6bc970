package s3

import (
	"context"
	"io/fs"
	"strings"

	"regfsck/backend"
)

// Names is backend.Shallow's, by one page: a thousand names.
func (r *Reader) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	if err := checkKey("list", dir); err != nil {
		return nil, err
	}
	prefix := r.root + dir + "/"
	var p page
	if err := r.page(ctx, request{prefix: prefix, delimiter: true}, &p); err != nil {
		return nil, err
	}
	var items []backend.Item
	for i := range p.objects {
		o := &p.objects[i]
		if name := strings.TrimPrefix(o.name(), prefix); name != "" { // else it is the marker of dir itself
			items = append(items, backend.Item{Name: strings.Clone(name), Size: o.size, Modified: o.modified})
		}
	}
	for _, name := range p.prefixes {
		items = append(items, backend.Item{Name: strings.Clone(strings.TrimPrefix(name, prefix))})
	}
	if len(items) == 0 {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	return items, nil
}
