package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"regfsck/backend"
)

// refusing returns a handler that responds to matching requests with an error.
func refusing(match func(r *http.Request) bool, status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) {
			return false
		}
		fail(w, status, code)
		return true
	}
}

func all(*http.Request) bool { return true }

// TestOpenRefused: each error says what is wrong and what to do, and contains no secret.
func TestOpenRefused(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		header string
		want   []string
	}{
		{404, "NoSuchBucket", "", []string{"no bucket bucket"}},
		{403, "AccessDenied", "", []string{"s3:ListBucket", "bucket bucket"}},
		{403, "InvalidAccessKeyId", "", []string{"refuses the credentials", "InvalidAccessKeyId"}},
		{403, "SignatureDoesNotMatch", "", []string{"refuses the credentials"}},
		{301, "PermanentRedirect", "eu-west-7", []string{"eu-west-7", "--s3-region"}},
		{400, "AuthorizationHeaderMalformed", "", []string{"--s3-region"}},
		{400, "Odd", "", []string{"Odd", "because"}},
		{503, "SlowDown", "", []string{"SlowDown", "after 3 attempts"}},
		{404, "", "", []string{"404"}},
	} {
		s := plenty()
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Amz-Bucket-Region", test.header)
			if test.code == "" {
				http.Error(w, "<html>", test.status)
				return true
			}
			fail(w, test.status, test.code)
			return true
		}
		_, err := Open(t.Context(), Options{
			Bucket: "bucket", Endpoint: s.start(t), AccessKey: "access", SecretKey: "hushhush", Attempts: 3, Backoff: 1,
		})
		for _, want := range append(test.want, "s3://bucket") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d %s: %v, want %q", test.status, test.code, err, want)
			}
		}
		if err != nil && (strings.Contains(err.Error(), "hushhush") || errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%d %s: %v", test.status, test.code, err)
		}
	}
}

// TestNeverAbsent: only NoSuchKey means that a key is missing.
func TestNeverAbsent(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
	}{{403, "AccessDenied"}, {404, "NoSuchBucket"}, {404, "Odd"}, {404, "NotFound"}, {500, "InternalError"}, {503, "SlowDown"}, {400, "InvalidRequest"}, {403, "InvalidObjectState"}} {
		s := plenty()
		r := s.reader(t, Options{Attempts: 2})
		s.before = refusing(all, test.status, test.code)
		_, open := r.Open(t.Context(), "key")
		_, stat := r.Stat(t.Context(), "key")
		for op, err := range map[string]error{"open": open, "stat": stat} {
			if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), op+" key") {
				t.Errorf("%s: %d %s: %v", op, test.status, test.code, err)
			}
			if denied := test.code == "AccessDenied"; errors.Is(err, fs.ErrPermission) != denied || denied && !strings.Contains(err.Error(), "s3:GetObject") {
				t.Errorf("%s: %d %s: %v", op, test.status, test.code, err)
			}
		}
		if err := r.List(t.Context(), "docker", nothing, func(backend.Batch) error { return nil }); test.code != "AccessDenied" && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("list: %d %s: %v", test.status, test.code, err)
		}
	}
}

// TestStatDoubted: a HEAD response without an error code is confirmed by a GET.
func TestStatDoubted(t *testing.T) {
	s := newServer([]string{"key"}, func(string) string { return "body" })
	r := s.reader(t, Options{})
	s.before = refusing(func(r *http.Request) bool { return r.Method == http.MethodHead }, 404, "")
	if item, err := r.Stat(t.Context(), "key"); err != nil || item.Size != 4 {
		t.Errorf("%+v, %v", item, err)
	}
	if _, err := r.Stat(t.Context(), "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestPatience: temporary errors cost attempts and nothing else.
func TestPatience(t *testing.T) {
	l := newLinks(30, 200)
	for i := range 30 {
		l.tag(fmt.Sprint(i), i)
	}
	s := l.server()
	var n atomic.Int64
	s.etag = func(string) string { return "" }
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch n.Add(1) % 7 {
		case 1:
			fail(w, 503, "SlowDown")
		case 2:
			fail(w, 429, "TooManyRequests")
		case 3:
			w.Header().Set("Content-Length", "5000")
			fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>`)
		case 4:
			fail(w, 200, "InternalError")
		default:
			return false
		}
		return r.Method != "" // all of them
	}
	s.before = listsOnly(s.before)
	r := s.reader(t, Options{Attempts: 50, Workers: 4})
	r.pageSize = 10
	if faults := l.list(t, r); len(faults) > 0 {
		t.Error(faults)
	}
	if c := r.Cost(); c.List != int64(s.lists) || c.Get != int64(s.gets) || c.Get != int64(len(l)) {
		t.Errorf("counted %+v, and the server %d lists, %d gets", c, s.lists, s.gets)
	}
}

func listsOnly(do func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.TrimPrefix(r.URL.Path, "/bucket/") == "" && do(w, r)
	}
}

// TestReadResumed: an interrupted body is resumed at the same offset, unless the object has
// changed.
func TestReadResumed(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	for _, changed := range []bool{false, true} {
		s := newServer([]string{"key"}, func(string) string { return text })
		version := 1
		s.etag = func(string) string { return fmt.Sprint(version) }
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/bucket/key" || s.gets > 4 {
				return false
			}
			from := 0
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, version))
			w.Header().Set("Last-Modified", "Fri, 20 Nov 2026 18:55:00 GMT")
			w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
			if from > 0 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
				w.WriteHeader(http.StatusPartialContent)
			}
			fmt.Fprint(w, text[from:from+1000])
			if changed {
				version++
			}
			return true
		}
		r := s.reader(t, Options{})
		f, err := r.Open(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		f.Close()
		if changed != errors.Is(err, errChanged) || !changed && (err != nil || string(got) != text) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("changed %v: %d bytes, %v", changed, len(got), err)
		}
	}
}

// TestReadEnds: a read ends with its context, and if no data is received.
func TestReadEnds(t *testing.T) {
	s := newServer([]string{"key"}, func(string) string { return "" })
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/bucket/key" {
			return false
		}
		w.Header().Set("Content-Length", "10")
		w.Header().Set("Last-Modified", "Fri, 20 Nov 2026 18:55:00 GMT")
		return true
	}
	r := s.reader(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, end := range []bool{false, true} {
		f, err := r.Open(ctx, "key")
		if err != nil {
			t.Fatal(err)
		}
		if end {
			cancel()
		}
		if _, err := io.ReadAll(f); err == nil || errors.Is(err, context.Canceled) != (ctx.Err() != nil) {
			t.Errorf("%v", err)
		}
	}
}

// TestBareAnswers: a response without a length or a time makes nothing empty or old.
func TestBareAnswers(t *testing.T) {
	for _, missing := range []string{"Content-Length", "Last-Modified"} {
		s := newServer([]string{"key"}, func(string) string { return "body" })
		r := s.reader(t, Options{})
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "4")
			w.Header().Set("Last-Modified", "Fri, 20 Nov 2026 18:55:00 GMT")
			w.Header().Del(missing)
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "body")
			return true
		}
		if f, err := r.Open(t.Context(), "key"); !errors.Is(err, errBare) || f != nil {
			t.Errorf("open without %s: %v", missing, err)
		}
		if item, err := r.Stat(t.Context(), "key"); !errors.Is(err, errBare) {
			t.Errorf("stat without %s: %+v, %v", missing, item, err)
		}
	}
}
