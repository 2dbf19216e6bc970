package backend

import (
	"errors"
	"fmt"
	"hash"
	"io"
)

// Proof is a digest that bytes can be held against.
type Proof interface {
	// Hash returns a new hash of the digest's algorithm; nil where that isn't known.
	Hash() hash.Hash
	// IsSum reports whether what was written to such a hash is what the digest names.
	IsSum(h hash.Hash) bool
}

// Content is what a Copy writes: bytes from somewhere that nobody trusts, and the digest
// that they must have.
type Content struct {
	Bytes io.Reader // is read once, to its end
	Size  int64     // how many bytes there are
	Proof Proof
	Over  bool // what stands under the key may be written over; else that is fs.ErrExist
}

// ContentError is why a Content is not what it was to be. Nothing is wrong with the
// store then, and nothing was changed: the bytes may be copied from elsewhere.
type ContentError struct{ Err error }

// Error says what is wrong with the bytes.
func (e *ContentError) Error() string { return e.Err.Error() }

// Unwrap returns the reason alone.
func (e *ContentError) Unwrap() error { return e.Err }

// The reasons for a ContentError that are no errors of who reads the bytes.
var (
	ErrShort     = errors.New("ends early")
	ErrLong      = errors.New("has more bytes than it should")
	ErrWrongHash = errors.New("has bytes that don't hash to the digest")
	ErrNoProof   = errors.New("its digest is by an algorithm that isn't known, so nothing proves its bytes")
)

// Proven returns a reader of the bytes that comes to its end only where all of them
// were there and were right: before that end, nothing that was read is proven. Any other
// end is a *ContentError.
func (c *Content) Proven() io.Reader {
	r := &provenReader{Content: c, left: c.Size}
	if c.Proof != nil {
		r.sum = c.Proof.Hash()
	}
	if r.sum == nil {
		r.ended = &ContentError{ErrNoProof}
	}
	return r
}

// provenReader hashes what it hands on.
type provenReader struct {
	*Content
	sum   hash.Hash
	left  int64 // bytes that are still to come
	ended error
}

// Read is io.Reader's.
func (r *provenReader) Read(p []byte) (int, error) {
	if r.ended != nil {
		return 0, r.ended
	}
	n, err := r.Bytes.Read(p)
	r.sum.Write(p[:n])
	r.left -= int64(n)
	switch {
	case r.left < 0:
		r.ended = &ContentError{fmt.Errorf("%w, %d", ErrLong, r.Size)}
	case err == nil:
		return n, nil
	case err != io.EOF:
		r.ended = &ContentError{err}
	case r.left > 0:
		r.ended = &ContentError{fmt.Errorf("%w, after %d of %d bytes", ErrShort, r.Size-r.left, r.Size)}
	case !r.Proof.IsSum(r.sum):
		r.ended = &ContentError{ErrWrongHash}
	default:
		r.ended = io.EOF
	}
	return n, r.ended
}
