package s3

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
	"regfsck/backend/lease"
	"regfsck/backend/statedir"
)

// Lock is backend.Locker's: by a lease. The state directory becomes this store's.
func (s *Store) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if err := cmp.Or(run.Check(), ctx.Err()); err != nil {
		return nil, err
	}
	if err := s.Retained(ctx); err != nil {
		return nil, err
	}
	if unlock, err = s.Lease.Lock(ctx, run); err != nil || s.claim.State == "" {
		return unlock, err
	}
	if err = s.claim.Take(); err != nil {
		return nil, backend.Join(err, unlock())
	}
	s.states.note(ctx)
	return unlock, nil
}

// Sync is backend.Syncer's: a server answers once a change lasts.
func (*Store) Sync(context.Context) error { return nil }

// leased is the object of a lease: a lease.Object.
type leased struct {
	writer  *writer
	deleter *deleter
}

// Read is lease.Object's.
func (o leased) Read(ctx context.Context) (lease.Reading, error) {
	w := o.writer
	out, err := w.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &w.bucket, Key: aws.String(w.root + lease.Key)})
	if err != nil {
		if err = w.explain(ctx, "lock", lease.Key, mayGet, err); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return lease.Reading{}, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, 1<<16))
	if err != nil {
		return lease.Reading{}, w.explain(ctx, "lock", lease.Key, mayGet, err)
	}
	r := lease.Reading{Found: true, Body: body, ETag: aws.ToString(out.ETag), Version: aws.ToString(out.VersionId)}
	now, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		now = time.Now()
	}
	if out.LastModified != nil {
		r.Age = now.Sub(*out.LastModified)
	}
	return r, nil
}

// Write is lease.Object's.
func (o leased) Write(ctx context.Context, body []byte, over lease.Reading, conditions bool) (etag, version string, err error) {
	in := o.writer.object(lease.Key, body, "application/json")
	switch {
	case !conditions:
	case over.Found:
		in.IfMatch = &over.ETag
	default:
		in.IfNoneMatch = aws.String("*")
	}
	out, err := o.writer.client.PutObject(ctx, in)
	if err != nil {
		says := o.writer.explain(ctx, "lock", lease.Key, mayPut, err)
		switch {
		case contested(err):
			says = &wrong{says.Error(), says, lease.ErrContested}
		case unknownRequest(err):
			says = &wrong{says.Error(), says, lease.ErrUnconditional}
		}
		return "", "", says
	}
	return aws.ToString(out.ETag), aws.ToString(out.VersionId), nil
}

// Remove is lease.Object's.
func (o leased) Remove(ctx context.Context, r lease.Reading) error {
	v := o.deleter.one(ctx, target{lease.Key, r.Version})
	if r.Version != "" && errors.Is(v.err, fs.ErrPermission) {
		v = o.deleter.one(ctx, target{key: lease.Key})
	}
	return v.err
}

// Forget is lease.Object's.
func (o leased) Forget(ctx context.Context, version string) {
	if version != nullVersion {
		o.deleter.one(ctx, target{lease.Key, version})
	}
}

// states is what a store and its state directory know of each other. It reads and
// writes one object, markKey.
type states struct {
	claim  statedir.Claim // no State where the store was opened without a state directory
	writer *writer
}

// note has the store name the state directory. Where this user may not write that, the
// others don't learn of it.
func (s *states) note(ctx context.Context) {
	if mark, err := s.mark(ctx); err == nil {
		if mark, is := s.claim.Marked(mark); is {
			_ = s.setMark(ctx, mark)
		}
	}
}

// Claimed is backend.OpenedStore's.
func (s *states) Claimed() error { return s.claim.Check() }

// Identity is backend.Claimer's.
func (s *states) Identity() string { return s.claim.Store }

// Recorded is backend.Claimer's.
func (s *states) Recorded(store string) error { return s.claim.Recorded(store) }

// Give is backend.Claimer's: nobody on this machine owns a bucket.
func (s *states) Give(*os.File) error { return nil }

// States is backend.Claimer's.
func (s *states) States(ctx context.Context) ([]backend.StateDir, error) {
	mark, err := s.mark(ctx)
	return s.claim.Known(mark), err
}

// markKey is the object that names the state directories of the store.
const markKey = backend.Own + "/states"

// maxMark is how much of it is read.
const maxMark = 1 << 16

// mark returns what the store says of its state directories; "" where it says
// nothing.
func (s *states) mark(ctx context.Context) (string, error) {
	f, err := s.writer.Open(ctx, markKey)
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
func (s *states) setMark(ctx context.Context, mark string) error {
	w := s.writer
	return w.lease.While(ctx, func(ctx context.Context) error {
		if _, err := w.client.PutObject(ctx, w.object(markKey, []byte(mark), "text/plain")); err != nil {
			return w.explain(ctx, "write", markKey, mayPut, err)
		}
		return nil
	})
}
