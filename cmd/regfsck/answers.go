package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"regfsck/cmd/regfsck/target"
)

// patience is how long a registry may take to answer.
const patience = 2 * time.Second

// answers tells whether a registry is at work at an address, or may be: what
// takes a connection there is one, unless it says by its answer that it is some
// other service, or hangs up at once as a proxy does behind which nothing runs.
// Even one that is silent counts, since a registry that waits for its disk is, and
// --registry-running-ok leads past it. It only asks for the API's root, and sends
// nothing.
func answers(ctx context.Context, s target.Server) bool {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, s.URL(), nil)
	if err != nil {
		return false
	}
	var taken atomic.Bool
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// No name is certified for the way from the machine to itself, and
			// nothing secret is sent.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, s.Network, s.Address)
				taken.Store(err == nil)
				return c, err
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return taken.Load() && ctx.Err() == nil && !hungUp(err)
	}
	response.Body.Close()
	return !another(response)
}

// hungUp tells that a connection was closed without a word.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// another tells whether an answer to a question for the API's root can't be a
// registry's. A registry says 200 or 401, in trouble 429 or 5xx, and without its
// header where a check of its health fails; and 400 where it expects TLS.
func another(r *http.Response) bool {
	if r.Header.Get("Docker-Distribution-Api-Version") != "" {
		return false
	}
	switch r.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusBadRequest, http.StatusTooManyRequests:
		return false
	}
	return r.StatusCode < http.StatusInternalServerError
}
