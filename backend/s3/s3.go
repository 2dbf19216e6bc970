// Package s3 keeps a registry's store in a bucket.
//
// A bucket has no directories to open: it is one sorted row of keys, told in pages
// of a thousand, which a lister.Lister goes through. Pages are decoded by a scanner of
// our own, since the SDK's decoder would be the slowest part by far.
//
// The ETag of a small object is the MD5 of its content where it isn't encrypted with a
// customer's key.
//
// Unknown is never absent here either: a page that contradicts itself, denied
// access, a server that gives up are errors or faults, and only the server's own
// word NoSuchKey makes a key absent.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/backend/lister"
)

// Reader reads a store in a bucket. It is safe for concurrent use.
type Reader struct {
	client  *s3.Client
	getter  *getter
	bucket  string
	root    string // what stands before each key: "" or "path/"
	look    string // the directory that Open looks into: "" or "path/"
	name    string // the store in words
	workers int    // pages asked for side by side
	counts  counters
	contact contact
	markers markers

	requesterPays bool   // each request says so
	idle          func() // closes what is open and unused

	pageSize int32 // keys asked for in a page; 0 leaves it to the server, which takes 1,000
}

// counters are what Cost tells.
type counters struct{ list, get, head, put, delete, bytes, proven atomic.Int64 }

// Open returns the store in a bucket, after a look that proves that the bucket
// is there and may be listed. It fails with a sentence for the operator that
// holds no secret.
func Open(ctx context.Context, o Options) (*Reader, error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := r.page(ctx, lister.Request{Prefix: r.look, Max: 1}, &lister.Page{}); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Cost is backend.Reader's. Each attempt is a request; a running listing adds
// to it page by page.
func (r *Reader) Cost() backend.Cost {
	c := &r.counts
	return backend.Cost{
		List: c.list.Load(), Get: c.get.Load(), Head: c.head.Load(), Put: c.put.Load(), Delete: c.delete.Load(),
		BytesRead: c.bytes.Load(), LinksProven: c.proven.Load(),
	}
}

// Close gives back connections that nobody uses. The Reader may be used on.
func (r *Reader) Close() error {
	r.idle()
	return nil
}

// String names the store: s3://bucket/path.
func (r *Reader) String() string { return r.name }

// Open is backend.Reader's. A connection that breaks while the bytes are read
// is taken up where it broke, as long as the object is the same. What it returns
// is not for concurrent use, and ends with ctx.
func (r *Reader) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := backend.CheckKey("open", key); err != nil {
		return nil, err
	}
	if b, ok := r.getter.get(ctx, r, key); ok {
		return b, nil
	}
	b, _, err := r.get(ctx, "open", key, 0)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// get asks for a file's bytes by the SDK, the first n alone if n isn't 0, and says what
// the answer says about the file.
func (r *Reader) get(ctx context.Context, op, key string, n int) (*body, backend.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, backend.Item{}, err
	}
	in := &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String(r.root + key)}
	if n > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=0-%d", n-1))
	}
	out, err := r.client.GetObject(ctx, in)
	if err != nil {
		return nil, backend.Item{}, r.explain(ctx, op, key, mayGet, err)
	}
	item, err := described(key, out.ContentLength, out.LastModified, out.ETag)
	if err != nil {
		out.Body.Close()
		return nil, backend.Item{}, r.explain(ctx, op, key, mayGet, err)
	}
	b := &body{r: r, ctx: ctx, key: key, etag: aws.ToString(out.ETag), rest: item.Size, from: out.Body}
	if _, whole, ok := strings.Cut(aws.ToString(out.ContentRange), "/"); ok {
		if _, err := fmt.Sscan(whole, &item.Size); err != nil {
			b.Close()
			return nil, backend.Item{}, r.explain(ctx, op, key, mayGet, fmt.Errorf("the server says Content-Range: %s", *out.ContentRange))
		}
	}
	return b, item, nil
}

// Stat is backend.Reader's. A refusal of a HEAD has no words, and can't tell a
// missing key from a missing bucket, so the last word is that of a GET.
func (r *Reader) Stat(ctx context.Context, key string) (backend.Item, error) {
	if err := backend.CheckKey("stat", key); err != nil {
		return backend.Item{}, err
	}
	return r.stat(ctx, key)
}

// stat is Stat for keys that may end in a slash.
func (r *Reader) stat(ctx context.Context, key string) (backend.Item, error) {
	if err := ctx.Err(); err != nil {
		return backend.Item{}, err
	}
	out, err := r.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &r.bucket, Key: aws.String(r.root + key)})
	if err == nil {
		item, err := described(key, out.ContentLength, out.LastModified, out.ETag)
		if err != nil {
			return backend.Item{}, r.explain(ctx, "stat", key, mayGet, err)
		}
		item.Archived = cold(out)
		return item, nil
	}
	if code := status(err); code < 400 || code >= 500 || ctx.Err() != nil {
		return backend.Item{}, r.explain(ctx, "stat", key, mayGet, err)
	}
	b, item, err := r.get(ctx, "stat", key, 0)
	if err != nil {
		return backend.Item{}, err
	}
	return item, b.Close()
}

