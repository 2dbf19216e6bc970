// Package registry asks a registry that may be at work whether it takes pushes.
//
// It asks the registry itself: its configuration may have been edited since it started, or
// a variable may say otherwise. Nothing is sent but questions.
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

// patience is how long a registry may take to answer.
const patience = 2 * time.Second

// State is what is known of a registry at an address.
type State int

// The states of a registry. Of several registries, the last state here counts.
const (
	Absent      State = iota // none is there
	ReadOnly                 // it takes no pushes
	Unclear                  // it may be either
	LoginWanted              // it tells nobody who hasn't logged in
	Writable                 // it takes pushes
)

// questions is how often in a row a registry must say that it is read-only, each time over
// a connection of its own: several may answer at one address in turn.
const questions = 10

// String is what is said of a registry in that state, behind its address: "is read-only".
func (s State) String() string {
	switch s {
	case Absent:
		return "doesn't answer"
	case ReadOnly:
		return "is read-only"
	case Writable:
		return "takes pushes"
	case LoginWanted:
		return "wants a login, and says to nobody else whether it is read-only"
	}
	return "doesn't say which methods it allows"
}

// Ask finds out whether a registry is at work at an address, and whether it takes pushes.
// What takes a connection is a registry, unless it says by its answer that it is some other
// service, or hangs up at once as a proxy does behind which nothing runs. A silent one
// counts too, since a registry that waits for its disk is silent; --registry-running-ok
// overrules it.
//
// A name may stand for several registries: each of its addresses is asked. How many
// registries a load balancer has behind one address is not known; it is asked so often that
// each of them is likely to answer once.
func Ask(ctx context.Context, s location.Server) State {
	return askAll(ctx, s, addresses(ctx, s))
}

// askAll asks at all of the given addresses.
func askAll(ctx context.Context, s location.Server, addresses []string) (is State) {
	for _, address := range addresses {
		if is = max(is, askAt(ctx, s, address)); is == Writable {
			break
		}
	}
	return is
}

// addresses returns all addresses, each with its port, that the name of a server stands for;
// the name itself where that can't be found out.
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
	// A registry tells by Allow which methods it has for a manifest, whether there is
	// one or not; in maintenance none that writes. With a login it tells nobody.
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
	if root.Header.Get("Docker-Distribution-Api-Version") == "" { // it may be anything that answers
		return Unclear
	}
	return ReadOnly
}

// allowed reads from the methods that a manifest has whether a registry takes pushes.
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

// request asks at an address for a path below the API's root, over a connection of its own.
// taken reports whether that was made. The answer's body is closed.
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
			// No name is certified for the way from the machine to itself, and
			// nothing secret is sent.
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

// hungUp reports whether a connection was closed without an answer.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// otherService reports whether an answer to a question for the API's root can't be a
// registry's. A registry says 200 or 401, in trouble 429 or 5xx, and without its
// header where a check of its health fails; and 400 where it expects TLS. With 404 a
// proxy may hide it, or it may have another prefix than its configuration says.
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

// askEvery is the time between two questions of a Wait.
const askEvery = time.Second

// Wait waits for a registry to become read-only.
type Wait struct {
	Ask   func(context.Context, location.Server) State // as the function Ask
	Now   func() time.Time
	Sleep func(ctx context.Context, until time.Time) error
	Say   func(sentence string) // is told the state each time that it changes
}

// UntilReadOnly asks until the registry is read-only, wants a login, or the time is over,
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

// Obstacle says which registry is at work on a store and may change it, as a clause; "" if
// none is. ask is the function Ask, or what stands in for it.
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
		return at + " and takes pushes: its configuration says read-only, but it was started without that"
	case is == Writable:
		return at + " and takes pushes"
	}
	return at + ", and it can't be told whether it is read-only: it didn't say which methods it allows (with a login it says so to nobody)"
}
