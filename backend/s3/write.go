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

// What a multipart upload may be: S3 has at most 10,000 parts, and takes an object of
// up to 5 TiB.
const (
	minPart  = 16 << 20 // so many bytes are held in memory for each Copy under way
	maxParts = 10_000
	maxSize  = 5 << 40
)

// writer writes objects whole, under conditions, and knows how objects are stored. What
// it writes over is its caller's business, and so is the lease, but for what it says of
// itself to those that write through it.
type writer struct {
	*Reader
	lease     *lease.Lease
	options   Options
	unwatched atomic.Bool // the server refuses conditions
	partSize  int64       // what is larger is written in parts
}

// object returns the request that writes an object with what the options say of it.
func (s *writer) object(key string, body []byte, kind string) *s3.PutObjectInput {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key), Body: bytes.NewReader(body)}
	if kind != "" {
		in.ContentType = &kind
	}
	s.options.stored(in)
	return in
}

// write writes an object over what stood there a moment ago, and returns its
// version.
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

// conditional is a write that is only to be carried out over what stood there a moment
// ago.
type conditional struct {
	key      string
	old      *history.Version                                // nil for nothing
	send     func(noneMatch, match *string) (*string, error) // carries it out under the conditions, and returns the version that it made
	finished func(error) bool                                // reports whether an error says that it was carried out before
	same     func(io.Reader) (bool, error)                   // reports whether the bytes are those that it writes
}

// conditional carries out a write, and returns the version that it made. A request whose
// answer was lost is repeated by the client, and then refused for what it wrote itself:
// what stands there tells. A server that knows no conditions is asked without from then
// on.
func (s *writer) conditional(ctx context.Context, w conditional) (made string, err error) {
	var noneMatch, match *string
	if !s.unwatched.Load() {
		noneMatch, match = unless(w.old)
	}
	id, err := w.send(noneMatch, match)
	again := false
	switch {
	case contested(err) || w.finished(err): // versitygw takes a delete marker for something that stands there
		made, mine := s.mine(ctx, w.key, w.same)
		again = w.old == nil && errors.Is(mine, fs.ErrNotExist) && !w.finished(err)
		switch {
		case errors.Is(mine, fs.ErrNotExist) && !again:
			return "", lease.ErrContested
		case !again:
			return made, mine
		}
	case unknownRequest(err) && !s.unwatched.Load():
		s.unwatched.Store(true)
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

// stored has an object stored as the options say.
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

// copied has a copy stored as the options say.
func (o Options) copied(in *s3.CopyObjectInput) {
	var as s3.PutObjectInput
	o.stored(&as)
	in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL = as.ServerSideEncryption, as.SSEKMSKeyId, as.StorageClass, as.ACL
}

// mine reports whether what came between is what was to be written, as same says of its
// bytes: a request whose answer got lost is sent again, and meets itself.
func (s *writer) mine(ctx context.Context, key string, same func(io.Reader) (bool, error)) (made string, err error) {
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

// unless returns the conditions under which what stands there is written over.
func unless(old *history.Version) (none, match *string) {
	switch {
	case old == nil:
		return aws.String("*"), nil
	case old.ETag != "":
		return nil, aws.String(`"` + old.ETag + `"`)
	}
	return nil, nil
}

// contested reports whether a condition of a write didn't hold; where what was to
// be written over is gone, AWS says that there is no such key.
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

// sendParts sends the bytes, proven when it returns without an error.
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

// complete makes an object of the parts, over what stood there a moment ago.
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
