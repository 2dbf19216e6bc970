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

// Lock implements backend.Locker by a lease. It claims the state directory for the store.
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

// Sync implements backend.Syncer: a change is durable once the server has responded.
func (*Store) Sync(context.Context) error { return nil }

// leased implements lease.Object.
type leased struct {
	writer  *writer
	deleter *deleter
}

// Read implements lease.Object.
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

// Write implements lease.Object.
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

// Remove implements lease.Object.
func (o leased) Remove(ctx context.Context, r lease.Reading) error {
	v := o.deleter.one(ctx, target{lease.Key, r.Version})
	if r.Version != "" && errors.Is(v.err, fs.ErrPermission) {
		v = o.deleter.one(ctx, target{key: lease.Key})
	}
	return v.err
}

// Forget implements lease.Object.
func (o leased) Forget(ctx context.Context, version string) {
	if version != nullVersion {
		o.deleter.one(ctx, target{lease.Key, version})
	}
}

// states are the state directories recorded in a store, and the store recorded in its state
// directory. They read and write one object, markKey.
type states struct {
	claim  statedir.Claim // without State if the store was opened without a state directory
	writer *writer
}

// note records the state directory in the store. If this user may not write there, other
// machines don't find it.
func (s *states) note(ctx context.Context) {
	if mark, err := s.mark(ctx); err == nil {
		if mark, is := s.claim.Marked(mark); is {
			_ = s.setMark(ctx, mark)
		}
	}
}

// Claimed implements backend.OpenedStore.
func (s *states) Claimed() error { return s.claim.Check() }

// Identity implements backend.Claimer.
func (s *states) Identity() string { return s.claim.Store }

// Recorded implements backend.Claimer.
func (s *states) Recorded(store string) error { return s.claim.Recorded(store) }

// SetOwner implements backend.Claimer: a bucket has no owner on this machine.
func (s *states) SetOwner(*os.File) error { return nil }

// States implements backend.Claimer.
func (s *states) States(ctx context.Context) ([]backend.StateDir, error) {
	mark, err := s.mark(ctx)
	return s.claim.Known(mark), err
}

// markKey is the key of the object with the names of the state directories.
const markKey = backend.Own + "/states"

// mark returns the content of the object at markKey; "" if there is none.
func (s *states) mark(ctx context.Context) (string, error) {
	f, err := s.writer.Open(ctx, markKey)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	mark, err := io.ReadAll(io.LimitReader(f, statedir.MaxClaim))
	return string(mark), err
}

// setMark writes the object at markKey.
func (s *states) setMark(ctx context.Context, mark string) error {
	w := s.writer
	return w.lease.While(ctx, func(ctx context.Context) error {
		if _, err := w.client.PutObject(ctx, w.object(markKey, []byte(mark), "text/plain")); err != nil {
			return w.explain(ctx, "write", markKey, mayPut, err)
		}
		return nil
	})
}
