package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
)

// page is one page of a listing. It is filled again and again; all slices but
// those of token and prefixes point into what the next fill overwrites.
type page struct {
	body    []byte
	spare   []byte // keys that had to be decoded
	objects []object

	prefixes  []string // what a delimiter hid
	token     string   // asks for the next page
	truncated bool     // there is a next page
	encoded   bool     // keys and prefixes are URL-encoded
	listing   bool     // the answer said whether it is truncated, so it is a listing
	count     int64    // how many keys and prefixes the server says it has sent; -1 if it doesn't say
}

// object is one key of a page.
type object struct {
	key, etag      []byte
	size, modified int64
	archived       bool
}

func (p *page) reset() {
	*p = page{body: p.body[:0], spare: p.spare[:0], objects: p.objects[:0], count: -1}
}

// name returns the key as a string that lives as long as the page.
func (o *object) name() string { return unsafe.String(unsafe.SliceData(o.key), len(o.key)) }

// request says which page is wanted.
type request struct {
	prefix    string // of all keys, the root's included
	after     string // keys above this one; "" for all
	token     string // of the page before, instead of after
	delimiter bool   // hide what is below the prefix's directories
	max       int32  // keys at most; 0 leaves it to the server
}

// pageError is a page that can't be trusted.
type pageError struct{ text string }

func (e *pageError) Error() string { return "the server sent a page that can't be trusted: " + e.text }

func distrust(format string, args ...any) error { return &pageError{fmt.Sprintf(format, args...)} }

// page asks for a page and checks what a page alone can show.
func (r *Reader) page(ctx context.Context, q request, p *page) error {
	in := &s3.ListObjectsV2Input{Bucket: &r.bucket, EncodingType: types.EncodingTypeUrl}
	if q.prefix != "" {
		in.Prefix = &q.prefix
	}
	if q.token != "" {
		in.ContinuationToken = &q.token
	} else if q.after != "" {
		in.StartAfter = &q.after
	}
	if q.delimiter {
		in.Delimiter = aws.String("/")
	}
	if q.max > 0 {
		in.MaxKeys = &q.max
	}
	if _, err := r.client.ListObjectsV2(ctx, in, s3.WithAPIOptions((&decoder{page: p}).swap)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("list s3://%s/%s: %w", r.bucket, q.prefix, r.reason(mayList, err))
	}
	if err := p.check(q); err != nil {
		return fmt.Errorf("list s3://%s/%s: %w", r.bucket, q.prefix, err)
	}
	return nil
}

// check holds a page against the promises of the protocol: nothing of what a
// faulty page hides may pass for absent.
func (p *page) check(q request) error {
	if err := p.decodeKeys(); err != nil {
		return err
	}
	if n := int64(len(p.objects) + len(p.prefixes)); p.count > n {
		return distrust("it tells of %d keys and holds %d", p.count, n)
	}
	if p.truncated && (p.token == "" || p.token == q.token) {
		return distrust("it says that more follows, and not how to ask for that")
	}
	if !q.delimiter && len(p.prefixes) > 0 {
		return distrust("it hides what is below %q", p.prefixes[0])
	}
	last := []byte(q.after)
	for i := range p.objects {
		key := p.objects[i].key
		if bytes.Compare(key, last) <= 0 && (i > 0 || q.after != "") {
			return distrust("the key %q doesn't rise above %q", key, last)
		}
		if len(key) < len(q.prefix) || string(key[:len(q.prefix)]) != q.prefix {
			return distrust("the key %q doesn't begin with %q", key, q.prefix)
		}
		last = key
	}
	return nil
}

// decodeKeys undoes the encoding that lets any byte stand in a key.
func (p *page) decodeKeys() error {
	if !p.encoded {
		return nil
	}
	for i := range p.objects {
		o := &p.objects[i]
		if bytes.IndexByte(o.key, '%') < 0 && bytes.IndexByte(o.key, '+') < 0 {
			continue
		}
		key, err := url.QueryUnescape(o.name())
		if err != nil {
			return distrust("the key %q isn't encoded as a URL is", o.key)
		}
		o.key = []byte(key)
	}
	for i, prefix := range p.prefixes {
		decoded, err := url.QueryUnescape(prefix)
		if err != nil {
			return distrust("the prefix %q isn't encoded as a URL is", prefix)
		}
		p.prefixes[i] = decoded
	}
	return nil
}

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
