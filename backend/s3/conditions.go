package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"regfsck/backend"
)

// mine reports whether what came between is what was to be written: a request
// whose answer got lost is sent again, and meets itself.
func (s *Store) mine(ctx context.Context, key string, body []byte) (made string, err error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key)})
	if err != nil {
		return "", backend.Join(errMeanwhile, s.explain(ctx, "write", key, mayGet, err))
	}
	defer out.Body.Close()
	is, err := io.ReadAll(io.LimitReader(out.Body, int64(len(body))+1))
	if err != nil || !bytes.Equal(is, body) {
		return "", cmp.Or(err, errMeanwhile)
	}
	return aws.ToString(out.VersionId), nil
}

// unless returns the conditions under which what stands there is written over.
func unless(old *version) (none, match *string) {
	switch {
	case old == nil:
		return aws.String("*"), nil
	case old.etag != "":
		return nil, aws.String(`"` + old.etag + `"`)
	}
	return nil, nil
}

// contested reports whether a condition of a write didn't hold; where what was to
// be written over is gone, AWS says that there is no such key.
func contested(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return status(err) == 412 || status(err) == 409 || ok && api.ErrorCode() == "NoSuchKey"
}
