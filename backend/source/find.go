package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// Wanted is a blob to look for.
type Wanted struct {
	Blob
	Sizes []int64 // its possible sizes, from descriptors: sources with such a size are tried first
	From  int     // index of the first source to ask
	Most  int64   // return its bytes too, if they are at most so many; 0 for no bytes
}

// Found is where a blob was found.
type Found struct {
	Source int     // index of the first source that has it; below 0 for none
	Size   int64   // bytes
	Body   []byte  // its verified bytes; nil if Wanted.Most is 0
	Errs   []error // why earlier sources, which may have the blob, can't return it

	// Unasked are the errors in Errs that leave unknown whether the source has the blob.
	// Not among them are those of a source with other bytes, which doesn't have it, and of
	// an Unavailable one, which was requested when the plan was made.
	Unasked []error
}

// maxParallel is how many blobs are looked for at once.
const maxParallel = 16

// Find looks for n blobs in the sources, in their order, and passes the results to each,
// one at a time, in any order. An error from each ends it and is returned.
func Find(ctx context.Context, sources []Source, n int, want func(i int) Wanted, each func(i int, f Found) error) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
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

// find looks for one blob: first in the sources that have it in one of the expected sizes,
// then in the others. An expected size may be wrong; only the hash decides.
func find(ctx context.Context, sources []Source, w Wanted) Found {
	f := Found{Source: -1}
	sizes, errs := make([]int64, len(sources)), make([]error, len(sources))
	var first, rest []int
	for i, s := range sources {
		if i < w.From {
			continue
		}
		sizes[i], errs[i] = s.Size(ctx, w.Blob)
		if errs[i] == nil && slices.Contains(w.Sizes, sizes[i]) {
			first = append(first, i)
		} else {
			rest = append(rest, i)
		}
	}
	for _, i := range append(first, rest...) {
		err := errs[i]
		if err == nil && w.Most > 0 {
			f.Body, err = Read(ctx, sources[i], w.Blob, w.Most)
		}
		switch {
		case err == nil:
			f.Source, f.Size = i, sizes[i]
			return f
		case !IsNone(err):
			f.Errs = append(f.Errs, fmt.Errorf("%s: %w", sources[i], backend.Cause(err)))
			_, wrong := errors.AsType[*backend.ContentError](err)
			if _, is := sources[i].(*unavailable); !is && !wrong {
				f.Unasked = append(f.Unasked, f.Errs[len(f.Errs)-1])
			}
		}
	}
	return f
}
