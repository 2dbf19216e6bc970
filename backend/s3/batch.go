package s3

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// deleteOne deletes one target, whoever has the lease.
func (s *Store) deleteOne(ctx context.Context, t target) verdict {
	in := &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + t.key)}
	if t.version != "" {
		in.VersionId = &t.version
	}
	out, err := s.client.DeleteObject(ctx, in)
	if api, ok := errors.AsType[smithy.APIError](err); ok && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NoSuchVersion") {
		return verdict{}
	}
	if err != nil {
		return verdict{err: s.explain(ctx, "remove", t.key, t.permission(), err)}
	}
	if aws.ToBool(out.DeleteMarker) {
		return verdict{marker: aws.ToString(out.VersionId)}
	}
	return verdict{}
}

// deleteHeld is deleteOne, unless the lease is lost.
func (s *Store) deleteHeld(ctx context.Context, t target) (v verdict) {
	v.err = s.whileHeld(ctx, func(ctx context.Context) error {
		v = s.deleteOne(ctx, t)
		return v.err
	})
	return v
}

// lacksDeleteObjects reports whether a server said that it has no DeleteObjects.
func lacksDeleteObjects(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return unknownRequest(err) || status(err) == 404 && !(ok && api.ErrorCode() == "NoSuchBucket")
}

// deleteMany deletes some of the targets in one request, and what the server
// couldn't delete just now in another, until it says no.
func (s *Store) deleteMany(ctx context.Context, part []int, targets []target, verdicts []verdict) {
	pause := min(s.settlePause, s.options.Backoff)
	for try := 1; len(part) > 0; try++ {
		part = s.deleteBatch(ctx, part, targets, verdicts)
		if len(part) == 0 || try == maxTries {
			return
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return
		}
	}
}

// deleteBatch is one request, and returns the targets that are worth another.
func (s *Store) deleteBatch(ctx context.Context, part []int, targets []target, verdicts []verdict) (again []int) {
	in := &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Quiet: aws.Bool(false)}}
	for _, i := range part {
		o := types.ObjectIdentifier{Key: aws.String(s.root + targets[i].key)}
		if targets[i].version != "" {
			o.VersionId = &targets[i].version
		}
		in.Delete.Objects = append(in.Delete.Objects, o)
	}
	var out *s3.DeleteObjectsOutput
	err := s.whileHeld(ctx, func(ctx context.Context) (err error) {
		if out, err = s.deleteObjects(ctx, in); err != nil && ctx.Err() == nil {
			err = s.reason(targets[part[0]].permission(), err)
		}
		return err
	})
	if lacksDeleteObjects(err) {
		s.single.Store(true)
		var work errgroup.Group
		work.SetLimit(s.workers)
		for _, i := range part {
			work.Go(func() error {
				verdicts[i] = s.deleteHeld(ctx, targets[i])
				return nil
			})
		}
		work.Wait()
		return nil
	}
	if err == nil {
		return s.judge(out, part, targets, verdicts)
	}
	for _, i := range part {
		verdicts[i] = verdict{err: &fs.PathError{Op: "remove", Path: targets[i].key, Err: err}}
		if ctx.Err() != nil {
			verdicts[i].err = ctx.Err()
		}
	}
	return nil
}
