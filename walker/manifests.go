package walker

import (
	"context"
	"fmt"
	"io"
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
	ManifestArchived                 // it is there, and has to be restored before it can be read
	ManifestUnreadable               // nobody can say: an error while reading
)

var stateNames = [...]string{
	ManifestUnread: "not read", ManifestGood: "good", ManifestMissing: "missing", ManifestCorrupt: "corrupt",
	ManifestUnparsable: "not understood", ManifestArchived: "archived", ManifestUnreadable: "unreadable",
}

// String returns the state as reports say it.
func (s ManifestState) String() string { return stateNames[s] }

// Manifest is a manifest that was read.
type Manifest struct {
	State    ManifestState
	Manifest manifest.Manifest // of a good one; its Refs may be used only during the call
	Size     int64             // bytes read
	Err      error             // why it is unparsable, archived or unreadable
}

// Manifests reads the n manifests whose digests digest(0) … digest(n-1) gives,
// each once, and hands them to each, one at a time, in no promised order.
// An error from each ends it and is returned; what can't be read is a state. What
// the cache has and ListBlobs has proven isn't read from the store.
func (w *Walker) Manifests(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, m Manifest) error) error {
	return serially(ctx, w, n, func() func(ctx context.Context, i int) Manifest {
		r := manifestReader{contentsReader: w.contentsReader()}
		return func(ctx context.Context, i int) Manifest { return r.read(ctx, digest(i)) }
	}, each)
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
	contentsReader
	refs []manifest.Ref
}

func (r *manifestReader) read(ctx context.Context, d layout.AnyDigest) Manifest {
	c := r.contentsReader.read(ctx, d, func(begin []byte, rest io.Reader) contents { return tooLarge(begin, rest, d) })
	m := Manifest{State: c.state, Size: c.size, Err: c.err}
	if c.state != ManifestGood {
		return m
	}
	if m.Manifest, m.Err = manifest.Parse(c.body, r.refs[:0]); m.Err != nil {
		m.State = ManifestUnparsable
		return m
	}
	r.refs = m.Manifest.Refs
	return m
}

// tooLarge tells a manifest beyond the bound, which is unparsable, from bytes
// that aren't the manifest's at all.
func tooLarge(begin []byte, rest io.Reader, d layout.AnyDigest) contents {
	h := d.Hash()
	h.Write(begin)
	n, err := io.Copy(h, rest)
	c := contents{state: ManifestUnparsable, size: int64(len(begin)) + n}
	switch {
	case err != nil:
		c.state, c.err = ManifestUnreadable, err
	case !d.IsSum(h):
		c.state = ManifestCorrupt
	default:
		c.err = fmt.Errorf("%w: %d bytes", manifest.ErrTooLarge, c.size)
	}
	return c
}