// Stats is backend.Stater's: as many looks as may fly.
func (r *Reader) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	var group errgroup.Group
	group.SetLimit(r.workers * fetchesAWorker)
	for i, key := range keys {
		group.Go(func() error {
			items[i], errs[i] = r.Stat(ctx, key)
			return nil
		})
	}
	group.Wait()
	return items, errs
}

var errBare = errors.New("the server doesn't say how long the object is and how old")

// described returns an item as an answer's headers tell it. Times are whole
// seconds there, and so they are in a listing.
func described(key string, size *int64, modified *time.Time, etag *string) (backend.Item, error) {
	if size == nil || modified == nil {
		return backend.Item{}, errBare
	}
	return backend.Item{
		Name: key, Size: *size, Modified: backend.Nanoseconds(modified.Unix(), 0), ETag: strings.Trim(aws.ToString(etag), `"`),
	}, nil
}

// body is the bytes of one object as they come.
type body struct {
	r     *Reader
	ctx   context.Context
	key   string
	id    *string // of the version; nil for what stands under the key
	etag  string  // as the server gives it
	off   int64   // bytes handed over
	rest  int64   // bytes to come
	from  io.ReadCloser
	fails int   // since the last byte
	err   error // what every later call returns
}

var errChanged = errors.New("has changed or gone while it was read")

const maxFails = 5

// Read is io.Reader's.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 || b.err != nil {
		return 0, b.err
	}
	for b.rest > 0 {
		n, err := b.from.Read(p[:min(int64(len(p)), b.rest)])
		b.off, b.rest = b.off+int64(n), b.rest-int64(n)
		b.r.counts.bytes.Add(int64(n))
		if n > 0 {
			b.fails = 0
			return n, nil
		}
		if err != nil {
			if b.err = b.resume(err); b.err != nil {
				return 0, b.err
			}
		}
	}
	b.err = io.EOF
	return 0, io.EOF
}

// resume asks for what is left after a connection has failed.
func (b *body) resume(cause error) error {
	if b.fails++; b.fails > maxFails || b.ctx.Err() != nil {
		return b.r.explain(b.ctx, "read", b.key, mayGet, cause)
	}
	b.from.Close()
	b.from = io.NopCloser(nil)
	in := &s3.GetObjectInput{
		Bucket: &b.r.bucket, Key: aws.String(b.r.root + b.key), VersionId: b.id,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", b.off, b.off+b.rest-1)),
	}
	if b.etag != "" {
		in.IfMatch = &b.etag
	}
	out, err := b.r.client.GetObject(b.ctx, in)
	switch code := status(err); {
	case code == 412 || code == 404:
		return b.r.explain(b.ctx, "read", b.key, mayGet, errChanged)
	case err != nil:
		return b.r.explain(b.ctx, "read", b.key, mayGet, err)
	}
	b.from = out.Body
	if aws.ToString(out.ETag) != b.etag || out.ContentRange == nil || aws.ToInt64(out.ContentLength) != b.rest {
		return b.r.explain(b.ctx, "read", b.key, mayGet, errChanged)
	}
	return nil
}

// Close is io.Closer's. A body may be left before its end.
func (b *body) Close() error {
	b.from.Close()
	return nil
}

// lister lists the bucket.
func (r *Reader) lister() *lister.Lister {
	return &lister.Lister{
		Page: r.page,
		Read: func(ctx context.Context, key string, n int) (io.ReadCloser, backend.Item, error) {
			return r.get(ctx, "read", key, n)
		},
		Proven: func(n int) { r.counts.proven.Add(int64(n)) }, Marker: r.markers.add,
		Name: r.name, Workers: r.workers, Readers: r.workers * fetchesAWorker, PageSize: r.pageSize,
	}
}

// List is backend.Reader's.
func (r *Reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	return r.lister().List(ctx, prefix, expect, each)
}

// Names is backend.Reader's.
func (r *Reader) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	return r.lister().Names(ctx, dir)
}

// archived reports whether objects of a storage class have to be restored before
// they can be read. GLACIER_IR is read as any other.
func archived(class string) bool {
	return class == string(types.StorageClassGlacier) || class == string(types.StorageClassDeepArchive)
}

// cold reports whether an object can't be read now, by the answer to a HEAD.
func cold(out *s3.HeadObjectOutput) bool {
	return (archived(string(out.StorageClass)) || out.ArchiveStatus != "") &&
		!strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`)
}
