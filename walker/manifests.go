package walker

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// ManifestState is the result of reading a manifest.
type ManifestState uint8

// The states of a manifest.
const (
	ManifestUnread     ManifestState = iota
	ManifestGood                     // the bytes hash to the digest and could be parsed
	ManifestMissing                  // there is no such blob
	ManifestCorrupt                  // the bytes don't hash to the digest
	ManifestUnparsable               // they do, but can't be parsed, or exceed the bounds of package manifest
	ManifestArchived                 // it exists, and must be restored before it can be read
	ManifestUnreadable               // reading failed, so nothing is known
)

var stateNames = [...]string{
	ManifestUnread: "not read", ManifestGood: "good", ManifestMissing: "missing", ManifestCorrupt: "corrupt",
	ManifestUnparsable: "not understood", ManifestArchived: "archived", ManifestUnreadable: "unreadable",
}

// String returns the state as reports print it.
func (s ManifestState) String() string { return stateNames[s] }

// Manifest is a manifest that was read.
type Manifest struct {
	State    ManifestState
	Manifest manifest.Manifest // of a good one; its Refs are valid only during the call
	Size     int64             // bytes read
	Err      error             // why it is unparsable, archived or unreadable
}

// Manifests reads the n manifests with the digests digest(0) … digest(n-1), each once, and
// passes them to each, one at a time, in any order. An error from each ends it and is
// returned; a manifest that can't be read is a State. Manifests that the cache has, and
// that ListBlobs proved unchanged, are not read from the store.
func (w *Walker) Manifests(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, m Manifest) error) error {
	return serially(ctx, w, n, held, func() func(ctx context.Context, i int) Manifest {
		r := manifestReader{contentsReader: w.contentsReader()}
		return func(ctx context.Context, i int) Manifest { return r.read(ctx, digest(i)) }
	}, each)
}

// manifestReader has the buffers that one goroutine reuses for each manifest.
type manifestReader struct {
	contentsReader
	refs [held][]manifest.Ref // of the last manifests
	next int                  // whose references are replaced next
}

func (r *manifestReader) read(ctx context.Context, d layout.AnyDigest) Manifest {
	c := r.contentsReader.read(ctx, d, func(begin []byte, rest io.Reader) contents { return tooLarge(begin, rest, d) })
	m := Manifest{State: c.state, Size: c.size, Err: c.err}
	if c.state != ManifestGood {
		return m
	}
	if m.Manifest, m.Err = manifest.Parse(c.body, r.refs[r.next]); m.Err != nil {
		m.State = ManifestUnparsable
		return m
	}
	r.refs[r.next], r.next = m.Manifest.Refs, (r.next+1)%held
	return m
}

// tooLarge hashes the rest of a blob that is larger than a manifest may be: it is
// unparsable if it has its digest, else corrupt.
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

// contents is a small blob that was read. The body of a good one hashes to its digest, and
// is valid until the next read.
type contents struct {
	state ManifestState
	body  []byte
	size  int64 // bytes read
	err   error // of ManifestUnparsable, ManifestArchived and ManifestUnreadable
}

// contentsReader has the buffer that one goroutine reuses for each blob.
type contentsReader struct {
	w    *Walker
	body []byte
}

func (w *Walker) contentsReader() contentsReader {
	return contentsReader{w: w, body: make([]byte, 16<<10)}
}

// read reads a blob of at most manifest.MaxSize bytes, and stores it in the cache. Blobs
// that the cache has, and that ListBlobs proved unchanged, are not read from the store.
// The result for a larger blob is large's, which gets its first bytes and the rest.
func (r *contentsReader) read(ctx context.Context, d layout.AnyDigest, large func(begin []byte, rest io.Reader) contents) contents {
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
		return contents{state: ManifestUnparsable, err: backend.ErrNoProof}
	}
	n, whole, err := r.fill(f)
	if err != nil {
		return contents{state: ManifestUnreadable, err: err}
	}
	if !whole {
		return large(r.body[:n], f)
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

// fill reads f into r.body, up to one byte more than a manifest may have. whole reports
// whether that is all of f.
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

// held is how many values of small blobs a goroutine makes before it waits until it may pass
// them on. If it waited for each, all would soon wait for one.
const held = 4

// serially makes n values in parallel, by functions that worker makes, one for each
// goroutine, and passes them to each, one at a time, in any order. A goroutine makes up to
// ahead values before it passes them on: a value must be valid until so many more are made.
// The first error ends it, and is returned; after one from each, each is called no more.
func serially[T any](ctx context.Context, w *Walker, n, ahead int, worker func() func(ctx context.Context, i int) T, each func(i int, v T) error) error {
	type made struct {
		i int
		v T
	}
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	var turn sync.Mutex // of each and ended
	var ended error
	for range min(w.workers(), n) {
		group.Go(func() error {
			do, values := worker(), make([]made, 0, ahead)
			deliver := func() error {
				defer turn.Unlock()
				for _, m := range values {
					if ended == nil {
						ended = ctx.Err()
					}
					if ended == nil {
						ended = each(m.i, m.v)
					}
				}
				clear(values)
				values = values[:0]
				return ended
			}
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				values = append(values, made{i, do(ctx, i)})
				if len(values) == ahead {
					turn.Lock()
				} else if !turn.TryLock() {
					continue
				}
				if err := deliver(); err != nil {
					return err
				}
			}
			turn.Lock()
			return deliver()
		})
	}
	return group.Wait()
}

// Config is an image's config that was read. A config in the state ManifestGood may still
// lack any of its fields.
type Config struct {
	manifest.ImageConfig
	State ManifestState
	Err   error // why it is unparsable or unreadable
}

// Details is the description of a manifest that was read.
type Details struct {
	manifest.Description
	State ManifestState
	Err   error // why it is unparsable or unreadable
}

