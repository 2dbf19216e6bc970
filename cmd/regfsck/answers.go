package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"regfsck/cmd/regfsck/target"
)

// patience is how long a registry may take to answer.
const patience = 2 * time.Second

// presence is what is known of a registry at an address.
type presence int

// What a registry at work says of itself.
const (
	away     presence = iota // none is there
	readOnly                 // it takes no pushes
	writable
	unclear // it may be either
)

// answers finds out whether a registry is at work at an address, and whether it
// takes pushes. It asks the registry itself: its configuration may have been edited
// since it started, or a variable may say otherwise. What takes a connection is a
// registry, unless it says by its answer that it is some other service, or hangs up
// at once as a proxy does behind which nothing runs. Even one that is silent counts,
// since a registry that waits for its disk is, and --registry-running-ok leads past
// it. Nothing is sent but questions.
func answers(ctx context.Context, s target.Server) presence {
	root, taken, err := ask(ctx, s, http.MethodGet, "")
	if err != nil {
		if taken && ctx.Err() == nil && !hungUp(err) {
			return unclear
		}
		return away
	}
	if another(root) {
		return away
	}
	// A registry tells by Allow which methods it has for a manifest, whether there is
	// one or not; in maintenance none that writes. With a login it tells nobody.
	manifest, _, err := ask(ctx, s, http.MethodOptions, "any/manifests/latest")
	if err != nil || manifest.StatusCode != http.StatusOK {
		return unclear
	}
	return allowed(manifest.Header)
}

// allowed reads from the methods that a manifest has whether a registry takes pushes.
func allowed(h http.Header) presence {
	is := unclear
	for method := range strings.SplitSeq(strings.Join(h.Values("Allow"), ","), ",") {
		switch strings.TrimSpace(method) {
		case http.MethodPut, http.MethodDelete:
			return writable
		case http.MethodGet:
			is = readOnly
		}
	}
	return is
}

// ask asks for a path below the API's root. taken reports whether the connection
// was. The answer's body is closed.
func ask(ctx context.Context, s target.Server, method, path string) (answer *http.Response, taken bool, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, method, s.URL()+path, nil)
	if err != nil {
		return nil, false, err
	}
	var dialled atomic.Bool
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// No name is certified for the way from the machine to itself, and
			// nothing secret is sent.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, s.Network, s.Address)
				dialled.Store(err == nil)
				return c, err
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if answer, err = client.Do(request); err == nil {
		answer.Body.Close()
	}
	return answer, dialled.Load(), err
}

// answering says which registry is at work on the store and may change it, as a
// clause; "" if none is.
func (s *session) answering(ctx context.Context, t target.Target) string {
	if t.Server.Address == "" {
		return ""
	}
	at := "a registry answers at " + t.Server.String()
	switch is := s.answers(ctx, t.Server); {
	case is == away:
		return ""
	case is == readOnly && t.Cache:
		return at + ", and as a pull-through cache it writes what is pulled, read-only or not"
	case is == readOnly:
		return ""
	case is == writable && t.Server.ReadOnly:
		return at + " and takes pushes: its configuration says read-only, but it was started without that"
	case is == writable:
		return at + " and takes pushes"
	}
	return at + ", and it can't be told whether it is read-only: it didn't say which methods it allows (with a login it says so to nobody)"
}

// hungUp tells that a connection was closed without a word.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// another reports whether an answer to a question for the API's root can't be a
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
