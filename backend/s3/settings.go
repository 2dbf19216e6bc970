package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/words"
)

// settings are the bucket's settings for removed and replaced objects, as the server reports
// them. It changes nothing.
type settings struct {
	*Reader
	mu     sync.Mutex
	known  bool
	kept   types.BucketVersioningStatus
	behind atomic.Int64 // nanoseconds by which this machine's clock is behind the server's
}

// since returns the time since which a run may have changed something.
func (s *settings) since(run backend.Run) history.Since {
	return history.SinceBegan(run.Began, s.behind.Load())
}

// status requests the bucket's versioning status: once, or each time if again is set. A server
// that doesn't support the request has no versions.
func (s *settings) status(ctx context.Context, again bool) (types.BucketVersioningStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && !again {
		return s.kept, nil
	}
	before := time.Now()
	out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	switch {
	case unknownRequest(err):
		s.kept = ""
	case err != nil:
		return "", s.refused(ctx, "versioning", mayGetVersioning, err)
	default:
		s.kept = out.Status
		s.compareClocks(out.ResultMetadata, before)
	}
	s.known = true
	return s.kept, nil
}

// compareClocks records the difference between the server's clock and this machine's.
// Responses have whole seconds.
func (s *settings) compareClocks(metadata middleware.Metadata, before time.Time) {
	if now, ok := awsmiddleware.GetServerTime(metadata); ok {
		s.behind.Store(int64(now.Sub(before.Add(time.Since(before) / 2))))
	}
}

// unknownRequest reports whether a server doesn't support a request.
func unknownRequest(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "NotImplemented", "MethodNotAllowed", "UnsupportedOperation":
			return true
		}
	}
	return status(err) == 501 || status(err) == 405
}

// Versioned reports whether the bucket has versions of removed and replaced objects, so that a
// delete alone frees nothing: versioning is enabled, or was and is suspended.
func (s *settings) Versioned(ctx context.Context) (bool, error) {
	status, err := s.status(ctx, true)
	return status != "", err
}

// noVersions returns why a run can't keep what it removes.
func (s *settings) noVersions(status types.BucketVersioningStatus) error {
	state := "keeps no versions"
	if status == types.BucketVersioningStatusSuspended {
		state = "has its versioning suspended"
	}
	return fmt.Errorf("the bucket %s %s: turn versioning on "+
		"(aws s3api put-bucket-versioning --bucket %s --versioning-configuration Status=Enabled)", s.bucket, state, s.bucket)
}

// MayUndo returns, without a change, why removals could not be undone according to the
// bucket's settings: versioning isn't enabled.
func (s *settings) MayUndo(ctx context.Context) error {
	status, err := s.status(ctx, true)
	if err == nil && status != types.BucketVersioningStatusEnabled {
		err = s.noVersions(status)
	}
	return err
}

// Expiry returns after how many days the bucket's rules remove what runs keep: the smallest
// number of days of a rule that removes noncurrent versions below the root. ok is false if no
// rule does. Rules for objects with tags don't count, since a registry's objects have none,
// nor do rules that keep the newest noncurrent versions.
func (s *settings) Expiry(ctx context.Context) (days int, ok bool, err error) {
	rules, err := s.lifecycle(ctx)
	for _, rule := range rules {
		e, of := rule.NoncurrentVersionExpiration, scopeOf(rule)
		if e == nil || aws.ToInt32(e.NewerNoncurrentVersions) > 0 || of.tags || !s.touches(of.prefix) {
			continue
		}
		if n := int(aws.ToInt32(e.NoncurrentDays)); !ok || n < days {
			days, ok = n, true
		}
	}
	return days, ok, err
}

// Rules implements backend.Describer: the lifecycle rules that remove objects, or move them to
// a storage class that can't be read directly.
func (r *Reader) Rules(ctx context.Context) ([]backend.Rule, error) {
	rules, err := r.lifecycle(ctx)
	var all []backend.Rule
	for _, rule := range rules {
		of := scopeOf(rule)
		if !r.touches(of.prefix) {
			continue
		}
		for _, does := range effects(rule) {
			all = append(all, backend.Rule{Prefix: strings.TrimPrefix(of.prefix, r.root), Detail: of.clause(rule, does)})
			if strings.HasPrefix(r.root, of.prefix) {
				all[len(all)-1].Prefix = ""
			}
		}
	}
	return all, err
}

