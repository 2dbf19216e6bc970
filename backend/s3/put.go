package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
)

// Put is backend.Store's. A bucket takes an object whole or not at all, and gives
// it the time of that moment, so that modified is of no use. That nothing came
// between the look and the write is the server's to know, where it honours
// If-None-Match and If-Match. What is written over is kept as a version, or
// deleted for good where the run keeps nothing.
func (s *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	receipt := backend.Receipt{Key: key}
	if receipt.Err = s.guard(ctx, "write", run, key); receipt.Err != nil {
		return receipt
	}
	if strings.HasSuffix(key, "/") {
		receipt.Err = &fs.PathError{Op: "write", Path: key, Err: backend.ErrIrregular}
		return receipt
	}
	if err := s.put(ctx, run, key, body, &receipt); err != nil {
		receipt.Err = cmp.Or(ctx.Err(), renamed("write", err))
		if _, ok := errors.AsType[*fs.PathError](err); !ok && ctx.Err() == nil {
			receipt.Err = &fs.PathError{Op: "write", Path: key, Err: err}
		}
	}
	return receipt
}

func (s *Store) put(ctx context.Context, run backend.Run, key string, body []byte, receipt *backend.Receipt) error {
	status, err := s.status(ctx, false)
	if err != nil && run.Keep {
		return err
	}
	old, err := s.standing(ctx, run, key, status != "")
	if err == nil && old != nil && run.Keep && status != types.BucketVersioningStatusEnabled {
		err = s.noVersions(status)
	}
	if err != nil {
		return err
	}
	var made string
	err = s.whileHeld(ctx, func(ctx context.Context) (err error) {
		made, err = s.write(ctx, key, body, old)
		return err
	})
	switch {
	case err != nil:
		return err
	case old == nil:
	case old.id == "" && made != "": // it is a version of something unknown now
	case run.Keep && (made == "" || made == nullVersion):
		return errNotKept
	case run.Keep:
		receipt.Undo, receipt.Kept = token{false, run.ID, old.id}.String(), old.size
	case status == "" || old.id == nullVersion && (made == nullVersion || made == ""):
		receipt.Freed = old.size
	case made == "" || made == old.id: // where nobody knows which version is which, none is deleted
	case s.delete(ctx, []target{{key, old.id}})[0].err == nil:
		receipt.Freed = old.size
	}
	return nil
}

// standing returns what stands under a key, nil for nothing.
func (s *Store) standing(ctx context.Context, run backend.Run, key string, versions bool) (*version, error) {
	if !versions {
		item, err := s.Stat(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return &version{etag: item.ETag, size: item.Size}, err
	}
	h, err := s.history(ctx, key)
	if err != nil || !h.stands() {
		return nil, err
	}
	if since := s.began(run.Began, strictly); run.Keep && since > 0 && h.over(0) && h[0].at >= since {
		return nil, errKept
	}
	return &h[0], nil
}

// write writes an object over what stood there a moment ago, and returns its
// version.
func (s *Store) write(ctx context.Context, key string, body []byte, old *version) (made string, err error) {
	sum := md5.Sum(body)
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: aws.String(s.root + key), Body: bytes.NewReader(body),
		ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ContentType: aws.String("application/octet-stream"),
	}
	s.options.stored(in)
	if !s.unwatched.Load() {
		in.IfNoneMatch, in.IfMatch = unless(old)
	}
	out, err := s.client.PutObject(ctx, in)
	again := false
	switch {
	case contested(err): // versitygw takes a delete marker for something that stands there
		made, mine := s.mine(ctx, key, body)
		again = old == nil && errors.Is(mine, fs.ErrNotExist)
		switch {
		case errors.Is(mine, fs.ErrNotExist) && !again:
			return "", errMeanwhile
		case !again:
			return made, mine
		}
	case unknownRequest(err) && !s.unwatched.Load():
		s.unwatched.Store(true)
		again = true
	}
	if again {
		in.IfNoneMatch, in.IfMatch, in.Body = nil, nil, bytes.NewReader(body)
		out, err = s.client.PutObject(ctx, in)
	}
	if err != nil {
		return "", s.explain(ctx, "write", key, mayPut, err)
	}
	return aws.ToString(out.VersionId), nil
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
