package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// body is the bytes of one object as they come.
type body struct {
	r     *Reader
	ctx   context.Context
	key   string
	etag  string // as the server gives it
	off   int64  // bytes handed over
	rest  int64  // bytes to come
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
		Bucket: &b.r.bucket, Key: aws.String(b.r.root + b.key),
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
