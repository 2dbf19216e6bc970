package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
	"regfsck/backend/lister"
)

// page is one page of a listing as the server sends it.
type page struct {
	*lister.Page
	encoded bool  // keys and prefixes are URL-encoded
	listing bool  // the response has IsTruncated, so it is a listing
	count   int64 // number of keys and prefixes according to the server; -1 if unknown
}

func (p *page) reset() {
	*p.Page = lister.Page{Body: p.Body[:0], Spare: p.Spare[:0], Objects: p.Objects[:0]}
	*p = page{Page: p.Page, count: -1}
}

// page is Lister.Page: it requests a page, checks what one page alone can show, and removes
// the root from keys.
func (r *Reader) page(ctx context.Context, q lister.Request, into *lister.Page) error {
	q.Prefix = r.root + q.Prefix
	if q.After != "" {
		q.After = r.root + q.After
	}
	in := &s3.ListObjectsV2Input{Bucket: &r.bucket, EncodingType: types.EncodingTypeUrl}
	if q.Prefix != "" {
		in.Prefix = &q.Prefix
	}
	if q.Token != "" {
		in.ContinuationToken = &q.Token
	} else if q.After != "" {
		in.StartAfter = &q.After
	}
	if q.Dirs {
		in.Delimiter = aws.String("/")
	}
	if q.Max > 0 {
		in.MaxKeys = &q.Max
	}
	p := page{Page: into}
	if _, err := r.client.ListObjectsV2(ctx, in, s3.WithAPIOptions((&decoder{decode: p.decode}).swap)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("list s3://%s/%s: %w", r.bucket, q.Prefix, r.reason(mayList, err))
	}
	if err := p.check(q); err != nil {
		return fmt.Errorf("list s3://%s/%s: %w", r.bucket, q.Prefix, err)
	}
	for i := range p.Objects {
		p.Objects[i].Key = p.Objects[i].Key[len(r.root):]
	}
	for i, prefix := range p.Prefixes {
		p.Prefixes[i] = prefix[len(r.root):]
	}
	return nil
}

// check checks that a page keeps the rules of the protocol, so that a faulty page never makes
// a key absent.
func (p *page) check(q lister.Request) error {
	if err := p.decodeKeys(); err != nil {
		return err
	}
	if n := int64(len(p.Objects) + len(p.Prefixes)); p.count > n {
		return lister.Distrust("it announces %d keys, but contains %d", p.count, n)
	}
	if p.Truncated && (p.Token == "" || p.Token == q.Token) {
		return lister.Distrust("it announces more, but without a marker to request it")
	}
	if !q.Dirs && len(p.Prefixes) > 0 {
		return lister.Distrust("it doesn't list what is below %q", p.Prefixes[0])
	}
	last := []byte(q.After)
	for i := range p.Objects {
		key := p.Objects[i].Key
		if bytes.Compare(key, last) <= 0 && (i > 0 || q.After != "") {
			return lister.Distrust("the key %q doesn't rise above %q", key, last)
		}
		if len(key) < len(q.Prefix) || string(key[:len(q.Prefix)]) != q.Prefix {
			return lister.Distrust("the key %q doesn't begin with %q", key, q.Prefix)
		}
		last = key
	}
	for _, prefix := range p.Prefixes {
		if !strings.HasPrefix(prefix, q.Prefix) {
			return lister.Distrust("the prefix %q doesn't begin with %q", prefix, q.Prefix)
		}
	}
	return nil
}

// decodeKeys decodes URL-encoded keys and prefixes.
func (p *page) decodeKeys() (err error) {
	if !p.encoded {
		return nil
	}
	for i := range p.Objects {
		o := &p.Objects[i]
		if bytes.IndexByte(o.Key, '%') < 0 && bytes.IndexByte(o.Key, '+') < 0 {
			continue
		}
		key, err := decoded("key", string(o.Key), types.EncodingTypeUrl)
		if err != nil {
			return err
		}
		o.Key = []byte(key)
	}
	for i, prefix := range p.Prefixes {
		if p.Prefixes[i], err = decoded("prefix", prefix, types.EncodingTypeUrl); err != nil {
			return err
		}
	}
	return nil
}

