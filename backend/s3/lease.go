package s3

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// lease is one that was acquired, or is about to be.
type lease struct {
	s  *Store
	me holder

	ours   context.Context // ends once it may be another's
	lose   func()
	expiry *time.Timer // loses it

	mu      sync.Mutex
	etag    string
	version string    // of the object, where the bucket keeps versions
	plain   bool      // the server knows no conditions
	seen    time.Time // it was ours then
	written time.Time // not before that
}

// reading is what a look at the lease shows.
type reading struct {
	found         bool
	by            holder
	etag, version string
	age           time.Duration // by the server's clock; 0 where it doesn't tell
	expired       bool
}

// readLease looks at the lease.
func (s *Store) readLease(ctx context.Context) (reading, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + leaseKey)})
	if err != nil {
		if err = s.explain(ctx, "lock", leaseKey, mayGet, err); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return reading{}, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, 1<<16))
	if err != nil {
		return reading{}, s.explain(ctx, "lock", leaseKey, mayGet, err)
	}
	r := reading{found: true, by: parseHolder(body), etag: aws.ToString(out.ETag), version: aws.ToString(out.VersionId)}
	now, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		now = time.Now()
	}
	holds := max(time.Duration(r.by.Seconds)*time.Second, s.leaseTime) + strictly
	if out.LastModified != nil {
		r.age = now.Sub(*out.LastModified)
	}
	r.expired = r.age > holds
	return r, nil
}

// keep renews the lease until ctx ends.
func (l *lease) keep(ctx context.Context) {
	ticker := time.NewTicker(l.s.leaseTime / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew writes the lease again. What fails is tried again at the next time,
// until the lease has expired.
func (l *lease) renew(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost() != nil {
		return
	}
	r := reading{found: true, etag: l.etag, version: l.version}
	var err error
	if l.plain {
		err = l.look(ctx)
	}
	if err == nil {
		err = l.write(ctx, r)
	}
	if contested(err) { // by another, or by this very write, sent twice
		l.look(ctx)
	}
}

// look sees whether the lease is ours still.
func (l *lease) look(ctx context.Context) error {
	now := l.s.now()
	r, err := l.s.readLease(ctx)
	switch {
	case err != nil:
		return err
	case r.by.Token != l.me.Token:
		l.lose()
		return errLeaseLost
	}
	written := l.version
	l.etag, l.version, l.seen = r.etag, r.version, now
	l.wrote(now.Add(-max(r.age, 0)))
	l.forget(ctx, written)
	return nil
}

// check tells why the lease may not be ours any more. It looks, unless it was
// seen to be ours a moment ago.
func (l *lease) check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lost(); err != nil {
		return err
	}
	if l.s.since(l.seen) < l.s.leaseTime/40 {
		return ctx.Err()
	}
	err := l.look(ctx)
	if l.lost() != nil {
		return l.lost()
	}
	return err
}

// release gives the lease back, if it is ours.
func (l *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.leaseTime)
	defer cancel()
	for range maxTries {
		r, err := l.s.readLease(ctx)
		if err != nil {
			return err
		}
		if r.by.Token != l.me.Token {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.lost()
		}
		if err := l.s.removeLease(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// removeLease removes the lease that a look has shown, and no other where the
// bucket keeps versions.
func (s *Store) removeLease(ctx context.Context, r reading) error {
	v := s.deleteOne(ctx, target{leaseKey, r.version})
	if r.version != "" && errors.Is(v.err, fs.ErrPermission) {
		v = s.deleteOne(ctx, target{key: leaseKey})
	}
	return v.err
}
