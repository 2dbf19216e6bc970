package backend

import (
	"errors"
	"fmt"
	"hash"
	"io"
)

// Proof is a digest by which bytes can be verified.
type Proof interface {
	// Hash returns a new hash of the digest's algorithm; nil if the algorithm isn't known.
	Hash() hash.Hash
	// IsSum reports whether the digest is that of the bytes written to h.
	IsSum(h hash.Hash) bool
}

// Content is what Copy writes: bytes from an untrusted source, and the digest that they
// must have.
type Content struct {
	Bytes io.Reader // read once, to its end
	Size  int64     // bytes
	Proof Proof
	Over  bool // the key's file may be replaced; else one that exists is fs.ErrExist
}

// ContentError is why the bytes of a Content are wrong. The store is sound and unchanged:
// the bytes may be copied from another source.
type ContentError struct{ Err error }

// Error returns what is wrong with the bytes.
func (e *ContentError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *ContentError) Unwrap() error { return e.Err }

// The reasons for a ContentError other than an error of reading the bytes.
var (
	ErrShort     = errors.New("ends early")
	ErrLong      = errors.New("has more bytes than it should")
	ErrWrongHash = errors.New("has bytes that don't hash to the digest")
	ErrNoProof   = errors.New("its digest has an unknown algorithm, so its bytes can't be verified")
)

// Proven returns a reader of the bytes that returns io.EOF only if all of them were read
// and are right; until then nothing is verified. Any other end is a *ContentError.
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

// provenReader hashes what it returns.
type provenReader struct {
	*Content
	sum   hash.Hash
	left  int64 // bytes left
	ended error
}

// Read implements io.Reader.
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

// Recorder is a reader that records its reader's error.
type Recorder struct {
	io.Reader
	Err error // other than io.EOF; nil for none
}

// Read implements io.Reader.
func (r *Recorder) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.Err = err
	}
	return n, err
}
