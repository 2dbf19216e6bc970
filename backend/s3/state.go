package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
)

// Lock is backend.Locker's. The state directory becomes this store's.
func (s *Store) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if unlock, err = s.lockLease(ctx, run); err != nil || s.claim.State == "" {
		return unlock, err
	}
	if err = s.claim.Take(); err != nil {
		return nil, backend.Join(err, unlock())
	}
	if mark, err := s.mark(ctx); err == nil {
		if mark, is := s.claim.Marked(mark); is {
			_ = s.setMark(ctx, mark) // where this user may not, the others don't learn of it
		}
	}
	return unlock, nil
}

// Claimed is backend.OpenedStore's.
func (s *Store) Claimed() error { return s.claim.Check() }

// Identity is backend.Claimer's.
func (s *Store) Identity() string { return s.claim.Store }

// Recorded is backend.Claimer's.
func (s *Store) Recorded(store string) error { return s.claim.Recorded(store) }

// Give is backend.Claimer's: nobody on this machine owns a bucket.
func (s *Store) Give(*os.File) error { return nil }

// States is backend.Claimer's.
func (s *Store) States(ctx context.Context) ([]backend.StateDir, error) {
	mark, err := s.mark(ctx)
	return s.claim.Known(mark), err
}

// markKey is the object that names the state directories of the store.
const markKey = ownDir + "/states"

// maxMark is how much of it is read.
const maxMark = 1 << 16

// mark returns what the store says of its state directories; "" where it says
// nothing.
func (s *Store) mark(ctx context.Context) (string, error) {
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

// setMark writes what mark returns from then on.
func (s *Store) setMark(ctx context.Context, mark string) error {
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
