package walker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Recheck is what one key has now, by a direct request and not by a listing.
type Recheck struct {
	Absent   bool
	Size     int64
	Modified int64 // nanoseconds since 1970
	Archived bool  // it must be restored before it can be read
	Link     Link  // the link, if the key is that of one
	Err      error // nothing is known
}

// Recheck requests n keys directly and passes each result to each, one at a time, in any
// order. Links are read, and their State is set as in a listing. An error from each ends it
// and is returned.
func (w *Walker) Recheck(ctx context.Context, n int, key func(i int) string, each func(i int, l Recheck) error) error {
	return serially(ctx, w, n, held, func() func(ctx context.Context, i int) Recheck {
		return func(ctx context.Context, i int) Recheck { return w.recheck(ctx, key(i)) }
	}, each)
}

func (w *Walker) recheck(ctx context.Context, key string) Recheck {
	item, err := w.Reader.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return Recheck{Absent: true}
	}
	if err != nil {
		return Recheck{Err: err}
	}
	l := Recheck{Size: item.Size, Modified: item.Modified, Archived: item.Archived}
	parsed, err := layout.Parse(key)
	if err != nil {
		return l
	}
	switch parsed.Kind {
	case layout.Revision, layout.TagCurrent, layout.TagHistory, layout.LayerLink, layout.Tarsum:
	default:
		return l
	}
	item.Body, err = w.readLink(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return Recheck{Absent: true}
	}
	switch {
	case errors.Is(err, backend.ErrArchived):
		item.Body, item.Archived = nil, true
	case err != nil:
		return Recheck{Err: err}
	}
	l.Link = Link{Kind: parsed.Kind, Tag: parsed.Tag, Modified: item.Modified, Size: max(item.Size, int64(len(item.Body)))}
	if d, ok := parsed.Digest(); ok {
		l.Link.Path = d
	} else if parsed.Kind != layout.TagCurrent {
		l.Link.alias(parsed.Version, parsed.Algorithm, parsed.Hex)
	}
	l.Link.check(&item)
	return l
}

func (w *Walker) readLink(ctx context.Context, key string) ([]byte, error) {
	f, err := w.Reader.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxLink))
}

// Ask calls ask for 0 … n-1 in parallel and passes each answer to each, one at a time, in
// any order. An error from each ends it and is returned.
func (w *Walker) Ask(ctx context.Context, n int, ask func(ctx context.Context, i int) (bool, error), each func(i int, is bool, err error) error) error {
	type answer struct {
		is  bool
		err error
	}
	return serially(ctx, w, n, held, func() func(ctx context.Context, i int) answer {
		return func(ctx context.Context, i int) answer {
			is, err := ask(ctx, i)
			return answer{is, err}
		}
	}, func(i int, a answer) error { return each(i, a.is, a.err) })
}

// errFound ends a listing that only had to find out whether anything is there.
var errFound = errors.New("found")

// Exists reports whether the directory key, or a file or directory below it, exists.
func (w *Walker) Exists(ctx context.Context, key string) (bool, error) {
	err := w.Reader.List(ctx, key, noLeaf, func(backend.Batch) error { return errFound })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil && !errors.Is(err, errFound) {
		return false, err
	}
	return true, nil
}

// HasManifests reports whether the repository has a tag's directory or a file of a
// revision.
func (w *Walker) HasManifests(ctx context.Context, repository string) (bool, error) {
	err := w.Reader.List(ctx, layout.RepositoryKey(repository)+"/_manifests", noLeaf, func(b backend.Batch) error {
		for _, it := range b.Items {
			if it.Marker {
				continue
			}
			key, dir := strings.CutSuffix(b.Dir+"/"+it.Name, "/")
			parsed, err := layout.Parse(key)
			if !dir { // the directory of a file; that of a file beside the tags isn't a tag's
				key = path.Dir(key)
			}
			if err == nil && parsed.Kind == layout.Revision || layout.ParseDirectory(key).Tag != "" {
				return errFound
			}
		}
		for _, f := range b.Faults {
			return f
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, err
}

func noLeaf(string) backend.Hint { return backend.Hint{} }
