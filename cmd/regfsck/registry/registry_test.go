package registry

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

// served answers like a registry with these methods for a manifest, "" for none.
func served(t *testing.T, status int, header, allow string) http.Handler {
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

// TestAnswers: a registry that doesn't show its methods may accept pushes.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status        int
		header, allow string
		want          State
	}{
		{200, "registry/2.0", "DELETE, GET, HEAD, PUT", Writable},
		{200, "registry/2.0", "GET,HEAD,PUT", Writable},
		{200, "registry/2.0", "GET, HEAD", ReadOnly},
		{200, "", "GET, HEAD", Unclear},
		{200, "registry/2.0", "", Unclear}, // a proxy without a backend yet
		{200, "registry/2.0", "OPTIONS", Unclear},
		{401, "registry/2.0", "", LoginWanted},
		{400, "", "", Unclear}, {429, "", "", Unclear}, {500, "", "", Unclear}, {503, "", "", Unclear}, {503, "registry/2.0", "", Unclear},
		{404, "registry/2.0", "", Unclear},
		{404, "", "", Unclear}, // a proxy may hide it, or its prefix is another one
		{403, "", "", Absent}, {307, "", "", Absent},
	} {
		for _, secure := range []bool{false, true} {
			s := httptest.NewUnstartedServer(served(t, c.status, c.header, c.allow))
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			at := location.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/hub/", TLS: secure}
			if got := Ask(context.Background(), at); got != c.want {
				t.Errorf("%+v, TLS %v: %v", c, secure, got)
			}
			s.Close()
			if got := Ask(context.Background(), at); got != Absent {
				t.Errorf("%+v: it answers though it has ended: %v", c, got)
			}
		}
	}
}

// inTurn serves several registries at one address: each connection goes to the next one.
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

// TestReplicasBehindOneAddress: one registry that accepts pushes is found among several at
// one address.
func TestReplicasBehindOneAddress(t *testing.T) {
	closed, open := served(t, 200, "registry/2.0", "GET, HEAD"), served(t, 200, "registry/2.0", "GET, HEAD, PUT")
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) })
	for n := 2; n <= 10; n++ {
		for at := range n {
			for want, other := range map[State]http.Handler{Writable: open, ReadOnly: closed, Unclear: down} {
				all := slices.Repeat([]http.Handler{closed}, n)
				all[at] = other
				server := location.Server{Network: "tcp", Address: inTurn(t, "127.0.0.1:0", all...), Prefix: "/hub/"}
				if is := Ask(context.Background(), server); is != want {
					t.Errorf("the %d. of %d: %v, not %v", at+1, n, is, want)
				}
			}
		}
	}
}

// TestReplicasOfOneName: of all addresses of a name one that accepts pushes counts, and one
// without an answer doesn't.
func TestReplicasOfOneName(t *testing.T) {
	closed, open := served(t, 200, "registry/2.0", "GET, HEAD"), served(t, 200, "registry/2.0", "GET, HEAD, PUT")
	at := map[State]string{
		ReadOnly: inTurn(t, "127.0.0.1:0", closed), Writable: inTurn(t, "127.0.0.1:0", open),
		LoginWanted: inTurn(t, "127.0.0.1:0", served(t, 401, "registry/2.0", "")), Absent: "127.0.0.1:1",
	}
	for _, c := range []struct {
		all  []State
		want State
	}{
		{[]State{ReadOnly, ReadOnly}, ReadOnly}, {[]State{Absent, ReadOnly}, ReadOnly}, {[]State{ReadOnly, Absent}, ReadOnly},
		{[]State{ReadOnly, Writable}, Writable}, {[]State{Writable, ReadOnly}, Writable}, {[]State{LoginWanted, Writable}, Writable},
		{[]State{ReadOnly, LoginWanted}, LoginWanted}, {[]State{Absent, Absent}, Absent}, {nil, Absent},
	} {
		var addresses []string
		for _, is := range c.all {
			addresses = append(addresses, at[is])
		}
		if is := askAll(context.Background(), location.Server{Network: "tcp", Address: "registry:5000", Prefix: "/hub/"}, addresses); is != c.want {
			t.Errorf("%v: %v, not %v", c.all, is, c.want)
		}
	}
	for name, want := range map[string]string{"localhost:5000": "127.0.0.1:5000", "[::1]:5000": "[::1]:5000", "no.such.name.invalid:1": "no.such.name.invalid:1"} {
		if found := addresses(context.Background(), location.Server{Network: "tcp", Address: name}); !slices.Contains(found, want) {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// TestClientCertificates: a registry that requires a client certificate is running.
func TestClientCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	if is := Ask(context.Background(), location.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/", TLS: true}); is != Unclear {
		t.Errorf("it is seen as %v", is)
	}
}

func TestSockets(t *testing.T) {
	t.Chdir(t.TempDir()) // a socket's path has at most 107 bytes
	path := "s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go s.Serve(l)
	defer s.Close()
	if is := Ask(context.Background(), location.Server{Network: "unix", Address: path, Prefix: "/"}); is != Unclear {
		t.Errorf("it is seen as %v", is)
	}
}

// TestSilentServers: a server that accepts connections without an answer may be a registry;
// one that closes them is a proxy.
func TestSilentServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		tls   bool
		want  State
	}{
		"silent":           {func(net.Conn) {}, false, Unclear},
		"silent, with TLS": {func(net.Conn) {}, true, Unclear},
		"another language": {func(c net.Conn) { io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x0a") }, false, Unclear},
		"no TLS":           {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, true, Unclear},
		"hangs up":         {func(c net.Conn) { c.Close() }, false, Absent},
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
					conn.Read(make([]byte, 1<<10)) // reads the request
					c.serve(conn)
				}
			}()
			at := location.Server{Network: "tcp", Address: l.Addr().String(), Prefix: "/", TLS: c.tls}
			if got := Ask(context.Background(), at); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
