package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"regfsck/cmd/regfsck/target"
)

func TestAnswers(t *testing.T) {
	asked := 0
	handler := func(status int, header string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.Method != http.MethodGet || r.URL.Path != "/hub/v2/" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if header != "" {
				w.Header().Set("Docker-Distribution-Api-Version", header)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
	}
	for _, c := range []struct {
		status int
		header string
		want   bool
	}{
		{200, "", true}, {401, "", true}, {400, "", true}, {429, "", true}, {500, "", true}, {503, "", true}, {503, "registry/2.0", true},
		{404, "registry/2.0", true}, {404, "", false}, {403, "", false}, {307, "", false},
	} {
		for _, secure := range []bool{false, true} {
			s := httptest.NewUnstartedServer(handler(c.status, c.header))
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			at := target.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/hub/", TLS: secure}
			if got := answers(context.Background(), at); got != c.want {
				t.Errorf("%+v, TLS %v: %v", c, secure, got)
			}
			s.Close()
			if answers(context.Background(), at) {
				t.Errorf("%+v: it answers though it has ended", c)
			}
		}
	}
	if asked != 22 {
		t.Errorf("asked %d times", asked)
	}
}

// A registry that wants to see a certificate is at work.
func TestOneThatAsksForACertificateAnswers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	if !answers(context.Background(), target.Server{Network: "tcp", Address: s.Listener.Addr().String(), Prefix: "/", TLS: true}) {
		t.Error("it isn't seen")
	}
}

func TestASocketAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go s.Serve(l)
	defer s.Close()
	if !answers(context.Background(), target.Server{Network: "unix", Address: path, Prefix: "/"}) {
		t.Error("it isn't seen")
	}
}

// What takes a connection and isn't seen to be another service may be a registry
// that hangs; what hangs up is a proxy without one.
func TestOneThatSaysNothingMayBeARegistry(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		tls   bool
		want  bool
	}{
		"silent":           {func(net.Conn) {}, false, true},
		"silent, with TLS": {func(net.Conn) {}, true, true},
		"another language": {func(c net.Conn) { io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x0a") }, false, true},
		"no TLS":           {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, true, true},
		"hangs up":         {func(c net.Conn) { c.Close() }, false, false},
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
			at := target.Server{Network: "tcp", Address: l.Addr().String(), Prefix: "/", TLS: c.tls}
			if got := answers(context.Background(), at); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
