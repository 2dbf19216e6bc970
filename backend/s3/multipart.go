package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/backend/lister"
)

// Uploads implements backend.Multipart. Some servers (MinIO) list no uploads below a prefix
// and only all of the bucket's, so that an empty result for the root is checked by such a
// listing.
func (r *Reader) Uploads(ctx context.Context, each func(backend.Upload) error) error {
	n, err := r.uploads(ctx, r.root, 0, each)
	if err != nil || n > 0 || r.root == "" {
		return err
	}
	_, err = r.uploads(ctx, "", pagesOfOthers, each)
	if errors.Is(err, fs.ErrPermission) { // only the prefix may be listed
		return nil
	}
	return err
}

// pagesOfOthers is the maximal number of pages without uploads of the store in a listing of
// the whole bucket.
const pagesOfOthers = 10

// uploads lists the uploads below a prefix of the bucket, and counts those of the store. If
// others isn't 0 it ends after so many pages without any.
func (r *Reader) uploads(ctx context.Context, prefix string, others int, each func(backend.Upload) error) (n int, err error) {
	in := &s3.ListMultipartUploadsInput{Bucket: &r.bucket, EncodingType: types.EncodingTypeUrl}
	if prefix != "" {
		in.Prefix = &prefix
	}
	if r.pageSize > 0 {
		in.MaxUploads = &r.pageSize
	}
	for pages := 1; ; pages++ {
		out, err := r.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return n, r.refused(ctx, "unfinished multipart uploads", mayListUploads, err)
		}
		for _, u := range out.Uploads {
			upload, inStore, err := r.upload(u, out.EncodingType, prefix)
			if err != nil {
				return n, fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, err)
			}
			if !inStore {
				continue
			}
			n++
			if err := each(upload); err != nil {
				return n, err
			}
		}
		if out.IsTruncated == nil {
			return n, fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, lister.Distrust("it is no listing"))
		}
		if !*out.IsTruncated || n == 0 && pages == others {
			return n, nil
		}
		if in, err = after(in, out); err != nil {
			return n, fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, err)
		}
	}
}

// upload returns an upload of a page, and whether it is the store's.
func (r *Reader) upload(u types.MultipartUpload, encoding types.EncodingType, prefix string) (_ backend.Upload, inStore bool, err error) {
	key, err := decoded("key", aws.ToString(u.Key), encoding)
	if err != nil {
		return backend.Upload{}, false, err
	}
	if !strings.HasPrefix(key, prefix) || aws.ToString(u.UploadId) == "" || u.Initiated == nil {
		return backend.Upload{}, false, lister.Distrust("it names an upload to %q that wasn't requested, or one without id or time", key)
	}
	rest, inStore := strings.CutPrefix(key, r.root)
	return backend.Upload{Key: rest, ID: *u.UploadId, Started: backend.Nanoseconds(u.Initiated.Unix(), int64(u.Initiated.Nanosecond()))}, inStore, nil
}

// after returns the request for the next page.
func after(in *s3.ListMultipartUploadsInput, out *s3.ListMultipartUploadsOutput) (*s3.ListMultipartUploadsInput, error) {
	key, err := decoded("next key", aws.ToString(out.NextKeyMarker), out.EncodingType)
	if err != nil {
		return nil, err
	}
	was, id := aws.ToString(in.KeyMarker), aws.ToString(out.NextUploadIdMarker)
	if key == "" || key < was || key == was && id == aws.ToString(in.UploadIdMarker) {
		return nil, lister.Distrust("it announces more, but without a marker to request it")
	}
	next := *in
	next.KeyMarker, next.UploadIdMarker = &key, nil
	if id != "" {
		next.UploadIdMarker = &id
	}
	return &next, nil
}

// gone reports whether the server has no such upload.
func gone(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "NoSuchUpload"
}

// unfinished counts the unfinished multipart uploads below the root, and the bytes of their
// parts.
func (r *Reader) unfinished(ctx context.Context) (uploads int, bytes int64, err error) {
	var all []backend.Upload
	err = r.Uploads(ctx, func(u backend.Upload) error {
		all = append(all, u)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	var size atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(r.workers)
	for _, u := range all {
		work.Go(func() error {
			n, err := r.parts(ctx, u)
			size.Add(n)
			return err
		})
	}
	err = work.Wait()
	return len(all), size.Load(), err
}

// maxPartPages limits the pages of one upload's parts: S3 has at most 10,000 parts, in pages
// of 1,000.
const maxPartPages = 100

// parts returns the total size of an upload's parts; 0 if it has ended meanwhile.
func (r *Reader) parts(ctx context.Context, u backend.Upload) (bytes int64, err error) {
	in := &s3.ListPartsInput{Bucket: &r.bucket, Key: aws.String(r.root + u.Key), UploadId: &u.ID}
	for range maxPartPages {
		out, err := r.client.ListParts(ctx, in)
		switch {
		case gone(err):
			return 0, nil
		case err != nil:
			return bytes, r.explain(ctx, "list the parts of", u.Key, mayListParts, err)
		}
		for _, p := range out.Parts {
			bytes += aws.ToInt64(p.Size)
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	return bytes, nil
}
