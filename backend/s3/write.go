package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/lease"
)

// Limits of multipart uploads: S3 has at most 10,000 parts, and objects of up to 5 TiB.
const (
	minPart  = 16 << 20 // bytes of memory for each running Copy
	maxParts = 10_000
	maxSize  = 5 << 40
)

// writer writes whole objects, with conditions, in the configured way. Its callers handle the
// lease, and what a write replaces.
type writer struct {
	*Reader
	lease         *lease.Lease
	unconditional atomic.Bool // the server doesn't support conditions
	partSize      int64       // larger objects are written in parts
}

// object returns the request that writes an object as the options say.
func (s *writer) object(key string, body []byte, kind string) *s3.PutObjectInput {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key), Body: bytes.NewReader(body)}
	if kind != "" {
		in.ContentType = &kind
	}
	s.options.stored(in)
	return in
}

// write writes an object over the current one, and returns its version.
func (s *writer) write(ctx context.Context, key string, body []byte, old *history.Version) (made string, err error) {
	sum := md5.Sum(body)
	in := s.object(key, body, "application/octet-stream")
	in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	return s.conditional(ctx, conditional{
		key: key, old: old,
		send: func(noneMatch, match *string) (*string, error) {
			in.IfNoneMatch, in.IfMatch, in.Body = noneMatch, match, bytes.NewReader(body)
			out, err := s.client.PutObject(ctx, in)
			if err != nil {
				return nil, err
			}
			return out.VersionId, nil
		},
		finished: func(error) bool { return false },
		same: func(is io.Reader) (bool, error) {
			all, err := io.ReadAll(io.LimitReader(is, int64(len(body))+1))
			return bytes.Equal(all, body), err
		},
	})
}

// conditional is a write that is carried out only if old is still current.
type conditional struct {
	key      string
	old      *history.Version                                // the replaced object; nil for none
	send     func(noneMatch, match *string) (*string, error) // sends the request with these conditions, and returns the new version
	finished func(error) bool                                // reports whether an error means that it was carried out before
	same     func(io.Reader) (bool, error)                   // reports whether the content is that of the write
}

// conditional carries out a write, and returns the new version. The client repeats a request
// whose response was lost, and the server then rejects it because of the first: the current
// content decides. If the server doesn't support conditions, later requests have none.
func (s *writer) conditional(ctx context.Context, w conditional) (made string, err error) {
	var noneMatch, match *string
	if !s.unconditional.Load() {
		noneMatch, match = conditions(w.old)
	}
	id, err := w.send(noneMatch, match)
	again := false
	switch {
	case contested(err) || w.finished(err): // versitygw treats a delete marker as an object
		made, cause := s.writtenBefore(ctx, w.key, w.same)
		again = w.old == nil && errors.Is(cause, fs.ErrNotExist) && !w.finished(err)
		switch {
		case errors.Is(cause, fs.ErrNotExist) && !again:
			return "", lease.ErrContested
		case !again:
			return made, cause
		}
	case unknownRequest(err) && !s.unconditional.Load():
		s.unconditional.Store(true)
		again = true
	}
	if again {
		id, err = w.send(nil, nil)
	}
	if err != nil {
		return "", s.explain(ctx, "write", w.key, mayPut, err)
	}
	return aws.ToString(id), nil
}

// stored sets encryption, class and ACL as the options say.
func (o Options) stored(in *s3.PutObjectInput) {
	switch {
	case o.Encrypt && o.KeyID != "":
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &o.KeyID
	case o.Encrypt:
		in.ServerSideEncryption = types.ServerSideEncryptionAes256
	}
	if o.StorageClass != "" && o.StorageClass != "NONE" {
		in.StorageClass = types.StorageClass(o.StorageClass)
	}
	in.ACL = types.ObjectCannedACL(o.ACL)
}

// copied is stored for a copy.
func (o Options) copied(in *s3.CopyObjectInput) {
	var as s3.PutObjectInput
	o.stored(&as)
	in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL = as.ServerSideEncryption, as.SSEKMSKeyId, as.StorageClass, as.ACL
}

// writtenBefore returns the current version if its content is that of this write, as same reports: a
// repeated request fails because of the first.
func (s *writer) writtenBefore(ctx context.Context, key string, same func(io.Reader) (bool, error)) (made string, err error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key)})
	if err != nil {
		return "", backend.Join(lease.ErrContested, s.explain(ctx, "write", key, mayGet, err))
	}
	defer out.Body.Close()
	if is, err := same(out.Body); err != nil || !is {
		return "", cmp.Or(err, lease.ErrContested)
	}
	return aws.ToString(out.VersionId), nil
}

// conditions returns the conditions for a write over old.
func conditions(old *history.Version) (none, match *string) {
	switch {
	case old == nil:
		return aws.String("*"), nil
	case old.ETag != "":
		return nil, aws.String(`"` + old.ETag + `"`)
	}
	return nil, nil
}

// contested reports whether a write's condition wasn't met. If the object to replace doesn't
// exist any more, AWS responds NoSuchKey.
func contested(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return status(err) == 412 || status(err) == 409 || ok && api.ErrorCode() == "NoSuchKey"
}

// upload writes an object in parts.
func (s *writer) upload(ctx context.Context, key string, c backend.Content, old *history.Version) (made string, err error) {
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

// sendParts sends the content in parts. The content is verified if it returns no error.
func (s *writer) sendParts(ctx context.Context, u backend.Upload, c backend.Content) (parts []types.CompletedPart, err error) {
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

// complete completes the upload, if old is still current.
func (s *writer) complete(ctx context.Context, u backend.Upload, c backend.Content, parts []types.CompletedPart, old *history.Version) (made string, err error) {
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
		finished: gone, // a completed upload doesn't exist any more
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

// abort is Abort without the lease.
func (s *writer) abort(ctx context.Context, u backend.Upload) error {
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
