// Package registry asks a registry that may be running whether it accepts pushes.
//
// It asks the registry and doesn't rely on its configuration, which may have been edited
// since the start. It only sends requests that read.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"regfsck/cmd/regfsck/location"
)

// patience is the timeout of one request.
const patience = 2 * time.Second

// State is the state of a registry at an address.
type State int

// The states of a registry. For several registries, the largest state counts.
const (
	Absent      State = iota // there is none
	ReadOnly                 // it accepts no pushes
	Unclear                  // it may accept pushes
	LoginWanted              // it requires a login
	Writable                 // it accepts pushes
)

// questions is how many times in a row a registry must answer that it is read-only, each time
// on a new connection: several registries may share one address.
const questions = 10

// String describes a registry in that state, to follow its address: "is read-only".
func (s State) String() string {
	return [...]string{
		Absent: "doesn't answer", ReadOnly: "is read-only", Unclear: "doesn't report which methods it allows",
		LoginWanted: "requires a login, so it is unknown whether it is read-only", Writable: "takes pushes",
	}[s]
}

// Ask determines whether a registry runs at an address and whether it accepts pushes.
// Whatever accepts a connection counts as a registry, unless its answer shows another
// service, or it closes the connection at once, as a proxy without a backend does. A silent
// one counts too: it may wait for its disk. --registry-running-ok overrides the result.
//
// If the name has several addresses, each is asked. The number of registries behind a load
// balancer is unknown; many requests make it likely that each one answers.
func Ask(ctx context.Context, s location.Server) State {
	return askAll(ctx, s, addresses(ctx, s))
}

// askAll asks at all addresses.
func askAll(ctx context.Context, s location.Server, addresses []string) (is State) {
	for _, address := range addresses {
		if is = max(is, askAt(ctx, s, address)); is == Writable {
			break
		}
	}
	return is
}

// addresses returns all addresses of a server's name, each with its port; the name itself if
// it can't be resolved.
func addresses(ctx context.Context, s location.Server) (all []string) {
	host, port, err := net.SplitHostPort(s.Address)
	if s.Network != "tcp" || err != nil {
		return []string{s.Address}
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(limited, host)
	if err != nil {
		return []string{s.Address}
	}
	for _, ip := range found {
		if address := net.JoinHostPort(ip, port); !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// askAt asks at one address.
func askAt(ctx context.Context, s location.Server, address string) State {
	root, taken, err := request(ctx, s, address, http.MethodGet, "")
	if err != nil {
		if taken && ctx.Err() == nil && !hungUp(err) {
			return Unclear
		}
		return Absent
	}
	if otherService(root) {
		return Absent
	}
	// The header Allow lists the methods of a manifest, whether it exists or not: in
	// maintenance, none that writes. A registry with a login doesn't answer.
	for range questions {
		manifest, _, err := request(ctx, s, address, http.MethodOptions, "any/manifests/latest")
		switch {
		case err == nil && manifest.StatusCode == http.StatusUnauthorized:
			return LoginWanted
		case err != nil || manifest.StatusCode != http.StatusOK:
			return Unclear
		}
		if is := allowed(manifest.Header); is != ReadOnly {
			return is
		}
	}
	if root.Header.Get("Docker-Distribution-Api-Version") == "" { // it may be any service
		return Unclear
	}
	return ReadOnly
}

// allowed returns the state that the methods of a manifest show.
func allowed(h http.Header) State {
	is := Unclear
	for method := range strings.SplitSeq(strings.Join(h.Values("Allow"), ","), ",") {
		switch strings.TrimSpace(method) {
		case http.MethodPut, http.MethodDelete:
			return Writable
		case http.MethodGet:
			is = ReadOnly
		}
	}
	return is
}

// request sends a request for a path below the API's root on a new connection. taken reports
// whether the connection was accepted. The body of the answer is closed.
func request(ctx context.Context, s location.Server, address, method, path string) (answer *http.Response, taken bool, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	question, err := http.NewRequestWithContext(limited, method, s.URL()+path, nil)
	if err != nil {
		return nil, false, err
	}
	var dialled atomic.Bool
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Certificates don't cover addresses of the machine itself, and nothing secret is
			// sent.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, s.Network, address)
				dialled.Store(err == nil)
				return c, err
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if answer, err = client.Do(question); err == nil {
		answer.Body.Close()
	}
	return answer, dialled.Load(), err
}

// hungUp reports whether the connection was closed without an answer.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// otherService reports whether an answer for the API's root can't be a registry's. A registry
// answers 200 or 401; with errors 429 or 5xx, without its header if a health check fails; and
// 400 if it expects TLS. With 404, a proxy may hide it, or its prefix may be another one.
func otherService(r *http.Response) bool {
	if r.Header.Get("Docker-Distribution-Api-Version") != "" {
		return false
	}
	switch r.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusBadRequest, http.StatusTooManyRequests, http.StatusNotFound:
		return false
	}
	return r.StatusCode < http.StatusInternalServerError
}

// askEvery is the pause between two requests of a Wait.
const askEvery = time.Second

// Wait waits until a registry is read-only.
type Wait struct {
	Ask   func(context.Context, location.Server) State // the function Ask, or a test's
	Now   func() time.Time
	Sleep func(ctx context.Context, until time.Time) error
	Say   func(sentence string) // called with each new state
}

// UntilReadOnly asks until the registry is read-only or requires a login, or until the time,
// and returns the last state. The error is the context's.
func (w Wait) UntilReadOnly(ctx context.Context, server location.Server, until time.Time) (State, error) {
	for last := State(-1); ; {
		is := w.Ask(ctx, server)
		if ctx.Err() != nil {
			return is, ctx.Err()
		}
		next := w.Now().Add(askEvery)
		if is == ReadOnly || is == LoginWanted || next.After(until) {
			return is, nil
		}
		if is != last {
			w.Say("waiting: " + server.String() + " " + is.String())
		}
		last = is
		if err := w.Sleep(ctx, next); err != nil {
			return is, err
		}
	}
}

// Obstacle describes the registry that is running on a store and may change it, as a clause;
// "" for none. ask is the function Ask, or a test's.
func Obstacle(ctx context.Context, t location.Location, ask func(context.Context, location.Server) State) string {
	if t.Server.Address == "" {
		return ""
	}
	at := "a registry answers at " + t.Server.String()
	switch is := ask(ctx, t.Server); {
	case is == Absent:
		return ""
	case is == ReadOnly && t.Cache:
		return at + ", and as a pull-through cache it writes what is pulled, read-only or not"
	case is == ReadOnly:
		return ""
	case is == Writable && t.Server.ReadOnly:
		return at + " and takes pushes: its configuration is read-only, but it was started without that"
	case is == Writable:
		return at + " and takes pushes"
	}
	return at + ", and it is unknown whether it is read-only: it didn't report which methods it allows (one that requires a login never does)"
}