// decoded decodes what a server may have URL-encoded: a key or other text.
func decoded(what, text string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return text, nil
	}
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return "", lister.Distrust("the %s %q isn't encoded as a URL is", what, text)
	}
	return plain, nil
}

// decoder replaces the SDK's decoder for the responses to one request. decode returns the
// SDK's result for a success, which may be empty; it may call sdk, the SDK's decoder. Other
// responses are passed to that.
type decoder struct {
	decode func(answer *smithyhttp.Response, sdk func() (any, error)) (result any, err error)
	sdk    middleware.DeserializeMiddleware
}

const (
	decoderID = "OperationDeserializer"
	maxPage   = 64 << 20 // bytes of a page; a thousand keys of a kilobyte each have two million
)

func (d *decoder) swap(s *middleware.Stack) (err error) {
	d.sdk, err = s.Deserialize.Swap(decoderID, d)
	return err
}

// ID implements middleware.DeserializeMiddleware.
func (d *decoder) ID() string { return decoderID }

// HandleDeserialize implements middleware.DeserializeMiddleware.
func (d *decoder) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || answer.StatusCode != 200 {
		return d.sdk.HandleDeserialize(ctx, in, already{out, metadata, err})
	}
	out.Result, err = d.decode(answer, func() (any, error) {
		out, _, err := d.sdk.HandleDeserialize(ctx, in, already{out, metadata, nil})
		return out.Result, err
	})
	return out, metadata, err
}

// decode fills the page. A page that the scanner doesn't understand is decoded by the SDK.
func (p *page) decode(answer *smithyhttp.Response, sdk func() (any, error)) (result any, err error) {
	p.reset()
	if err := p.read(answer.Body, answer.ContentLength); err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	if isWebPage(answer.Header, p.Body) {
		return nil, webPageError{}
	}
	if p.scan() {
		return &s3.ListObjectsV2Output{}, nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(p.Body))
	if result, err = sdk(); err != nil {
		return nil, fmt.Errorf("decode a page: %w (%w)", err, io.ErrUnexpectedEOF)
	}
	p.reset()
	return result, p.take(result)
}

// read reads the body. A truncated one is io.ErrUnexpectedEOF, and is requested again.
func (p *page) read(body io.ReadCloser, length int64) (err error) {
	defer func() { err = backend.Join(err, body.Close()) }()
	if length > maxPage {
		return lister.Distrust("it has %d bytes", length)
	}
	buf := bytes.NewBuffer(p.Body)
	buf.Grow(int(max(length, 1<<12)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(body, maxPage))
	p.Body = buf.Bytes()
	switch {
	case err != nil:
		return fmt.Errorf("%w (%w)", err, io.ErrUnexpectedEOF)
	case n == maxPage:
		return lister.Distrust("it has more than %d bytes", maxPage)
	}
	return nil
}

// take copies the SDK's result into the page.
func (p *page) take(result any) error {
	out, ok := result.(*s3.ListObjectsV2Output)
	if !ok || out.IsTruncated == nil {
		return lister.Distrust("it is no listing")
	}
	p.listing, p.Truncated, p.Token = true, *out.IsTruncated, aws.ToString(out.NextContinuationToken)
	p.encoded = out.EncodingType == "url"
	if out.KeyCount != nil {
		p.count = int64(*out.KeyCount)
	}
	for _, o := range out.Contents {
		if o.Key == nil || *o.Key == "" || o.Size == nil || *o.Size < 0 || o.LastModified == nil {
			return lister.Distrust("an object has no key, no size or no time")
		}
		p.Objects = append(p.Objects, lister.Object{
			Key: []byte(*o.Key), ETag: bytes.Trim([]byte(aws.ToString(o.ETag)), `"`),
			Size: *o.Size, Modified: backend.Nanoseconds(o.LastModified.Unix(), 0), Archived: archived(string(o.StorageClass)),
		})
	}
	for _, prefix := range out.CommonPrefixes {
		p.Prefixes = append(p.Prefixes, aws.ToString(prefix.Prefix))
	}
	return nil
}

// already is a handler that returns an earlier result.
type already struct {
	out      middleware.DeserializeOutput
	metadata middleware.Metadata
	err      error
}

// HandleDeserialize implements middleware.DeserializeHandler.
func (a already) HandleDeserialize(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
	return a.out, a.metadata, a.err
}
