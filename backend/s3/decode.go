package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
)

// decoder stands where the SDK decodes the answer to one ListObjectsV2. It
// fills its page and leaves the SDK's result empty. Answers that aren't pages,
// and pages that the scanner doesn't understand, go to the step it stands for.
type decoder struct {
	page *page
	sdk  middleware.DeserializeMiddleware
}

const (
	decoderID = "OperationDeserializer"
	maxPage   = 64 << 20 // bytes of a page; a thousand keys of a kilobyte need two million
)

func (d *decoder) swap(s *middleware.Stack) (err error) {
	d.sdk, err = s.Deserialize.Swap(decoderID, d)
	return err
}

// ID is middleware.DeserializeMiddleware's.
func (d *decoder) ID() string { return decoderID }

// HandleDeserialize is middleware.DeserializeMiddleware's.
func (d *decoder) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || answer.StatusCode != 200 {
		return d.sdk.HandleDeserialize(ctx, in, already{out, metadata, err})
	}
	d.page.reset()
	if err := d.page.read(answer.Body, answer.ContentLength); err != nil {
		return out, metadata, fmt.Errorf("read a page: %w", err)
	}
	if isWebPage(answer.Header, d.page.body) {
		return out, metadata, webPageError{}
	}
	if d.page.scan() {
		out.Result = &s3.ListObjectsV2Output{}
		return out, metadata, nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(d.page.body))
	out, metadata, err = d.sdk.HandleDeserialize(ctx, in, already{out, metadata, nil})
	if err != nil {
		return out, metadata, fmt.Errorf("decode a page: %w (%w)", err, io.ErrUnexpectedEOF)
	}
	d.page.reset()
	return out, metadata, d.page.take(out.Result)
}

// read takes in the body. One that ends early is io.ErrUnexpectedEOF, and
// is asked for again.
func (p *page) read(body io.ReadCloser, length int64) (err error) {
	defer func() { err = backend.Join(err, body.Close()) }()
	if length > maxPage {
		return distrust("it has %d bytes", length)
	}
	buf := bytes.NewBuffer(p.body)
	buf.Grow(int(max(length, 1<<12)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(body, maxPage))
	p.body = buf.Bytes()
	switch {
	case err != nil:
		return fmt.Errorf("%w (%w)", err, io.ErrUnexpectedEOF)
	case n == maxPage:
		return distrust("it has more than %d bytes", maxPage)
	}
	return nil
}

// take turns what the SDK has decoded into the page.
func (p *page) take(result any) error {
	out, ok := result.(*s3.ListObjectsV2Output)
	if !ok || out.IsTruncated == nil {
		return distrust("it is no listing")
	}
	p.listing, p.truncated, p.token = true, *out.IsTruncated, aws.ToString(out.NextContinuationToken)
	p.encoded = out.EncodingType == "url"
	if out.KeyCount != nil {
		p.count = int64(*out.KeyCount)
	}
	for _, o := range out.Contents {
		if o.Key == nil || *o.Key == "" || o.Size == nil || *o.Size < 0 || o.LastModified == nil {
			return distrust("an object has no key, no size or no time")
		}
		p.objects = append(p.objects, object{
			key: []byte(*o.Key), etag: bytes.Trim([]byte(aws.ToString(o.ETag)), `"`),
			size: *o.Size, modified: backend.Nanoseconds(o.LastModified.Unix(), 0), archived: archived(string(o.StorageClass)),
		})
	}
	for _, prefix := range out.CommonPrefixes {
		p.prefixes = append(p.prefixes, aws.ToString(prefix.Prefix))
	}
	return nil
}

// already is a handler that has been asked before.
type already struct {
	out      middleware.DeserializeOutput
	metadata middleware.Metadata
	err      error
}

// HandleDeserialize is middleware.DeserializeHandler's.
func (a already) HandleDeserialize(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
	return a.out, a.metadata, a.err
}
