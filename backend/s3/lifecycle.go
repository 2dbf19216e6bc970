package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Expiry returns after how many days the bucket's own rules give up what runs
// keep: the fewest days after which a rule removes noncurrent versions of keys
// below the root. ok is false where no rule does. Rules for objects with tags
// are left out, since a registry's have none, and so are rules that spare the
// newest noncurrent versions.
func (s *Store) Expiry(ctx context.Context) (days int, ok bool, err error) {
	out, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.bucket})
	if api, is := errors.AsType[smithy.APIError](err); is && api.ErrorCode() == "NoSuchLifecycleConfiguration" || unknownRequest(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, s.refused(ctx, "lifecycle rules", mayGetLifecycle, err)
	}
	for _, rule := range out.Rules {
		n, applies := s.expires(rule)
		if applies && (!ok || n < days) {
			days, ok = n, true
		}
	}
	return days, ok, nil
}

// expires returns after how many days a rule removes what runs keep, if it does.
func (s *Store) expires(rule types.LifecycleRule) (days int, ok bool) {
	e := rule.NoncurrentVersionExpiration
	if rule.Status != types.ExpirationStatusEnabled || e == nil || aws.ToInt32(e.NewerNoncurrentVersions) > 0 {
		return 0, false
	}
	//lint:ignore SA1019 rules written long ago have no other
	prefix := aws.ToString(rule.Prefix)
	if f := rule.Filter; f != nil {
		prefix += aws.ToString(f.Prefix)
		if f.Tag != nil || f.And != nil && len(f.And.Tags) > 0 {
			return 0, false
		}
		if f.And != nil {
			prefix += aws.ToString(f.And.Prefix)
		}
	}
	touches := strings.HasPrefix(prefix, s.root) || strings.HasPrefix(s.root, prefix)
	return int(aws.ToInt32(e.NoncurrentDays)), touches
}
