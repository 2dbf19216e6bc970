package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// status asks whether the bucket keeps versions; once, unless it is to be
// asked again. A server that doesn't know the question keeps none.
func (s *Store) status(ctx context.Context, again bool) (types.BucketVersioningStatus, error) {
	v := &s.versioning
	v.Lock()
	defer v.Unlock()
	if v.known && !again {
		return v.status, nil
	}
	before := time.Now()
	out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	switch {
	case unknownRequest(err):
		v.status = ""
	case err != nil:
		return "", s.refused(ctx, "versioning", mayGetVersioning, err)
	default:
		v.status = out.Status
		s.compareClocks(out.ResultMetadata, before)
	}
	v.known = true
	return v.status, nil
}

// compareClocks notes how far the server's clock is from ours. Its answers tell
// whole seconds.
func (s *Store) compareClocks(metadata middleware.Metadata, before time.Time) {
	if now, ok := awsmiddleware.GetServerTime(metadata); ok {
		s.skew.Store(int64(now.Sub(before.Add(time.Since(before) / 2))))
	}
}

// unknownRequest reports whether a server said that it has no such thing at all.
func unknownRequest(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "NotImplemented", "MethodNotAllowed", "UnsupportedOperation":
			return true
		}
	}
	return status(err) == 501 || status(err) == 405
}

// Versioned reports whether the bucket has versions of what was removed or
// written over, so that a delete alone frees nothing: whether versioning is
// enabled, or was and is suspended.
func (s *Store) Versioned(ctx context.Context) (bool, error) {
	status, err := s.status(ctx, true)
	return status != "", err
}

// noVersions says why a run can't keep what it removes.
func (s *Store) noVersions(status types.BucketVersioningStatus) error {
	state := "keeps no versions"
	if status == types.BucketVersioningStatusSuspended {
		state = "has its versioning suspended"
	}
	return fmt.Errorf("the bucket %s %s: turn versioning on "+
		"(aws s3api put-bucket-versioning --bucket %s --versioning-configuration Status=Enabled)", s.bucket, state, s.bucket)
}

// MayKeep tells, without a change, whether what runs remove can be brought back,
// as far as the bucket's own word goes: whether versioning is enabled.
func (s *Store) MayKeep(ctx context.Context) error { return s.mustKeep(ctx, true) }

// mustKeep tells why a run can't keep what it removes, as far as the bucket's
// status tells.
func (s *Store) mustKeep(ctx context.Context, again bool) error {
	status, err := s.status(ctx, again)
	if err == nil && status != types.BucketVersioningStatusEnabled {
		err = s.noVersions(status)
	}
	return err
}
