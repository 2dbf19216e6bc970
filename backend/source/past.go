package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// PastName is the name of a store's own past among the sources. No operator names it.
const PastName = "this store's own past"

// ErrUnseen is a past that can't be looked at: nobody knows what is in it.
var ErrUnseen = errors.New("can't be looked at")

// Past is a store that knows what is kept of its files.
type Past interface {
	// Earlier is backend.Undoer's.
	Earlier(ctx context.Context, key string) ([]backend.Earlier, error)
}

// OpenedPast is a Past that is to be closed.
type OpenedPast interface {
	Past
	io.Closer
}

// unseen says what could not be looked at.
func unseen(err error) error { return fmt.Errorf("%w: %v", ErrUnseen, err) }

// OfPast returns what stores keep of files that were removed or written over, as a
// source. What was taken away because it was corrupt is among that, so a blob counts as
// found only once its bytes were hashed. open is called with the first blob that is
// asked for; the stores that it returns are asked in their order, with an error too, which
// says what could not be looked at.
func OfPast(open func(ctx context.Context) ([]OpenedPast, error)) Source {
	return &past{open: open, known: map[string]*backend.Earlier{}}
}

// past is the past of stores as a source.
type past struct {
	open  func(ctx context.Context) ([]OpenedPast, error)
	guard guard

	opening sync.Mutex
	opened  bool
	stores  []OpenedPast
	unseen  error

	mu    sync.Mutex
	known map[string]*backend.Earlier // by digest, proven; nil for none
}

// String is Source's.
func (*past) String() string { return PastName }

// Size is Source's.
func (s *past) Size(ctx context.Context, b Blob) (int64, error) {
	e, err := s.find(ctx, b.Digest)
	if err != nil {
		return 0, err
	}
	return e.Size, nil
}

// Open is Source's.
func (s *past) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	e, err := s.find(ctx, b.Digest)
	if err != nil {
		return nil, err
	}
	return s.guard.open(ctx, func() (io.ReadCloser, error) { return e.Open(ctx) })
}

// Close is Source's.
func (s *past) Close() error {
	var failures []error
	for _, store := range s.stores {
		failures = append(failures, store.Close())
	}
	return backend.Join(failures...)
}

// all opens the stores, once.
func (s *past) all(ctx context.Context) ([]OpenedPast, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if !s.opened {
		s.stores, s.unseen = s.open(ctx)
		s.opened = true
	}
	if s.unseen != nil {
		return s.stores, unseen(s.unseen)
	}
	return s.stores, nil
}

// find returns what is kept of a blob.
func (s *past) find(ctx context.Context, d layout.AnyDigest) (*backend.Earlier, error) {
	s.mu.Lock()
	e, known := s.known[d.String()]
	s.mu.Unlock()
	if !known {
		stores, err := s.all(ctx)
		var failures []error
		if err != nil {
			failures = append(failures, err)
		}
		for _, store := range stores {
			if e, err = s.guard.kept(ctx, store, d); err == nil {
				break
			}
			if !IsNone(err) {
				failures = append(failures, err)
			}
		}
		if err = ctx.Err(); err != nil {
			return nil, err
		}
		if e == nil && len(failures) > 0 {
			return nil, backend.Join(failures...)
		}
		s.mu.Lock()
		s.known[d.String()] = e
		s.mu.Unlock()
	}
	if e == nil {
		return nil, fmt.Errorf("%s: %w", d, fs.ErrNotExist)
	}
	return e, nil
}

// Kept returns what a store keeps of a blob besides what stands there, with bytes that
// were hashed and are right. Where all was looked at and nothing is right it is
// fs.ErrNotExist.
func Kept(ctx context.Context, store Past, d layout.AnyDigest) (*backend.Earlier, error) {
	return new(guard).kept(ctx, store, d)
}

// kept is Kept.
func (g *guard) kept(ctx context.Context, store Past, d layout.AnyDigest) (*backend.Earlier, error) {
	all, err := within(ctx, g, func() ([]backend.Earlier, error) { return store.Earlier(ctx, d.BlobKey()) }, func([]backend.Earlier) {})
	var failures []error
	if err != nil {
		failures = append(failures, unseen(err))
	}
	for _, e := range all {
		err := g.prove(ctx, e, d)
		if err == nil {
			return &e, nil
		}
		if _, wrong := errors.AsType[*backend.ContentError](err); !wrong {
			failures = append(failures, fmt.Errorf("%s: %w", e.Where, backend.Cause(err)))
		}
	}
	if len(failures) > 0 {
		return nil, backend.Join(failures...)
	}
	return nil, fmt.Errorf("%s: %w", d, fs.ErrNotExist)
}

// prove hashes what is kept. What can't be read is no *backend.ContentError.
func (g *guard) prove(ctx context.Context, e backend.Earlier, d layout.AnyDigest) error {
	f, err := g.open(ctx, func() (io.ReadCloser, error) { return e.Open(ctx) })
	if err != nil {
		return err
	}
	defer f.Close()
	r := &failing{Reader: f}
	c := backend.Content{Bytes: r, Size: e.Size, Proof: d}
	_, err = io.Copy(io.Discard, c.Proven())
	if r.err != nil {
		return r.err
	}
	return err
}

// failing is a reader that remembers why it ended before its end.
type failing struct {
	io.Reader
	err error
}

// Read is io.Reader's.
func (r *failing) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
