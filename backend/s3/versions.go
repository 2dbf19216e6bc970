package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
)

// versionPage is an answer to ListObjectVersions. The SDK's form of it doesn't
// say whether a marker stands above or below a version.
type versionPage struct {
	XMLName             xml.Name
	IsTruncated         *bool
	EncodingType        string
	NextKeyMarker       string
	NextVersionIdMarker string
	Entries             []versionEntry `xml:",any"`
}

type versionEntry struct {
	XMLName      xml.Name
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified string
	ETag         string
	Size         int64
}

// versionRequest says which page of versions is wanted.
type versionRequest struct {
	prefix     string // of all keys, the root's included
	key, after string // versions behind this one of this key; without after, behind all of the key's
	max        int32
}

// versionPage asks for a page and checks what a page alone can show. Keys come
// decoded.
func (s *Store) versionPage(ctx context.Context, q versionRequest) (*versionPage, error) {
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, EncodingType: types.EncodingTypeUrl}
	if q.prefix != "" {
		in.Prefix = &q.prefix
	}
	if q.key != "" {
		in.KeyMarker = &q.key
	}
	if q.after != "" {
		in.VersionIdMarker = &q.after
	}
	if q.max > 0 {
		in.MaxKeys = &q.max
	}
	d := &versionDecoder{}
	if _, err := s.client.ListObjectVersions(ctx, in, s3.WithAPIOptions(d.swap)); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("list the versions of s3://%s/%s: %w", s.bucket, q.prefix, s.reason(mayListVersions, err))
	}
	if err := d.page.check(q); err != nil {
		return nil, fmt.Errorf("list the versions of s3://%s/%s: %w", s.bucket, q.prefix, err)
	}
	return &d.page, nil
}

// check holds a page against the promises of the protocol.
func (p *versionPage) check(q versionRequest) (err error) {
	if p.EncodingType == string(types.EncodingTypeUrl) {
		if p.NextKeyMarker, err = url.QueryUnescape(p.NextKeyMarker); err != nil {
			return distrust("the next key isn't encoded as a URL is")
		}
	}
	if p.IsTruncated == nil {
		return distrust("it is no listing")
	}
	if *p.IsTruncated && (p.NextKeyMarker < q.key || p.NextKeyMarker == q.key && (p.NextVersionIdMarker == "" || p.NextVersionIdMarker == q.after)) {
		return distrust("it says that more follows, and not how to ask for that")
	}
	kept := p.Entries[:0]
	last := map[string]string{} // of each kind, since some servers tell them apart
	for _, e := range p.Entries {
		if e.XMLName.Local != "Version" && e.XMLName.Local != "DeleteMarker" {
			continue
		}
		if p.EncodingType == string(types.EncodingTypeUrl) {
			if e.Key, err = url.QueryUnescape(e.Key); err != nil {
				return distrust("the key %q isn't encoded as a URL is", e.Key)
			}
		}
		if e.Key < last[e.XMLName.Local] {
			return distrust("the key %q doesn't rise above %q", e.Key, last[e.XMLName.Local])
		}
		last[e.XMLName.Local] = e.Key
		if e.VersionID == "" || !strings.HasPrefix(e.Key, q.prefix) || e.Key < q.key || e.Key == q.key && q.after == "" {
			return distrust("it tells of the version %q of the key %q, which wasn't asked for", e.VersionID, e.Key)
		}
		kept = append(kept, e)
		if *p.IsTruncated && e.Key > p.NextKeyMarker {
			return distrust("it says that what follows begins before the key %q", e.Key)
		}
	}
	p.Entries = kept
	return nil
}

// version returns what an entry says.
func (e *versionEntry) version() (version, error) {
	at, err := time.Parse(time.RFC3339, e.LastModified)
	if err != nil {
		return version{}, distrust("a version of the key %q has no time", e.Key)
	}
	return version{
		id: e.VersionID, etag: strings.Trim(e.ETag, `"`), size: e.Size, at: backend.Nanoseconds(at.Unix(), int64(at.Nanosecond())),
		marker: e.XMLName.Local == "DeleteMarker", latest: e.IsLatest,
	}, nil
}

// versionDecoder stands where the SDK decodes the answer to one
// ListObjectVersions. Answers that aren't pages go to the step it stands for.
type versionDecoder struct {
	page versionPage
	sdk  middleware.DeserializeMiddleware
}

func (d *versionDecoder) swap(s *middleware.Stack) (err error) {
	d.sdk, err = s.Deserialize.Swap(decoderID, d)
	return err
}

// ID is middleware.DeserializeMiddleware's.
func (d *versionDecoder) ID() string { return decoderID }

// HandleDeserialize is middleware.DeserializeMiddleware's.
func (d *versionDecoder) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || answer.StatusCode != 200 {
		return d.sdk.HandleDeserialize(ctx, in, already{out, metadata, err})
	}
	defer answer.Body.Close()
	d.page = versionPage{}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err == nil {
		err = xml.Unmarshal(text, &d.page)
	}
	if err != nil {
		return out, metadata, fmt.Errorf("read a page of versions: %w (%w)", err, io.ErrUnexpectedEOF)
	}
	out.Result = &s3.ListObjectVersionsOutput{}
	return out, metadata, nil
}
