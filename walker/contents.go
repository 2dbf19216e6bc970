package walker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"regfsck/backend"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// contents are the bytes of a small blob. Of a blob that is good they hash to its
// digest, and may be used until the next is read.
type contents struct {
	state ManifestState
	body  []byte
	size  int64 // bytes read
	err   error // of ManifestUnparsable, ManifestArchived and ManifestUnreadable
}

// contentsReader holds what one goroutine uses again for each blob.
type contentsReader struct {
	w    *Walker
	body []byte
}

func (w *Walker) contentsReader() contentsReader {
	return contentsReader{w: w, body: make([]byte, 16<<10)}
}

// read reads a blob of at most manifest.MaxSize bytes, and keeps it in the cache.
// What the cache has and ListBlobs has proven isn't read from the store. Of a
// larger one, beyond says what to make, from how it begins and the rest.
func (r *contentsReader) read(ctx context.Context, d layout.AnyDigest, beyond func(begin []byte, rest io.Reader) contents) contents {
	if d.Other == "" {
		if body, ok := r.w.proven(d.Digest, r.body); ok {
			return contents{state: ManifestGood, body: body, size: int64(len(body))}
		}
	}
	f, err := r.w.Reader.Open(ctx, d.BlobKey())
	if errors.Is(err, fs.ErrNotExist) {
		return contents{state: ManifestMissing}
	}
	if errors.Is(err, backend.ErrArchived) {
		return contents{state: ManifestArchived, err: err}
	}
	if err != nil {
		return contents{state: ManifestUnreadable, err: err}
	}
	defer f.Close()
	if !d.Provable() {
		return contents{state: ManifestUnparsable, err: errUnknownAlgorithm}
	}
	n, whole, err := r.fill(f)
	if err != nil {
		return contents{state: ManifestUnreadable, err: err}
	}
	if !whole {
		return beyond(r.body[:n], f)
	}
	body := r.body[:n]
	if !d.Proves(body) {
		return contents{state: ManifestCorrupt, size: int64(n)}
	}
	if r.w.Cache != nil && d.Other == "" {
		r.w.Cache.Keep(d.Digest, body)
	}
	return contents{state: ManifestGood, body: body, size: int64(n)}
}

// errUnknownAlgorithm: no registry serves it, and nothing proves what it holds.
var errUnknownAlgorithm = errors.New("its digest is by an algorithm that isn't known, so nothing proves its bytes")

// fill reads f into r.body, up to one byte more than a manifest may have.
func (r *contentsReader) fill(f io.Reader) (n int, whole bool, err error) {
	for n <= manifest.MaxSize {
		if n == len(r.body) {
			r.body = append(r.body, make([]byte, len(r.body))...)
		}
		k, err := f.Read(r.body[n:])
		n += k
		if err == io.EOF {
			return n, n <= manifest.MaxSize, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// serially has the values 0 … n-1 made in parallel, by functions that worker makes,
// one for each goroutine, and hands them to each, one at a time, in no promised
// order. An error from each ends it and is returned; nothing is handed over after.
func serially[T any](ctx context.Context, w *Walker, n int, worker func() func(ctx context.Context, i int) T, each func(i int, v T) error) error {
	var mu sync.Mutex
	var ended error
	return w.parallel(ctx, n, func() func(ctx context.Context, i int) error {
		do := worker()
		return func(ctx context.Context, i int) error {
			v := do(ctx, i)
			mu.Lock()
			defer mu.Unlock()
			if ended == nil {
				ended = ctx.Err()
			}
			if ended == nil {
				ended = each(i, v)
			}
			return ended
		}
	})
}
