package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// markKey is the object that names the state directories of the store.
const markKey = ownFolder + "/states"

// maxMark is how much of it is read.
const maxMark = 1 << 16

// Mark returns what the store says of its state directories; "" where it says
// nothing.
func (s *Store) Mark(ctx context.Context) (string, error) {
	f, err := s.Open(ctx, markKey)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	mark, err := io.ReadAll(io.LimitReader(f, maxMark))
	return string(mark), err
}

// SetMark writes what Mark returns from then on.
func (s *Store) SetMark(ctx context.Context, mark string) error {
	return s.whileHeld(ctx, func(ctx context.Context) error {
		in := &s3.PutObjectInput{
			Bucket: &s.bucket, Key: aws.String(s.root + markKey), Body: bytes.NewReader([]byte(mark)),
			ContentType: aws.String("text/plain"),
		}
		s.options.stored(in)
		if _, err := s.client.PutObject(ctx, in); err != nil {
			return s.explain(ctx, "write", markKey, mayPut, err)
		}
		return nil
	})
}
