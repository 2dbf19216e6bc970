package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regfsck/backend"
)

// takeAll takes as many places as are free, and returns what gives them back.
func takeAll(t *testing.T, p *pace) (done []func(bool)) {
	t.Helper()
	for p.flying < int(p.limit) {
		d, err := p.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	return done
}

// TestPaceHalves: once for all that fly together, down to one, and up again as
// long as all goes well.
func TestPaceHalves(t *testing.T) {
	p := newPace(16, 0)
	for _, want := range []float64{8, 4, 2, 1, 1} {
		for _, done := range takeAll(t, p) {
			done(true)
		}
		if p.limit != want {
			t.Fatalf("%v may fly, want %v", p.limit, want)
		}
	}
	for range 200 {
		for _, done := range takeAll(t, p) {
			done(false)
		}
	}
	if p.limit != 16 || p.flying != 0 {
		t.Errorf("%v may fly, and %d do", p.limit, p.flying)
	}
}

// TestPaceCancelled: who gives up takes no place along.
func TestPaceCancelled(t *testing.T) {
	p := newPace(2, 0)
	held := takeAll(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := p.take(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	cancel()
	group.Wait()
	for _, done := range held {
		done(false)
	}
	if p.flying != 0 || len(p.waiting) != 0 {
		t.Errorf("%d fly and %d wait", p.flying, len(p.waiting))
	}
}

// TestPaceBounds: never do more fly than may.
func TestPaceBounds(t *testing.T) {
	p := newPace(5, 0)
	var flying, highest atomic.Int64
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			for j := range 50 {
				done, err := p.take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := flying.Add(1); n > highest.Load() {
					highest.Store(n)
				}
				flying.Add(-1)
				done((i+j)%40 == 0)
			}
		})
	}
	group.Wait()
	if highest.Load() > 5 || p.flying != 0 || len(p.waiting) != 0 || p.limit < 1 {
		t.Errorf("%d flew at a time, %d fly, %d wait, %v may", highest.Load(), p.flying, len(p.waiting), p.limit)
	}
}

// TestPaceRate: attempts begin an interval apart from one another.
func TestPaceRate(t *testing.T) {
	p := newPace(100, 10_000)
	before := time.Now()
	for range 50 {
		done, err := p.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done(false)
	}
	if p.next.Before(before.Add(50 * time.Second / 10_000)) {
		t.Errorf("the next may begin %v after the first of 50", p.next.Sub(before))
	}
	p = newPace(1, 1e-6)
	first, err := p.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.take(ctx); !errors.Is(err, context.Canceled) || p.flying != 0 {
		t.Errorf("%v, %d fly", err, p.flying)
	}
}

// nobody returns the address of a port at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// TestNobodyThere: a server that was never heard of is asked once.
func TestNobodyThere(t *testing.T) {
	for _, endpoint := range []string{nobody(t), "http://no..such..host"} {
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

// TestServerGone: a server that has answered before is asked again, as often as
// the options say, and it is said what is waited for.
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

// TestWebPages: a console's port is told from S3's by its first answer.
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

// TestDeniedNamesThePayer: it may be that.
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
