package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// meter stands inside the SDK's loop of retries: each attempt waits for the
// pace and is counted.
type meter struct {
	pace    *pace
	counts  *counters
	contact *contact
}

func newMeter(o Options, counts *counters, first *contact) *meter {
	return &meter{newPace(o.Workers*fetchesAWorker, o.Rate), counts, first}
}

// ID is middleware.FinalizeMiddleware's.
func (m *meter) ID() string { return "regfsckMeter" }

func (m *meter) add(s *middleware.Stack) error {
	return s.Finalize.Insert(m, "Retry", middleware.After)
}

// HandleFinalize is middleware.FinalizeMiddleware's.
func (m *meter) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, metadata middleware.Metadata, err error,
) {
	done, err := m.pace.take(ctx)
	if err != nil {
		return out, metadata, &aws.RequestCanceledError{Err: err}
	}
	defer func() {
		m.contact.heard(err)
		done(throttled(err))
	}()
	m.count(awsmiddleware.GetOperationName(ctx))
	return next.HandleFinalize(ctx, in)
}

func (m *meter) count(operation string) {
	switch operation {
	case "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "ListParts":
		m.counts.list.Add(1)
	case "GetObject":
		m.counts.get.Add(1)
	case "HeadObject", "GetBucketVersioning", "GetBucketLifecycleConfiguration", "GetObjectLockConfiguration":
		m.counts.head.Add(1)
	case "PutObject", "CopyObject":
		m.counts.put.Add(1)
	case "DeleteObjects", "DeleteObject", "AbortMultipartUpload":
		m.counts.delete.Add(1)
	}
}

// throttled reports whether the server asks for patience.
func throttled(err error) bool {
	if err == nil {
		return false
	}
	code := status(err)
	return code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests ||
		retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}.IsErrorThrottle(err).Bool()
}

// status returns the HTTP status of an error, 0 for none.
func status(err error) int {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

// newRetryer tries as often as the options say, without the SDK's quota of
// retries: a run that has asked a hundred thousand times may meet more bad
// moments than that allows, and the pace slows all down anyway.
func newRetryer(o Options, first *contact) aws.Retryer {
	return patient{first, retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = o.Attempts
		s.MaxBackoff = o.Backoff
		s.RateLimiter = ratelimit.None
		s.Retryables = slices.Insert(s.Retryables, 0, retry.IsErrorRetryable(retry.IsErrorRetryableFunc(retryable)))
	})}
}

// patient tries again what may fare better, and says so.
type patient struct {
	contact *contact
	*retry.Standard
}

// IsErrorRetryable is aws.Retryer's.
func (p patient) IsErrorRetryable(err error) bool {
	return !p.contact.hopeless(err) && p.Standard.IsErrorRetryable(err)
}

// RetryDelay is aws.Retryer's.
func (p patient) RetryDelay(attempt int, err error) (time.Duration, error) {
	delay, failed := p.Standard.RetryDelay(attempt, err)
	if failed == nil {
		p.contact.waits(attempt, p.MaxAttempts(), delay, err)
	}
	return delay, failed
}

// retryable adds to what the SDK tries again: 429, and answers that were cut. A
// certificate that isn't trusted won't be the next time.
func retryable(err error) aws.Ternary {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return aws.FalseTernary
	}
	if status(err) == http.StatusTooManyRequests || errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}
