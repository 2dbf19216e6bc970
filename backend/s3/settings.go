package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"regfsck/backend"
	"regfsck/backend/words"
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

// MayUndo tells, without a change, whether what runs remove can be brought back,
// as far as the bucket's own word goes: whether versioning is enabled.
func (s *Store) MayUndo(ctx context.Context) error { return s.mustKeep(ctx, true) }

// mustKeep tells why a run can't keep what it removes, as far as the bucket's
// status tells.
func (s *Store) mustKeep(ctx context.Context, again bool) error {
	status, err := s.status(ctx, again)
	if err == nil && status != types.BucketVersioningStatusEnabled {
		err = s.noVersions(status)
	}
	return err
}

// CanUndo reports whether what runs remove can be brought back: whether versioning
// is enabled, and does what it promises to an object of our own, which is
// written, deleted, seen hidden by a marker, brought back and removed for good.
// The object's key is below the root's .regfsck. It is proven once. Where the
// object could not be removed it isn't written, as far as the bucket tells, which
// is backend.ErrRetained; where it stays after all it is backend.ErrStays.
func (s *Store) CanUndo(ctx context.Context) error {
	if err := s.mustKeep(ctx, true); err != nil {
		return err
	}
	v := &s.versioning
	v.Lock()
	defer v.Unlock()
	if v.proven {
		return nil
	}
	if err := s.Retained(ctx); err != nil {
		return err
	}
	if err := s.probeVersions(ctx, ownDir+"/probe-"+rand.Text()); err != nil {
		return fmt.Errorf("the bucket %s says that it keeps versions, and a test of that failed: %w", s.bucket, err)
	}
	v.proven = true
	return nil
}

var (
	errNoVersion = errors.New("what is written gets no version")
	errNoMarker  = errors.New("a delete leaves no delete marker above the version")
	errNotBack   = errors.New("removing the delete marker doesn't bring the object back")
)

// probeVersions does with an object what runs and their undoing do.
func (s *Store) probeVersions(ctx context.Context, key string) (err error) {
	body := []byte("regfsck looks whether this bucket keeps versions; this may be deleted\n")
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key), Body: bytes.NewReader(body)}
	s.options.stored(in)
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return s.explain(ctx, "write", key, mayPut, err)
	}
	defer func() {
		if left := s.removeProbe(context.WithoutCancel(ctx), key); left != nil {
			s.delete(context.WithoutCancel(ctx), []target{{key: key}}) // hidden, at least
			err = fmt.Errorf("%w: %w", backend.ErrStays, backend.Join(err, left))
		}
	}()
	id := aws.ToString(out.VersionId)
	if id == "" || id == nullVersion {
		return errNoVersion
	}
	gone := s.delete(ctx, []target{{key: key}})[0]
	if gone.err != nil {
		return gone.err
	}
	h, err := s.history(ctx, key)
	if err != nil {
		return err
	}
	n := h.markers(0) // a request that was sent twice leaves two
	if n == 0 || len(h) != n+1 || h[n].id != id || h[n].size != int64(len(body)) {
		return errNoMarker
	}
	var above []target
	for _, marker := range h[:n] {
		above = append(above, target{key, marker.id})
	}
	for _, gone := range s.delete(ctx, above) {
		if gone.err != nil {
			return gone.err
		}
	}
	if item, err := s.Stat(ctx, key); err != nil || item.Size != int64(len(body)) {
		return backend.Join(errNotBack, err)
	}
	return nil
}

// removeProbe removes all that is left of the probe.
func (s *Store) removeProbe(ctx context.Context, key string) error {
	h, err := s.history(ctx, key)
	if err != nil {
		return err
	}
	var all []target
	for _, v := range h {
		all = append(all, target{key, v.id})
	}
	for _, gone := range s.delete(ctx, all) {
		err = backend.Join(err, gone.err)
	}
	return err
}

// Expiry returns after how many days the bucket's own rules give up what runs
// keep: the fewest days after which a rule removes noncurrent versions of keys
// below the root. ok is false where no rule does. Rules for objects with tags
// are left out, since a registry's have none, and so are rules that spare the
// newest noncurrent versions.
func (s *Store) Expiry(ctx context.Context) (days int, ok bool, err error) {
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

// Rules is backend.Describer's: the lifecycle rules that remove objects, or move them
// into a class from which nobody can read them.
func (r *Reader) Rules(ctx context.Context) ([]backend.Rule, error) {
	rules, err := r.lifecycle(ctx)
	var all []backend.Rule
	for _, rule := range rules {
		of := scopeOf(rule)
		if !r.touches(of.prefix) {
			continue
		}
		for _, does := range deeds(rule) {
			all = append(all, backend.Rule{Prefix: strings.TrimPrefix(of.prefix, r.root), Detail: of.says(rule, does)})
			if strings.HasPrefix(r.root, of.prefix) {
				all[len(all)-1].Prefix = ""
			}
		}
	}
	return all, err
}

// lifecycle returns the rules of a bucket that are in force. A server that knows
// none has none. It is asked a few times only: nothing depends on it.
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

// scope is which objects a rule is about.
type scope struct {
	prefix string
	tags   bool // those with some tags alone
	sizes  bool // those of some sizes alone
}

func scopeOf(rule types.LifecycleRule) scope {
	//lint:ignore SA1019 rules written long ago have no other
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

// touches reports whether keys below the root may begin so.
func (r *Reader) touches(prefix string) bool {
	return strings.HasPrefix(prefix, r.root) || strings.HasPrefix(r.root, prefix)
}

// deeds are what a rule does to objects that are current, as clauses with a gap for
// their objects.
func deeds(rule types.LifecycleRule) (all []string) {
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

// when says at what time a rule takes effect.
func when(date *time.Time, days *int32) string {
	if date != nil {
		return "on " + date.UTC().Format(time.DateOnly)
	}
	return words.Plural(aws.ToInt32(days), "day", "days") + " after it was written"
}

// says is the clause that tells of a rule.
func (of scope) says(rule types.LifecycleRule, does string) string {
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
