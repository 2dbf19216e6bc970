package source

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Wanted is a blob that is looked for.
type Wanted struct {
	Digest layout.AnyDigest
	Size   int64 // how many bytes it has; below 0 nobody knows
	Most   int64 // its bytes are wanted too, if there are at most so many; 0 for no bytes
}

// Found is where a blob was found.
type Found struct {
	Source int     // the first of the sources that has it; below 0 for none
	Size   int64   // bytes that it has there
	Body   []byte  // its bytes, proven; nil where Wanted.Most is 0
	Errs   []error // why those before it, which may have the blob, can't give it
}

// lookers is how many blobs are looked for at once.
const lookers = 16

// Find looks for n blobs in the sources, in the order of these, and hands what it found
// to each, one at a time, in no promised order. An error from each ends it and is
// returned.
func Find(ctx context.Context, sources []Source, n int, want func(i int) Wanted, each func(i int, f Found) error) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f := find(ctx, sources, want(i))
			mu.Lock()
			defer mu.Unlock()
			if err := ctx.Err(); err != nil {
				return err
			}
			return each(i, f)
		})
	}
	return group.Wait()
}

// find looks for one blob.
func find(ctx context.Context, sources []Source, w Wanted) Found {
	f := Found{Source: -1}
	for i, s := range sources {
		var err error
		if f.Size, err = s.Size(ctx, w.Digest); err == nil && w.Size >= 0 && f.Size != w.Size {
			err = fmt.Errorf("has %d bytes of it instead of %d", f.Size, w.Size)
		}
		if err == nil && w.Most > 0 {
			f.Body, err = Read(ctx, s, w.Digest, w.Most)
		}
		switch {
		case err == nil:
			f.Source = i
			return f
		case !IsNone(err):
			f.Errs = append(f.Errs, fmt.Errorf("%s: %w", s, backend.Cause(err)))
		}
	}
	f.Size = 0
	return f
}
