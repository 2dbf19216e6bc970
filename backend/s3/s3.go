// Package s3 keeps a registry's store in a bucket.
//
// A bucket has no folders to open: it is one sorted row of keys, told in pages
// of a thousand. So a listing is as fast as its pages can be asked for side by
// side, and nobody knows beforehand where to cut the row: names are unknown,
// and one repository may hold more than all others. A listing begins as one
// chain of pages; whoever is idle takes a part of the span that has, by what
// its pages have shown, the largest rest. Pages are decoded by a scanner of our
// own, since the SDK's decoder would be the slowest part by far.
//
// A link's content follows from its path, and the ETag of a small object is the
// MD5 of its content where it isn't encrypted with a customer's key. So a page
// proves a thousand links that are then never fetched. What a page doesn't prove
// is fetched, with many requests in flight; an ETag alone never makes a finding.
//
// Unknown is never absent here either: a page that contradicts itself, denied
// access, a server that gives up are errors or faults, and only the server's own
// word NoSuchKey makes a key absent.
package s3

import (
	"context"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
)

// Reader reads a store in a bucket. It is safe for concurrent use.
type Reader struct {
	client  *s3.Client
	bucket  string
	root    string // what stands before each key: "" or "path/"
	look    string // the folder that Open looks into: "" or "path/"
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
	var p page
	if err := r.page(ctx, request{prefix: r.root + r.look, max: 1}, &p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Cost is backend.Coster's. Each attempt is a request; a running listing adds
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
