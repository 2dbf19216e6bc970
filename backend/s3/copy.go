package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
)

// What a multipart upload may be: S3 has at most 10,000 parts, and takes an object of
// up to 5 TiB.
const (
	minPart  = 16 << 20 // so many bytes are held in memory for each Copy under way
	maxParts = 10_000
	maxSize  = 5 << 40
)

// Copy is backend.Store's. What fits into one part is proven in memory and then put. Of
// what is larger the parts are sent as they come, and the upload is completed only once
// all bytes were there and were right; else it is aborted. What an interruption leaves is
// a multipart upload, which a check finds and a fix aborts (multipart-stale).
func (s *Store) Copy(ctx context.Context, run backend.Run, key string, c backend.Content, modified int64) backend.Receipt {
	if c.Size > maxSize {
		return backend.Receipt{Key: key, Err: &backend.ContentError{Err: fmt.Errorf("has %d bytes of it, more than an object can have", c.Size)}}
	}
	return s.putAs(ctx, run, key, c.Over, func(ctx context.Context, old *version) (string, error) {
		if c.Size <= s.partSize {
			body, err := io.ReadAll(c.Proven())
			if err != nil {
				return "", err
			}
			return s.write(ctx, key, body, old)
		}
		return s.upload(ctx, key, c, old)
	})
}

// upload writes an object in parts.
func (s *Store) upload(ctx context.Context, key string, c backend.Content, old *version) (made string, err error) {
	as := s3.PutObjectInput{}
	s.options.stored(&as)
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: aws.String(s.root + key), ContentType: aws.String("application/octet-stream"),
		ServerSideEncryption: as.ServerSideEncryption, SSEKMSKeyId: as.SSEKMSKeyId, StorageClass: as.StorageClass, ACL: as.ACL,
	})
	if err != nil {
		return "", s.explain(ctx, "write", key, mayPut, err)
	}
	u := backend.Upload{Key: key, ID: aws.ToString(out.UploadId)}
	parts, err := s.sendParts(ctx, u, c)
	if err == nil {
		made, err = s.complete(ctx, u, c, parts, old)
	}
	if err != nil {
		if left := s.abort(context.WithoutCancel(ctx), u); left != nil && !errors.Is(left, fs.ErrNotExist) {
			err = backend.Join(err, left)
		}
	}
	return made, err
}

// sendParts sends the bytes, proven when it returns without an error.
func (s *Store) sendParts(ctx context.Context, u backend.Upload, c backend.Content) (parts []types.CompletedPart, err error) {
	size := max(s.partSize, (c.Size+maxParts-1)/maxParts)
	buf := make([]byte, min(size, c.Size))
	bytesOf := c.Proven()
	for ended := false; !ended; {
		n, err := io.ReadFull(bytesOf, buf)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			ended = true
		case err != nil:
			return nil, err
		}
		if n == 0 {
			break
		}
		number := int32(len(parts) + 1)
		sum := md5.Sum(buf[:n])
		out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.bucket, Key: aws.String(s.root + u.Key), UploadId: &u.ID, PartNumber: &number,
			Body: bytes.NewReader(buf[:n]), ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		})
		if err != nil {
			return nil, s.explain(ctx, "write", u.Key, mayPut, err)
		}
		parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: &number})
	}
	return parts, ctx.Err()
}

// complete makes an object of the parts, over what stood there a moment ago.
func (s *Store) complete(ctx context.Context, u backend.Upload, c backend.Content, parts []types.CompletedPart, old *version) (made string, err error) {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: aws.String(s.root + u.Key), UploadId: &u.ID, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	return s.conditional(ctx, conditional{
		key: u.Key, old: old,
		send: func(noneMatch, match *string) (*string, error) {
			in.IfNoneMatch, in.IfMatch = noneMatch, match
			out, err := s.client.CompleteMultipartUpload(ctx, in)
			if err != nil {
				return nil, err
			}
			return out.VersionId, nil
		},
		finished: gone, // an upload that was completed is gone
		same: func(is io.Reader) (bool, error) {
			c.Bytes = is
			_, err := io.Copy(io.Discard, c.Proven())
			if _, other := errors.AsType[*backend.ContentError](err); other {
				return false, nil
			}
			return err == nil, err
		},
	})
}
