package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
)

// acquire gets the lease, unless somebody has it.
func (l *lease) acquire(ctx context.Context) error {
	refused := false // where nothing is
	for range maxTries {
		r, err := l.s.readLease(ctx)
		if err != nil {
			return err
		}
		if r.found && !r.expired && r.by.Token != l.me.Token {
			return lockedBy(r)
		}
		err = l.write(ctx, r)
		if contested(err) {
			l.plain = !r.found && refused // versitygw takes a delete marker for an object that stands there
			refused = !r.found
			continue
		}
		if err != nil {
			return l.s.explain(ctx, "lock", leaseKey, mayPut, err)
		}
		return l.certify(ctx)
	}
	return l.s.explain(ctx, "lock", leaseKey, mayPut, errMeanwhile)
}

// write writes the lease in the place of what a look has shown.
func (l *lease) write(ctx context.Context, r reading) error {
	now := l.s.now()
	l.me.Seconds = int(l.s.leaseTime / time.Second)
	l.me.Expires = now.Add(l.s.leaseTime).UTC().Truncate(time.Second)
	body, err := json.Marshal(l.me)
	if err != nil {
		return err
	}
	in := &s3.PutObjectInput{Bucket: &l.s.bucket, Key: aws.String(l.s.root + leaseKey), Body: bytes.NewReader(body), ContentType: aws.String("application/json")}
	l.s.options.stored(in)
	switch {
	case l.plain:
	case r.found:
		in.IfMatch = &r.etag
	default:
		in.IfNoneMatch = aws.String("*")
	}
	out, err := l.s.client.PutObject(ctx, in)
	if !l.plain && unknownRequest(err) {
		l.plain = true
		in.IfMatch, in.IfNoneMatch, in.Body = nil, nil, bytes.NewReader(body)
		out, err = l.s.client.PutObject(ctx, in)
	}
	if err != nil {
		return err
	}
	l.etag, l.version, l.seen = aws.ToString(out.ETag), aws.ToString(out.VersionId), now
	l.wrote(now)
	l.forget(ctx, r.version)
	return nil
}

// forget removes a version of the lease that was written over.
func (l *lease) forget(ctx context.Context, version string) {
	if version != "" && version != l.version && version != nullVersion {
		l.s.deleteOne(ctx, target{leaseKey, version})
	}
}

// certify makes sure that nobody else got the same lease: by a write that a
// server with conditions refuses, or by waiting until who has seen no lease has
// written one.
func (l *lease) certify(ctx context.Context) error {
	if !l.plain {
		err := l.write(ctx, reading{version: l.version})
		if contested(err) {
			return nil
		}
		if err != nil {
			return l.s.explain(ctx, "lock", leaseKey, mayPut, err)
		}
		l.plain = true
	}
	select {
	case <-time.After(l.s.settleTime):
	case <-ctx.Done():
		return backend.Join(ctx.Err(), l.release(context.WithoutCancel(ctx)))
	}
	r, err := l.s.readLease(ctx)
	if err == nil && r.by.Token != l.me.Token {
		written := l.version
		l.version = ""
		l.forget(ctx, written)
		err = lockedBy(r)
	}
	return err
}
