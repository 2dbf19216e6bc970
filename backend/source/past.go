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

// PastName is the name of the source of a store's earlier versions. No operator enters it.
const PastName = "this store's own past"

// ErrUnseen: earlier versions can't be read, so that it is unknown which exist.
var ErrUnseen = errors.New("can't be looked at")

// Past is a store that can list the earlier versions of its files.
type Past interface {
	// Earlier is that of backend.Undoer.
	Earlier(ctx context.Context, key string) ([]backend.Earlier, error)
}

// OpenedPast is a Past that has to be closed.
type OpenedPast interface {
	Past
	io.Closer
}

// unseen returns err as an ErrUnseen.
func unseen(err error) error { return fmt.Errorf("%w: %v", ErrUnseen, err) }

// OfPast returns the removed and replaced files that stores keep as a source. Some were
// removed because they were corrupt, so a blob counts as found only after its bytes were
// verified. open is called for the first blob. The stores that it returns are read in
// their order, also if it returns an error, which names what could not be read.
func OfPast(open func(ctx context.Context) ([]OpenedPast, error)) Source {
	return &past{open: open, known: map[string]*backend.Earlier{}}
}

// past is the source of several stores' earlier versions.
type past struct {
	open    func(ctx context.Context) ([]OpenedPast, error)
	timeout timeout

	opening sync.Mutex
	opened  bool
	stores  []OpenedPast
	unseen  error

	mu    sync.Mutex
	known map[string]*backend.Earlier // by digest, verified; nil for none
}

// String implements Source.
func (*past) String() string { return PastName }

// Size implements Source.
func (s *past) Size(ctx context.Context, b Blob) (int64, error) {
	e, err := s.find(ctx, b.Digest)
	if err != nil {
		return 0, err
	}
	return e.Size, nil
}

// Open implements Source.
func (s *past) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	e, err := s.find(ctx, b.Digest)
	if err != nil {
		return nil, err
	}
	return s.timeout.open(ctx, func() (io.ReadCloser, error) { return e.Open(ctx) })
}

// Close implements Source.
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

// find returns an earlier version of a blob that is right.
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
			if e, err = s.timeout.kept(ctx, store, d); err == nil {
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

// Kept returns an earlier version of a blob in a store whose bytes were verified. If all
// versions were read and none is right the error is fs.ErrNotExist.
func Kept(ctx context.Context, store Past, d layout.AnyDigest) (*backend.Earlier, error) {
	return new(timeout).kept(ctx, store, d)
}

// kept is Kept with the timeout.
func (t *timeout) kept(ctx context.Context, store Past, d layout.AnyDigest) (*backend.Earlier, error) {
	all, err := within(ctx, t, func() ([]backend.Earlier, error) { return store.Earlier(ctx, d.BlobKey()) }, func([]backend.Earlier) {})
	var failures []error
	if err != nil {
		failures = append(failures, unseen(err))
	}
	for _, e := range all {
		err := t.verify(ctx, e, d)
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

// verify hashes an earlier version. An error of reading it is no *backend.ContentError.
func (t *timeout) verify(ctx context.Context, e backend.Earlier, d layout.AnyDigest) error {
	f, err := t.open(ctx, func() (io.ReadCloser, error) { return e.Open(ctx) })
	if err != nil {
		return err
	}
	defer f.Close()
	r := &backend.Recorder{Reader: f}
	c := backend.Content{Bytes: r, Size: e.Size, Proof: d}
	_, err = io.Copy(io.Discard, c.Proven())
	if r.Err != nil {
		return r.Err
	}
	return err
}
