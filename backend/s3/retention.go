package s3

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
	"regfsck/backend/words"
)

// Retained tells why nothing that is written could be removed again, which is
// backend.ErrRetained: the bucket's default retention locks each new version. A
// server that knows no locks has none, and of one that doesn't let us ask nobody
// knows.
func (s *Store) Retained(ctx context.Context) error {
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket})
	if err != nil || out.ObjectLockConfiguration == nil {
		return ctx.Err()
	}
	c := out.ObjectLockConfiguration
	if c.ObjectLockEnabled != types.ObjectLockEnabledEnabled || c.Rule == nil || c.Rule.DefaultRetention == nil {
		return nil
	}
	r := c.Rule.DefaultRetention
	return fmt.Errorf("the bucket %s %w for %s (its default retention, mode %s), so that regfsck's own lease and test objects would stay: "+
		"aws s3api put-object-lock-configuration --bucket %[1]s --object-lock-configuration ObjectLockEnabled=Enabled takes that off",
		s.bucket, backend.ErrRetained, period(r), r.Mode)
}

// period says how long a default retention lasts.
func period(r *types.DefaultRetention) string {
	if years := aws.ToInt32(r.Years); years > 0 {
		return words.Plural(years, "year", "years")
	}
	return words.Plural(aws.ToInt32(r.Days), "day", "days")
}
