package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend/pace"
)

// meter is part of the SDK's retry loop: each attempt waits for the pace and is counted.
type meter struct {
	pace    *pace.Pace
	counts  *counters
	contact *contact
}

func newMeter(o Options, counts *counters, first *contact) *meter {
	return &meter{pace.New(o.Workers*fetchesAWorker, o.Rate), counts, first}
}

// ID implements middleware.FinalizeMiddleware.
func (m *meter) ID() string { return "regfsckMeter" }

func (m *meter) add(s *middleware.Stack) error {
	return s.Finalize.Insert(m, "Retry", middleware.After)
}

// HandleFinalize implements middleware.FinalizeMiddleware.
func (m *meter) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, metadata middleware.Metadata, err error,
) {
	done, err := m.pace.Take(ctx)
	if err != nil {
		return out, metadata, &aws.RequestCanceledError{Err: err}
	}
	defer func() {
		m.contact.record(err)
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

// throttled reports whether the server asks for fewer requests.
func throttled(err error) bool {
	if err == nil {
		return false
	}
	code := status(err)
	return code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests ||
		retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}.IsErrorThrottle(err).Bool()
}

// status returns the HTTP status of an error; 0 for none.
func status(err error) int {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

// newRetryer returns a retryer with the options' number of attempts, without the SDK's retry
// quota: a run with a hundred thousand requests may exceed it, and the pace limits the rate
// anyway.
func newRetryer(o Options, first *contact) aws.Retryer {
	return retryer{first, retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = o.Attempts
		s.MaxBackoff = o.Backoff
		s.RateLimiter = ratelimit.None
		s.Retryables = slices.Insert(s.Retryables, 0, retry.IsErrorRetryable(retry.IsErrorRetryableFunc(retryable)))
	})}
}

// retryer retries what may succeed later, and reports that.
type retryer struct {
	contact *contact
	*retry.Standard
}

// IsErrorRetryable implements aws.Retryer.
func (p retryer) IsErrorRetryable(err error) bool {
	return !p.contact.hopeless(err) && p.Standard.IsErrorRetryable(err)
}

// RetryDelay implements aws.Retryer.
func (p retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	delay, failed := p.Standard.RetryDelay(attempt, err)
	if failed == nil {
		p.contact.announceRetry(attempt, p.MaxAttempts(), delay, err)
	}
	return delay, failed
}

// retryable adds to the SDK's retries: status 429, and truncated responses. An untrusted
// certificate isn't retried.
func retryable(err error) aws.Ternary {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return aws.FalseTernary
	}
	if status(err) == http.StatusTooManyRequests || errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// contact is what is known of the server, before the bucket is known.
type contact struct {
	responded atomic.Bool // it has responded

	say  func(line string) // may be nil
	mu   sync.Mutex
	next time.Time // the next line may be said then
}

const (
	// firstContact is the timeout of the first connection. The address of a server that has
	// never responded is probably wrong.
	firstContact = 5 * time.Second
	// sayEvery is the minimal time between two lines: many requests fail at the same time.
	sayEvery = 5 * time.Second
)

// dial limits the time of a connection until the server has responded once.
func (c *contact) dial(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string) (net.Conn, error) {
	if !c.responded.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, firstContact)
		defer cancel()
	}
	return dial(ctx, network, address)
}

// record records the result of an attempt.
func (c *contact) record(err error) {
	if err == nil || status(err) > 0 {
		c.responded.Store(true)
	}
}

// hopeless reports whether no later attempt will succeed.
func (c *contact) hopeless(err error) bool {
	return !c.responded.Load() && unconnected(err)
}

// announceRetry reports that a failed request is retried after delay.
func (c *contact) announceRetry(attempt, attempts int, delay time.Duration, err error) {
	if c.say == nil || attempt < 2 && delay < time.Second { // a single, short failure
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		return
	}
	c.next = now.Add(sayEvery)
	c.say(fmt.Sprintf("the server is in trouble (%s): trying again in %v, attempt %d of %d",
		trouble(err), max(delay.Round(time.Second), time.Second), attempt+1, attempts))
}

// trouble returns in few words what is wrong with a response, or why there is none.
func trouble(err error) string {
	if words := statusWords(err); words != "" {
		return words
	}
	return root(err).Error()
}

// unconnected reports whether no connection was made.
func unconnected(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// webPageError is the error for a response meant for a browser.
type webPageError struct{}

func (webPageError) Error() string { return "the server answers with a web page" }

// isWebPage reports whether a response is an HTML page, by its header or first bytes.
func isWebPage(header http.Header, body []byte) bool {
	if strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/html") {
		return true
	}
	start := strings.ToLower(strings.TrimSpace(string(body[:min(len(body), 64)])))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}

// fromWebServer reports whether err is due to a response meant for a browser.
func fromWebServer(err error) bool {
	if _, ok := errors.AsType[webPageError](err); ok {
		return true
	}
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && answer.Response != nil && isWebPage(answer.Response.Header, nil)
}
