// Package source finds the bytes of blobs outside the store that lacks them: in a backup, a
// replica, the image store of a node, an unpacked archive.
//
// A blob is named by the hash of its bytes, so bytes with the right hash are the blob,
// wherever they are stored. A Source returns bytes by their digest and is not trusted:
// the caller verifies the bytes, and a source that returns wrong bytes, ends early or
// doesn't respond affects only the requested blob. Sources are only read.
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

// Blob describes the bytes to look for.
type Blob struct {
	Digest       layout.AnyDigest
	Repositories []string // of the store, that need it: registries serve a blob only in repositories that link it
	Manifest     bool     // it must be a manifest
}

// Source is a place that may have the bytes of blobs.
type Source interface {
	// String returns the source as the operator named it, without secrets.
	String() string
	// Size returns the size of the source's copy of a blob, in bytes. If the source has
	// none the error is fs.ErrNotExist; after any other error that is unknown.
	Size(ctx context.Context, b Blob) (int64, error)
	// Open returns the source's copy of a blob, unverified. Errors are those of Size.
	Open(ctx context.Context, b Blob) (io.ReadCloser, error)
	// Close closes the source.
	Close() error
}

// OfStore returns a registry's store as a source.
func OfStore(name string, r backend.OpenedReader) Source {
	return WithTimeout(&store{r, name}, defaultTimeout)
}

// store is a registry's store as a source.
type store struct {
	backend.OpenedReader
	name string
}

// String implements Source.
func (s *store) String() string { return s.name }

// Size implements Source.
func (s *store) Size(ctx context.Context, b Blob) (int64, error) {
	item, err := s.Stat(ctx, b.Digest.BlobKey())
	if err == nil && item.Archived {
		err = backend.ErrArchived
	}
	return item.Size, err
}

// Open implements Source.
func (s *store) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	return s.OpenedReader.Open(ctx, b.Digest.BlobKey())
}

// Unavailable returns a source that can't be used; each request returns the error why.
func Unavailable(name string, why error) Source { return &unavailable{name, why} }

// unavailable is a source that can't be used.
type unavailable struct {
	name string
	why  error
}

// String implements Source.
func (u *unavailable) String() string { return u.name }

// Size implements Source.
func (u *unavailable) Size(context.Context, Blob) (int64, error) { return 0, u.why }

// Open implements Source.
func (u *unavailable) Open(context.Context, Blob) (io.ReadCloser, error) { return nil, u.why }

// Close implements Source.
func (u *unavailable) Close() error { return nil }

// Read returns the verified bytes of a small blob from a source. More bytes than most are
// an error, and so are wrong bytes.
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

// IsNone reports whether an error means that a source certainly doesn't have a blob.
func IsNone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
