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

// Wanted is a blob that is looked for.
type Wanted struct {
	Blob
	Sizes []int64 // how many bytes it may have, as far as anybody says: a source that has as many comes first
	From  int     // the first of the sources that is asked
	Most  int64   // its bytes are wanted too, if there are at most so many; 0 for no bytes
}

// Found is where a blob was found.
type Found struct {
	Source int     // the first of the sources that has it; below 0 for none
	Size   int64   // bytes that it has there
	Body   []byte  // its bytes, proven; nil where Wanted.Most is 0
	Errs   []error // why those before it, which may have the blob, can't give it

	// Unasked are those of Errs by which nobody knows whether the source has the blob. A
	// source that has other bytes has none, and what is Gone was asked when the plan was made.
	Unasked []error
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

// find looks for one blob: first in the sources that have as many bytes of it as somebody
// says, and then in the others. What is said of a size may be wrong, and only the hash
// decides.
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
			if _, gone := sources[i].(*gone); !gone && !wrong {
				f.Unasked = append(f.Unasked, f.Errs[len(f.Errs)-1])
			}
		}
	}
	return f
}
