package walker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// ManifestState is what reading a manifest came to.
type ManifestState uint8

// The states of a manifest.
const (
	ManifestUnread     ManifestState = iota
	ManifestGood                     // the bytes hash to the digest and were understood
	ManifestMissing                  // there is no such blob
	ManifestCorrupt                  // the bytes don't hash to the digest
	ManifestUnparsable               // they do, and their form is unknown or beyond the bounds
	ManifestUnreadable               // nobody can say: an error while reading
)

// Manifest is a manifest that was read.
type Manifest struct {
	State    ManifestState
	Manifest manifest.Manifest // of a good one; its Refs may be used only during the call
	Size     int64             // bytes read
	Err      error             // why it is unparsable or unreadable
}

// Manifests reads the n manifests whose digests digest(0) … digest(n-1) gives,
// each once, and hands them to each, one at a time, in no promised order.
// An error from each ends it and is returned; what can't be read is a state. What
// the cache has and ListBlobs has proven isn't read from the store.
func (w *Walker) Manifests(ctx context.Context, n int, digest func(i int) layout.Digest, each func(i int, m Manifest) error) error {
	var mu sync.Mutex
	return w.parallel(ctx, n, func() func(ctx context.Context, i int) error {
		r := manifestReader{w: w, body: make([]byte, 16<<10)}
		return func(ctx context.Context, i int) error {
			m := r.read(ctx, digest(i))
			if err := ctx.Err(); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if err := ctx.Err(); err != nil {
				return err
			}
			return each(i, m)
		}
	})
}

// parallel calls the functions that worker makes, one for each goroutine, with
// 0 … n-1. The first error stops all of them and is returned when they have.
func (w *Walker) parallel(ctx context.Context, n int, worker func() func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(w.workers(), n) {
		do := worker()
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// manifestReader holds what one goroutine uses again for each manifest.
type manifestReader struct {
	w    *Walker
	body []byte
	refs []manifest.Ref
}

func (r *manifestReader) read(ctx context.Context, d layout.Digest) Manifest {
	if body, ok := r.w.proven(d, r.body); ok {
		return r.parse(body)
	}
	f, err := r.w.Reader.Open(ctx, layout.BlobKey(d))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{State: ManifestMissing}
	}
	if err != nil {
		return Manifest{State: ManifestUnreadable, Err: err}
	}
	defer f.Close()
	n, whole, err := r.fill(f)
	if err != nil {
		return Manifest{State: ManifestUnreadable, Err: err}
	}
	if !whole {
		return tooLarge(r.body[:n], f, d)
	}
	body := r.body[:n]
	if layout.Sum(body) != d {
		return Manifest{State: ManifestCorrupt, Size: int64(n)}
	}
	if r.w.Cache != nil {
		r.w.Cache.Keep(d, body)
	}
	return r.parse(body)
}

// parse understands bytes that hash to their digest.
func (r *manifestReader) parse(body []byte) Manifest {
	m, err := manifest.Parse(body, r.refs[:0])
	if err != nil {
		return Manifest{State: ManifestUnparsable, Size: int64(len(body)), Err: err}
	}
	r.refs = m.Refs
	return Manifest{State: ManifestGood, Manifest: m, Size: int64(len(body))}
}

// fill reads f into r.body, up to one byte more than a manifest may have.
func (r *manifestReader) fill(f io.Reader) (n int, whole bool, err error) {
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

// tooLarge tells a manifest beyond the bound, which is unparsable, from bytes
// that aren't the manifest's at all.
func tooLarge(begin []byte, rest io.Reader, d layout.Digest) Manifest {
	h := sha256.New()
	h.Write(begin)
	n, err := io.Copy(h, rest)
	m := Manifest{State: ManifestUnparsable, Size: int64(len(begin)) + n}
	switch {
	case err != nil:
		m.State, m.Err = ManifestUnreadable, err
	case layout.Digest(h.Sum(nil)) != d:
		m.State = ManifestCorrupt
	default:
		m.Err = fmt.Errorf("%w: %d bytes", manifest.ErrTooLarge, m.Size)
	}
	return m
}
