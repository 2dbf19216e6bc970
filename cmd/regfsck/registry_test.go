package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
