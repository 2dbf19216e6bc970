package s3

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	delimiter bool   // hide what is below the prefix's folders
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