// errConfigTooLarge: a blob of that size is hardly a config, so it isn't read to its end.
var errConfigTooLarge = errors.New("the config is larger than 4 MiB")

// Configs reads the n configs with the digests digest(0) … digest(n-1), and passes them to
// each as Manifests does, through the same cache. A config of more bytes than a manifest may
// have is unparsable.
func (w *Walker) Configs(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, c Config) error) error {
	return small(ctx, w, n, digest, errConfigTooLarge, func(c contents) Config {
		config := Config{State: c.state, Err: c.err}
		if c.state != ManifestGood {
			return config
		}
		if config.ImageConfig, config.Err = manifest.ParseConfig(c.body); config.Err != nil {
			config.State = ManifestUnparsable
		}
		return config
	}, each)
}

// Describe reads the n manifests with the digests digest(0) … digest(n-1) again, for what
// Parse leaves out, and passes their descriptions to each as Manifests does.
func (w *Walker) Describe(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, d Details) error) error {
	return small(ctx, w, n, digest, manifest.ErrTooLarge, func(c contents) Details {
		details := Details{State: c.state, Err: c.err}
		if c.state != ManifestGood {
			return details
		}
		if details.Description, details.Err = manifest.Describe(c.body); details.Err != nil {
			details.State = ManifestUnparsable
		}
		return details
	}, each)
}

// Inline reads the n manifests with the digests digest(0) … digest(n-1) again, and passes
// the blobs that each carries inline to each as Manifests does; none for one that isn't good.
func (w *Walker) Inline(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, all []manifest.Inline) error) error {
	return small(ctx, w, n, digest, manifest.ErrTooLarge, func(c contents) []manifest.Inline {
		if c.state != ManifestGood {
			return nil
		}
		return manifest.InlineData(c.body)
	}, each)
}

// small reads n blobs, and passes what parse makes of each to each as Manifests does. A blob
// of more bytes than a manifest may have is unparsable, with the error tooLarge.
func small[T any](ctx context.Context, w *Walker, n int, digest func(i int) layout.AnyDigest, tooLarge error, parse func(contents) T, each func(i int, v T) error) error {
	large := func([]byte, io.Reader) contents { return contents{state: ManifestUnparsable, err: tooLarge} }
	return serially(ctx, w, n, held, func() func(ctx context.Context, i int) T {
		r := w.contentsReader()
		return func(ctx context.Context, i int) T { return parse(r.read(ctx, digest(i), large)) }
	}, each)
}

// HashState is the result of hashing a blob.
type HashState uint8

// The states of a hashed blob.
const (
	HashRight      HashState = iota
	HashWrong                // the bytes don't hash to the digest
	HashMissing              // there is no such blob
	HashUnreadable           // reading failed, so nothing is known
)

// Hashed is a blob whose bytes were read to the end.
type Hashed struct {
	State HashState
	Err   error // of HashUnreadable
}

// hashBuffers has buffers of the bytes that are hashed at once.
var hashBuffers = sync.Pool{New: func() any { return new([1 << 20]byte) }}

// Hash reads the n blobs with the digests digest(0) … digest(n-1) to their ends, in
// parallel, and passes the result of each to each, one at a time, in any order. Give the
// largest first, so that all workers end at about the same time. read, which may be nil, is
// called from any goroutine with the number of bytes just read. An error from each ends it
// and is returned.
func (w *Walker) Hash(ctx context.Context, n int, digest func(i int) layout.AnyDigest, read func(bytes int64), each func(i int, h Hashed) error) error {
	return serially(ctx, w, n, 1, func() func(ctx context.Context, i int) Hashed {
		return func(ctx context.Context, i int) Hashed { return w.hash(ctx, digest(i), read) }
	}, each)
}

func (w *Walker) hash(ctx context.Context, d layout.AnyDigest, read func(int64)) Hashed {
	sum := d.Hash()
	if sum == nil {
		return Hashed{State: HashUnreadable, Err: backend.ErrNoProof}
	}
	f, err := w.Reader.Open(ctx, d.BlobKey())
	if errors.Is(err, fs.ErrNotExist) {
		return Hashed{State: HashMissing}
	}
	if err != nil {
		return Hashed{State: HashUnreadable, Err: err}
	}
	defer f.Close()
	buf := hashBuffers.Get().(*[1 << 20]byte)
	defer hashBuffers.Put(buf)
	for ctx.Err() == nil {
		n, err := f.Read(buf[:])
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

// proofs forgets the ETags of an earlier listing, and returns a function that records those
// of a new one.
func (w *Walker) proofs() func(layout.Digest, *backend.Item) {
	if w.Cache == nil {
		return func(layout.Digest, *backend.Item) {}
	}
	w.etags = map[layout.Digest][md5.Size]byte{}
	return func(d layout.Digest, it *backend.Item) {
		delete(w.etags, d) // of a key that is listed twice the last item counts
		if sum, ok := plainETag(it.ETag); ok && w.Cache.Holds(d, it.Size) {
			w.etags[d] = sum
		}
	}
}

// plainETag returns the MD5 that an ETag may be. It is the MD5 of the object's bytes if the
// object was written in one piece and isn't encrypted with a key of its own; only the bytes
// can show that.
func plainETag(etag string) (sum [md5.Size]byte, ok bool) {
	if len(etag) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(etag))
	return sum, err == nil
}

// proven returns the bytes of a manifest from the cache, if the listing proves that the
// store's object has the same. They are in buf if that is large enough.
func (w *Walker) proven(d layout.Digest, buf []byte) ([]byte, bool) {
	if w.Cache == nil {
		return nil, false
	}
	sum, ok := w.etags[d]
	if !ok {
		return nil, false
	}
	return w.Cache.Take(d, sum, buf)
}
