package s3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
)

// unusedAddress returns an address without a server.
func unusedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// TestNobodyThere: a server that has never responded gets one attempt.
func TestNobodyThere(t *testing.T) {
	for _, endpoint := range []string{unusedAddress(t), "http://no..such..host"} {
		said := 0
		_, err := Open(t.Context(), Options{
			Bucket: "bucket", Endpoint: endpoint, AccessKey: "access", SecretKey: "hushhush", Backoff: time.Millisecond,
			Say: func(string) { said++ },
		})
		if !errors.Is(err, backend.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "no connection to "+endpoint) ||
			strings.Contains(fmt.Sprint(err), "attempts") || said > 0 {
			t.Errorf("%v, %d lines", err, said)
		}
	}
}

// TestServerGone: requests to a server that has responded before are retried as often as the
// options say, with a line about the reason.
func TestServerGone(t *testing.T) {
	s := newServer([]string{"key"}, func(string) string { return "body" })
	srv := httptest.NewServer(s)
	defer srv.Close()
	var mu sync.Mutex
	var lines []string
	r, err := Open(t.Context(), Options{
		Bucket: "bucket", Endpoint: srv.URL, AccessKey: "access", SecretKey: "hushhush", Attempts: 4, Backoff: time.Millisecond,
		Say: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	srv.Close()
	if _, err := r.Open(t.Context(), "key"); !errors.Is(err, backend.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "after 4 attempts") {
		t.Error(err)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "refused") || !strings.Contains(lines[0], "trying again in 1s, attempt 3 of 4") {
		t.Errorf("%q", lines)
	}
}

// TestWebPages: a response from a console's port is recognised.
func TestWebPages(t *testing.T) {
	for _, status := range []int{200, 404, 403} {
		for _, kind := range []string{"text/html; charset=utf-8", ""} {
			s := plenty()
			s.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header()["Content-Type"] = []string{kind}
				w.WriteHeader(status)
				fmt.Fprint(w, "\n<!DOCTYPE html><title>Console</title>")
				return true
			}
			endpoint := s.start(t)
			_, err := Open(t.Context(), Options{Bucket: "bucket", Endpoint: endpoint, AccessKey: "access", SecretKey: "hushhush"})
			said := strings.Contains(fmt.Sprint(err), endpoint+" answers ") && strings.Contains(fmt.Sprint(err), "with a web page") || kind == "" && status != 200
			if !said || errors.Is(err, backend.ErrUnavailable) || s.lists != 1 {
				t.Errorf("%d %q: %v, asked %d times", status, kind, err, s.lists)
			}
		}
	}
}

// TestDeniedNamesThePayer: the error mentions requester-pays.
func TestDeniedNamesThePayer(t *testing.T) {
	for _, pays := range []bool{false, true} {
		s := plenty()
		s.before = refusing(all, 403, "AccessDenied")
		_, err := Open(t.Context(), Options{Bucket: "bucket", Endpoint: s.start(t), AccessKey: "access", SecretKey: "hushhush", RequesterPays: pays})
		if strings.Contains(fmt.Sprint(err), "--s3-requester-pays") == pays || !strings.Contains(fmt.Sprint(err), "s3:ListBucket") {
			t.Errorf("%t: %v", pays, err)
		}
	}
}
