// Package source finds the bytes of blobs outside of the store that lacks them: in a
// backup, a replica, the image store of a node, an unpacked archive.
//
// A blob is named by the hash of its bytes, so whatever hashes right is the blob,
// wherever it lies. A Source is asked for bytes by their digest and is trusted with
// nothing else: whoever copies from it holds the bytes against the digest, and a source
// that lies, ends early or falls silent costs the blob that was asked for and no other.
// It is only ever read.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Blob is what a source is asked for.
type Blob struct {
	Digest       layout.AnyDigest
	Repositories []string // of the store, that need it: a registry serves a blob nowhere else
	Manifest     bool     // it is to be a manifest
}

// Source is somewhere that may have the bytes of blobs.
type Source interface {
	// String names the source as the operator did, without secrets.
	String() string
	// Size returns how many bytes the source has of a blob. It is fs.ErrNotExist where
	// the source has none; any other error says why nobody knows.
	Size(ctx context.Context, b Blob) (int64, error)
	// Open returns the bytes that the source has of a blob, which prove nothing. Errors
	// are those of Size.
	Open(ctx context.Context, b Blob) (io.ReadCloser, error)
	// Close ends the use of the source.
	Close() error
}

// OfStore returns a registry's store as a source.
func OfStore(name string, r backend.OpenedReader) Source {
	return WithPatience(&store{r, name}, patience)
}

// store is a registry's store as a source.
type store struct {
	backend.OpenedReader
	name string
}

// String is Source's.
func (s *store) String() string { return s.name }

// Size is Source's.
func (s *store) Size(ctx context.Context, b Blob) (int64, error) {
	item, err := s.Stat(ctx, b.Digest.BlobKey())
	if err == nil && item.Archived {
		err = backend.ErrArchived
	}
	return item.Size, err
}

// Open is Source's.
func (s *store) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	return s.OpenedReader.Open(ctx, b.Digest.BlobKey())
}

// Gone returns a source that can't be used any more, for a reason that it gives for
// each blob.
func Gone(name string, why error) Source { return &gone{name, why} }

// gone is a source that can't be used.
type gone struct {
	name string
	why  error
}

// String is Source's.
func (g *gone) String() string { return g.name }

// Size is Source's.
func (g *gone) Size(context.Context, Blob) (int64, error) { return 0, g.why }

// Open is Source's.
func (g *gone) Open(context.Context, Blob) (io.ReadCloser, error) { return nil, g.why }

// Close is Source's.
func (g *gone) Close() error { return nil }

// Read returns the bytes of a small blob from a source, proven. More bytes than most are
// an error, and so are others than the digest names.
func Read(ctx context.Context, s Source, b Blob, most int64) ([]byte, error) {
	size, err := s.Size(ctx, b)
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("has %d bytes: more than %d", size, most)
	}
	f, err := s.Open(ctx, b)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := backend.Content{Bytes: f, Size: size, Proof: b.Digest}
	return io.ReadAll(c.Proven())
}

// IsNone reports whether an error says that a source certainly has no such blob.
func IsNone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
