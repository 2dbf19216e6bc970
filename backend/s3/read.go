package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// Open is backend.Reader's. A connection that breaks while the bytes are read
// is taken up where it broke, as long as the object is the same. What it returns
// is not for concurrent use, and ends with ctx.
func (r *Reader) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey("open", key); err != nil {
		return nil, err
	}
	b, _, err := r.get(ctx, "open", key, 0)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// get asks for a file's bytes, the first n alone if n isn't 0, and says what
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
	if err := checkKey("stat", key); err != nil {
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
