package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"regfsck/backend"
)

// Uploads is backend.Multiparter's. Uploads come in the order of keys.
func (r *Reader) Uploads(ctx context.Context, each func(backend.Upload) error) error {
	in := &s3.ListMultipartUploadsInput{Bucket: &r.bucket, EncodingType: types.EncodingTypeUrl}
	if r.root != "" {
		in.Prefix = &r.root
	}
	if r.pageSize > 0 {
		in.MaxUploads = &r.pageSize
	}
	for {
		out, err := r.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return r.refused(ctx, "unfinished multipart uploads", mayListUploads, err)
		}
		for _, u := range out.Uploads {
			upload, err := r.upload(u, out.EncodingType)
			if err != nil {
				return fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, err)
			}
			if err := each(upload); err != nil {
				return err
			}
		}
		if out.IsTruncated == nil {
			return fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, distrust("it is no listing"))
		}
		if !*out.IsTruncated {
			return nil
		}
		if in, err = after(in, out); err != nil {
			return fmt.Errorf("unfinished multipart uploads of %s: %w", r.name, err)
		}
	}
}

// upload returns what a page says of an upload.
func (r *Reader) upload(u types.MultipartUpload, encoding types.EncodingType) (backend.Upload, error) {
	key, err := decoded(aws.ToString(u.Key), encoding)
	if err != nil {
		return backend.Upload{}, err
	}
	if !strings.HasPrefix(key, r.root) || aws.ToString(u.UploadId) == "" || u.Initiated == nil {
		return backend.Upload{}, distrust("it tells of an upload to %q that wasn't asked for, or without id or time", key)
	}
	return backend.Upload{Key: key[len(r.root):], ID: *u.UploadId, Started: u.Initiated.UnixNano()}, nil
}

func decoded(key string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return key, nil
	}
	key, err := url.QueryUnescape(key)
	if err != nil {
		return "", distrust("the key %q isn't encoded as a URL is", key)
	}
	return key, nil
}

// after returns the request for the page that follows.
func after(in *s3.ListMultipartUploadsInput, out *s3.ListMultipartUploadsOutput) (*s3.ListMultipartUploadsInput, error) {
	key, err := decoded(aws.ToString(out.NextKeyMarker), out.EncodingType)
	if err != nil {
		return nil, err
	}
	was, id := aws.ToString(in.KeyMarker), aws.ToString(out.NextUploadIdMarker)
	if key == "" || key < was || key == was && id == aws.ToString(in.UploadIdMarker) {
		return nil, distrust("it says that more follows, and not how to ask for that")
	}
	next := *in
	next.KeyMarker, next.UploadIdMarker = &key, nil
	if id != "" {
		next.UploadIdMarker = &id
	}
	return &next, nil
}

// Abort is backend.Aborter's.
func (s *Store) Abort(ctx context.Context, u backend.Upload) error {
	if err := checkKey("abort", u.Key); err != nil {
		return err
	}
	return s.whileHeld(ctx, func(ctx context.Context) error { return s.abort(ctx, u) })
}

func (s *Store) abort(ctx context.Context, u backend.Upload) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.bucket, Key: aws.String(s.root + u.Key), UploadId: &u.ID,
	})
	if gone(err) {
		return &fs.PathError{Op: "abort", Path: u.Key, Err: fs.ErrNotExist}
	}
	if err != nil {
		return s.explain(ctx, "abort", u.Key, mayAbort, err)
	}
	return nil
}

// gone tells whether a server has no such upload.
func gone(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "NoSuchUpload"
}