// lifecycle returns the enabled rules of a bucket; none if the server doesn't support rules.
// The request has few attempts, because nothing depends on it.
func (r *Reader) lifecycle(ctx context.Context) (rules []types.LifecycleRule, err error) {
	out, err := r.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &r.bucket},
		func(o *s3.Options) { o.RetryMaxAttempts = 3 })
	api, _ := errors.AsType[smithy.APIError](err)
	switch {
	case api != nil && api.ErrorCode() == "NoSuchLifecycleConfiguration", unknownRequest(err), status(err) == http.StatusNotFound:
		return nil, nil
	case err != nil:
		return nil, r.refused(ctx, "lifecycle rules", mayGetLifecycle, err)
	}
	for _, rule := range out.Rules {
		if rule.Status == types.ExpirationStatusEnabled {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// scope is the set of objects that a rule applies to.
type scope struct {
	prefix string
	tags   bool // only objects with certain tags
	sizes  bool // only objects of certain sizes
}

func scopeOf(rule types.LifecycleRule) scope {
	//lint:ignore SA1019 old rules have no other field
	of := scope{prefix: aws.ToString(rule.Prefix)}
	f := rule.Filter
	if f == nil {
		return of
	}
	of.prefix += aws.ToString(f.Prefix)
	of.tags, of.sizes = f.Tag != nil, f.ObjectSizeGreaterThan != nil || f.ObjectSizeLessThan != nil
	if and := f.And; and != nil {
		of.prefix += aws.ToString(and.Prefix)
		of.tags = of.tags || len(and.Tags) > 0
		of.sizes = of.sizes || and.ObjectSizeGreaterThan != nil || and.ObjectSizeLessThan != nil
	}
	return of
}

// touches reports whether keys below the root may begin with prefix.
func (r *Reader) touches(prefix string) bool {
	return strings.HasPrefix(prefix, r.root) || strings.HasPrefix(r.root, prefix)
}

// effects returns what a rule does to current objects, as clauses with %s for the objects.
func effects(rule types.LifecycleRule) (all []string) {
	if e := rule.Expiration; e != nil && (e.Date != nil || e.Days != nil) {
		all = append(all, "remove %s "+when(e.Date, e.Days))
	}
	for _, t := range rule.Transitions {
		if t.StorageClass == types.TransitionStorageClassGlacier || t.StorageClass == types.TransitionStorageClassDeepArchive {
			all = append(all, fmt.Sprintf("move %%s into the archive class %s %s", t.StorageClass, when(t.Date, t.Days)))
		}
	}
	return all
}

// when returns the time at which a rule takes effect.
func when(date *time.Time, days *int32) string {
	if date != nil {
		return "on " + date.UTC().Format(time.DateOnly)
	}
	return words.Plural(aws.ToInt32(days), "day", "days") + " after it was written"
}

// clause returns the clause for a rule.
func (of scope) clause(rule types.LifecycleRule, does string) string {
	what := "every object of the bucket"
	if of.prefix != "" {
		what = "what begins with " + of.prefix
	}
	verb := "will "
	if of.tags || of.sizes {
		verb, what = "may ", what+" (where it has certain tags or sizes)"
	}
	return fmt.Sprintf("the bucket's lifecycle rule %s %s%s", aws.ToString(rule.ID), verb, fmt.Sprintf(does, what))
}

// Retained implements backend.Lease: it returns backend.ErrRetained if the bucket's default
// retention locks each new version. If the server doesn't support locks, or the request isn't
// allowed, it returns nil.
func (s *settings) Retained(ctx context.Context) error {
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket})
	if err != nil || out.ObjectLockConfiguration == nil {
		return ctx.Err()
	}
	c := out.ObjectLockConfiguration
	if c.ObjectLockEnabled != types.ObjectLockEnabledEnabled || c.Rule == nil || c.Rule.DefaultRetention == nil {
		return nil
	}
	r := c.Rule.DefaultRetention
	return fmt.Errorf("the bucket %s %w for %s (its default retention, mode %s), so that regfsck could not remove its own lease and test objects: "+
		"aws s3api put-object-lock-configuration --bucket %[1]s --object-lock-configuration ObjectLockEnabled=Enabled turns that off",
		s.bucket, backend.ErrRetained, period(r), r.Mode)
}

// period returns the duration of a default retention.
func period(r *types.DefaultRetention) string {
	if years := aws.ToInt32(r.Years); years > 0 {
		return words.Plural(years, "year", "years")
	}
	return words.Plural(aws.ToInt32(r.Days), "day", "days")
}
