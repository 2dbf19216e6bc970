// Package s3 is the driver of stores in S3 buckets.
//
// A bucket has no directories. Its keys are one sorted list in pages of a thousand, which a
// lister.Lister lists. The package decodes pages by its own scanner, because the SDK's decoder
// would be the slowest part.
//
// The ETag of a small object is the MD5 of its content, unless it is encrypted with a
// customer's key.
//
// A page that contradicts itself, denied access or a server that doesn't respond is an error
// or a Fault. Only the server's code NoSuchKey means that a key doesn't exist.
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
	options Options // complete
	client  *s3.Client
	getter  *getter
	bucket  string
	root    string // prefix of each key: "" or "path/"
	name    string // the store's name for messages
	workers int    // pages requested in parallel
	counts  counters
	contact contact
	markers markers

	idle     func() // closes idle connections
	pageSize int32  // keys requested in a page; 0 for the server's default, 1,000
}

// counters are the numbers of Cost.
type counters struct{ list, get, head, put, delete, bytes, proven atomic.Int64 }

// Open returns the store in a bucket, after a test listing: the bucket exists and may be
// listed. Errors are sentences for the operator, without secrets.
func Open(ctx context.Context, o Options) (*Reader, error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := r.page(ctx, lister.Request{Prefix: r.options.TestDir, Max: 1}, &lister.Page{}); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Cost implements backend.Reader. Each attempt is a request; a running listing adds to it page
// by page.
func (r *Reader) Cost() backend.Cost {
	c := &r.counts
	return backend.Cost{
		List: c.list.Load(), Get: c.get.Load(), Head: c.head.Load(), Put: c.put.Load(), Delete: c.delete.Load(),
		BytesRead: c.bytes.Load(), LinksProven: c.proven.Load(),
	}
}

// Close closes idle connections. The Reader can still be used.
func (r *Reader) Close() error {
	r.idle()
	return nil
}

// String returns the store's address: s3://bucket/path.
func (r *Reader) String() string { return r.name }

// Open implements backend.Reader. If a connection fails while the content is read, reading
// continues at the same offset, if the object is unchanged. The result isn't for concurrent
// use, and ends with ctx.
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

// get requests a file by the SDK, or its first n bytes if n isn't 0, and returns the item of
// the response.
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
			return nil, backend.Item{}, r.explain(ctx, op, key, mayGet, fmt.Errorf("the server returned Content-Range: %s", *out.ContentRange))
		}
	}
	return b, item, nil
}

// Stat implements backend.Reader. A failed HEAD has no error code, and doesn't distinguish a
// missing key from a missing bucket; a GET then decides.
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

// Stats implements backend.Stater, with as many requests in parallel as the pace allows.
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

var errBare = errors.New("the server returned no size or no time of the object")

// described returns the item of a response's headers. Times are in whole seconds, as in a
// listing.
func described(key string, size *int64, modified *time.Time, etag *string) (backend.Item, error) {
	if size == nil || modified == nil {
		return backend.Item{}, errBare
	}
	return backend.Item{
		Name: key, Size: *size, Modified: backend.Nanoseconds(modified.Unix(), 0), ETag: strings.Trim(aws.ToString(etag), `"`),
	}, nil
}

// body is the content of one object as it is received.
type body struct {
	r     *Reader
	ctx   context.Context
	key   string
	id    *string // of the version; nil for the current object
	etag  string  // as the server sent it
	off   int64   // bytes returned
	rest  int64   // bytes left
	from  io.ReadCloser
	fails int   // number of failures since the last byte
	err   error // returned by every later call
}

var errChanged = errors.New("was changed or removed while it was read")

const maxFails = 5

// Read implements io.Reader.
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

// resume requests the rest of the content after a connection has failed.
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

// Close implements io.Closer. A body may be closed before its end.
func (b *body) Close() error {
	b.from.Close()
	return nil
}

// lister returns the lister of the bucket.
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

// List implements backend.Reader.
func (r *Reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	return r.lister().List(ctx, prefix, expect, each)
}

// Names implements backend.Reader.
func (r *Reader) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	return r.lister().Names(ctx, dir)
}

// archived reports whether objects of a storage class must be restored before they can be
// read. GLACIER_IR needs no restore.
func archived(class string) bool {
	return class == string(types.StorageClassGlacier) || class == string(types.StorageClassDeepArchive)
}

// cold reports whether an object can't be read now, by the response to a HEAD.
func cold(out *s3.HeadObjectOutput) bool {
	return (archived(string(out.StorageClass)) || out.ArchiveStatus != "") &&
		!strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`)
}
