package walker

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"regfsck/walker/layout"
)

// HashState is what hashing a blob came to.
type HashState uint8

// The states of a hashed blob.
const (
	HashRight      HashState = iota
	HashWrong                // the bytes don't hash to the digest
	HashMissing              // there is no such blob
	HashUnreadable           // nobody can say: an error while reading
)

// Hashed is a blob whose bytes were read to the end.
type Hashed struct {
	State HashState
	Err   error // of HashUnreadable
}

const hashBuffer = 1 << 20

// Hash reads the n blobs whose digests digest(0) … digest(n-1) gives to their
// ends, on all cores, and hands what came of each to each, one at a time, in
// no promised order; so give the largest first, and the tail is short.
// read is told of the bytes as they are read, from any goroutine; it may be nil.
// An error from each ends it and is returned.
func (w *Walker) Hash(ctx context.Context, n int, digest func(i int) layout.AnyDigest, read func(bytes int64), each func(i int, h Hashed) error) error {
	return serially(ctx, w, n, func() func(ctx context.Context, i int) Hashed {
		buf := make([]byte, hashBuffer)
		return func(ctx context.Context, i int) Hashed { return w.hash(ctx, digest(i), buf, read) }
	}, each)
}

func (w *Walker) hash(ctx context.Context, d layout.AnyDigest, buf []byte, read func(int64)) Hashed {
	sum := d.Hash()
	if sum == nil {
		return Hashed{State: HashUnreadable, Err: errUnknownAlgorithm}
	}
	f, err := w.Reader.Open(ctx, d.BlobKey())
	if errors.Is(err, fs.ErrNotExist) {
		return Hashed{State: HashMissing}
	}
	if err != nil {
		return Hashed{State: HashUnreadable, Err: err}
	}
	defer f.Close()
	for ctx.Err() == nil {
		n, err := f.Read(buf)
		sum.Write(buf[:n])
		if read != nil {
			read(int64(n))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return Hashed{State: HashUnreadable, Err: err}
		}
	}
	if err := ctx.Err(); err != nil {
		return Hashed{State: HashUnreadable, Err: err}
	}
	if !d.IsSum(sum) {
		return Hashed{State: HashWrong}
	}
	return Hashed{State: HashRight}
}
