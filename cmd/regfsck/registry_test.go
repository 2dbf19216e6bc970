package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"regfsck/cmd/regfsck/location"
)

// registry answers like one with these methods for a manifest, "" for none told.
func registry(t *testing.T, status int, header, allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /hub/v2/":
			if header != "" {
				w.Header().Set("Docker-Distribution-Api-Version", header)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		case "OPTIONS /hub/v2/any/manifests/latest":
			if allow != "" {
				w.Header().Set("Allow", allow)
			} else {
				w.WriteHeader(status)
			}
		default:
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
	})
}

// A registry's word counts, and where it says nothing it may take pushes.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status        int
		header, allow string
		want          presence
	}{
		{200, "registry/2.0", "DELETE, GET, HEAD, PUT", writable},
		{200, "registry/2.0", "GET,HEAD,PUT", writable},
		{200, "registry/2.0", "GET, HEAD", readOnly},
		{200, "", "GET, HEAD", unclear},
		{200, "registry/2.0", "", unclear}, // a proxy before it has answered
		{200, "registry/2.0", "OPTIONS", unclear},
		{401, "registry/2.0", "", loginWanted},
		{400, "", "", unclear}, {429, "", "", unclear}, {500, "", "", unclear}, {503, "", "", unclear}, {503, "registry/2.0", "", unclear},
		{404, "registry/2.0", "", unclear},
		{404, "", "", unclear}, // a proxy may hide it, or it may have another prefix
		{403, "", "", away}, {307, "", "", away},
	} {
		for _, secure := range []bool{false, true} {
			s := httptest.NewUnstartedServer(registry(t, c.status, c.header, c.allow))
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			at := location.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/hub/", TLS: secure}
			if got := answers(context.Background(), at); got != c.want {
				t.Errorf("%+v, TLS %v: %v", c, secure, got)
			}
			s.Close()
			if got := answers(context.Background(), at); got != away {
				t.Errorf("%+v: it answers though it has ended: %v", c, got)
			}
		}
	}
}

// inTurn serves one handler for each of several registries that stand at one address.
// Each connection goes to the next of them.
func inTurn(t *testing.T, address string, all ...http.Handler) string {
	t.Helper()
	front, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Int32
	type chosen struct{}
	s := &http.Server{
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, chosen{}, all[int(next.Add(1)-1)%len(all)])
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Context().Value(chosen{}).(http.Handler).ServeHTTP(w, r)
		}),
	}
	go s.Serve(front)
	t.Cleanup(func() { s.Close() })
	return front.Addr().String()
}

// TestReplicasBehindOneAddress: one registry that takes pushes among those that answer in
// turn is found, whichever of them is asked first, and however many there are.
func TestReplicasBehindOneAddress(t *testing.T) {
	closed, open := registry(t, 200, "registry/2.0", "GET, HEAD"), registry(t, 200, "registry/2.0", "GET, HEAD, PUT")
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) })
	for n := 2; n <= 10; n++ {
		for at := range n {
			for want, other := range map[presence]http.Handler{writable: open, readOnly: closed, unclear: down} {
				all := slices.Repeat([]http.Handler{closed}, n)
				all[at] = other
				server := location.Server{Network: "tcp", Address: inTurn(t, "127.0.0.1:0", all...), Prefix: "/hub/"}
				if is := answers(context.Background(), server); is != want {
					t.Errorf("the %d. of %d: %v, not %v", at+1, n, is, want)
				}
			}
		}
	}
}

// TestReplicasOfOneName: of all addresses of a name the one that takes pushes counts, and
// one where nobody answers counts for nothing.
func TestReplicasOfOneName(t *testing.T) {
	closed, open := registry(t, 200, "registry/2.0", "GET, HEAD"), registry(t, 200, "registry/2.0", "GET, HEAD, PUT")
	at := map[presence]string{
		readOnly: inTurn(t, "127.0.0.1:0", closed), writable: inTurn(t, "127.0.0.1:0", open),
		loginWanted: inTurn(t, "127.0.0.1:0", registry(t, 401, "registry/2.0", "")), away: "127.0.0.1:1",
	}
	for _, c := range []struct {
		all  []presence
		want presence
	}{
		{[]presence{readOnly, readOnly}, readOnly}, {[]presence{away, readOnly}, readOnly}, {[]presence{readOnly, away}, readOnly},
		{[]presence{readOnly, writable}, writable}, {[]presence{writable, readOnly}, writable}, {[]presence{loginWanted, writable}, writable},
		{[]presence{readOnly, loginWanted}, loginWanted}, {[]presence{away, away}, away}, {nil, away},
	} {
		var addresses []string
		for _, is := range c.all {
			addresses = append(addresses, at[is])
		}
		if is := answersOf(context.Background(), location.Server{Network: "tcp", Address: "registry:5000", Prefix: "/hub/"}, addresses); is != c.want {
			t.Errorf("%v: %v, not %v", c.all, is, c.want)
		}
	}
	for name, want := range map[string]string{"localhost:5000": "127.0.0.1:5000", "[::1]:5000": "[::1]:5000", "no.such.name.invalid:1": "no.such.name.invalid:1"} {
		if found := addresses(context.Background(), location.Server{Network: "tcp", Address: name}); !slices.Contains(found, want) {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// A registry that wants to see a certificate is at work.
func TestOneThatAsksForACertificateAnswers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	if is := answers(context.Background(), location.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/", TLS: true}); is != unclear {
		t.Errorf("it is seen as %v", is)
	}
}

func TestASocketAnswers(t *testing.T) {
	t.Chdir(t.TempDir()) // an address of a socket has at most 107 bytes
	path := "s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go s.Serve(l)
	defer s.Close()
	if is := answers(context.Background(), location.Server{Network: "unix", Address: path, Prefix: "/"}); is != unclear {
		t.Errorf("it is seen as %v", is)
	}
}

// What takes a connection and isn't seen to be another service may be a registry
// that hangs; what hangs up is a proxy without one.
func TestOneThatSaysNothingMayBeARegistry(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		tls   bool
		want  presence
	}{
		"silent":           {func(net.Conn) {}, false, unclear},
		"silent, with TLS": {func(net.Conn) {}, true, unclear},
		"another language": {func(c net.Conn) { io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x0a") }, false, unclear},
		"no TLS":           {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, true, unclear},
		"hangs up":         {func(c net.Conn) { c.Close() }, false, away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "localhost:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					conn.Read(make([]byte, 1<<10)) // the question
					c.serve(conn)
				}
			}()
			at := location.Server{Network: "tcp", Address: l.Addr().String(), Prefix: "/", TLS: c.tls}
			if got := answers(context.Background(), at); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
