package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

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
