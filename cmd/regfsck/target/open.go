package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/backend/s3"
)

// Reader is a store that is open to be read.
type Reader interface {
	backend.Reader
	backend.Coster
	io.Closer
}

// Access is how a store is to be read.
type Access struct {
	Workers int      // folders or pages listed at once; 0 for the default
	Follow  []string // links and mounts that belong to a folder

	Say func(line string) // is told, from any goroutine, what a bucket's server makes one wait for; nil for nobody
}

// errFollow is a --follow where nothing can be followed.
var errFollow = errors.New("--follow names links and mounts of a filesystem, and a bucket has none")

// Open opens the store to be read. Its errors are sentences for the operator,
// without secrets.
func (t Target) Open(ctx context.Context, a Access) (Reader, error) {
	if t.Bucket == nil {
		return file.Open(t.Root, file.Options{Base: t.Base, Workers: a.Workers, Follow: a.Follow})
	}
	if len(a.Follow) > 0 {
		return nil, errFollow
	}
	o := *t.Bucket
	o.Workers, o.Say = a.Workers, a.Say
	r, err := s3.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := t.holds(ctx, r); err != nil {
		return nil, backend.Join(err, r.Close())
	}
	return r, nil
}

// errSome ends a look that was only for whether there is anything.
var errSome = errors.New("there is something")

// holds refuses a bucket, or a part of it, in which no registry keeps anything.
func (t Target) holds(ctx context.Context, r backend.Reader) error {
	none := func(string) backend.Hint { return backend.Hint{} }
	for _, part := range []string{"/repositories", "/blobs"} {
		err := r.List(ctx, inside+part, none, func(backend.Batch) error { return errSome })
		if !errors.Is(err, fs.ErrNotExist) {
			return nil // what else there is to say, reading it says
		}
	}
	return fmt.Errorf("%s holds nothing below %s: is this the bucket, and the path in it that the registry's configuration calls rootdirectory?", t.Name, inside)
}
