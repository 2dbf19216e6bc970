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

// meter stands inside the SDK's loop of retries: each attempt waits for the
// pace and is counted.
type meter struct {
	pace    *pace.Pace
	counts  *counters
	contact *contact
}

func newMeter(o Options, counts *counters, first *contact) *meter {
	return &meter{pace.New(o.Workers*fetchesAWorker, o.Rate), counts, first}
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
	done, err := m.pace.Take(ctx)
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

// contact is what is known of the server before anything is known of the bucket.
type contact struct {
	met atomic.Bool // it has answered something

	say  func(line string) // nil: nobody listens
	mu   sync.Mutex
	next time.Time // no line is said before
}

const (
	// firstContact is how long the first connection may take to be made. A server
	// that has never answered is more likely named wrongly than down.
	firstContact = 5 * time.Second
	// sayEvery is the least time between two lines about a server in trouble: many
	// requests meet it at once.
	sayEvery = 5 * time.Second
)

// dial bounds the time of a connection until the server has answered once.
func (c *contact) dial(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string) (net.Conn, error) {
	if !c.met.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, firstContact)
		defer cancel()
	}
	return dial(ctx, network, address)
}

// heard notes what came of an attempt.
func (c *contact) heard(err error) {
	if err == nil || status(err) > 0 {
		c.met.Store(true)
	}
}

// hopeless reports whether no later attempt will fare better than err.
func (c *contact) hopeless(err error) bool {
	return !c.met.Load() && unconnected(err)
}

// waits says that a request which failed is tried again after a time.
func (c *contact) waits(attempt, attempts int, delay time.Duration, err error) {
	if c.say == nil || attempt < 2 && delay < time.Second { // a single hiccup
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

// trouble says in few words what is wrong with an answer, or with its absence.
func trouble(err error) string {
	if words := statusWords(err); words != "" {
		return words
	}
	return root(err).Error()
}

// unconnected reports whether not even a connection came about.
func unconnected(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// webPageError is an answer meant for a browser.
type webPageError struct{}

func (webPageError) Error() string { return "the server answers with a web page" }

// isWebPage reports whether an answer is a page of HTML, by its header or its first bytes.
func isWebPage(header http.Header, body []byte) bool {
	if strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/html") {
		return true
	}
	start := strings.ToLower(strings.TrimSpace(string(body[:min(len(body), 64)])))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}

// fromWebServer reports whether err is an answer meant for a browser.
func fromWebServer(err error) bool {
	if _, ok := errors.AsType[webPageError](err); ok {
		return true
	}
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && answer.Response != nil && isWebPage(answer.Response.Header, nil)
}
