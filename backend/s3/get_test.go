package s3

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAPlaceIsTheSDKs: requests without the SDK have the host, path and signature scope of the
// SDK's. If the SDK signs in another way, it sends all requests.
func TestAPlaceIsTheSDKs(t *testing.T) {
	no, yes := false, true
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	for name, c := range map[string]struct {
		o    Options
		want string // "" for none
	}{
		"AWS":          {Options{Bucket: "images", Region: "eu-west-1"}, "https://images.s3.eu-west-1.amazonaws.com/ eu-west-1 s3"},
		"dots":         {Options{Bucket: "my.images", Region: "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com/my.images/ eu-west-1 s3"},
		"path style":   {Options{Bucket: "images", Region: "eu-west-1", PathStyle: &yes}, "https://s3.eu-west-1.amazonaws.com/images/ eu-west-1 s3"},
		"dual stack":   {Options{Bucket: "images", Region: "eu-west-1", DualStack: true}, "https://images.s3.dualstack.eu-west-1.amazonaws.com/ eu-west-1 s3"},
		"FIPS":         {Options{Bucket: "images", Region: "us-east-1", FIPS: true}, "https://images.s3-fips.us-east-1.amazonaws.com/ us-east-1 s3"},
		"accelerated":  {Options{Bucket: "images", Region: "eu-west-1", Accelerate: true}, "https://images.s3-accelerate.amazonaws.com/ eu-west-1 s3"},
		"another":      {Options{Bucket: "images", Endpoint: "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/images/ us-east-1 s3"},
		"its host":     {Options{Bucket: "images", Endpoint: "https://s3.example.org", PathStyle: &no}, "https://images.s3.example.org/ us-east-1 s3"},
		"below a path": {Options{Bucket: "images", Endpoint: "https://example.org/s3"}, "https://example.org/s3/images/ us-east-1 s3"},
		"access point": {Options{Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", Region: "eu-west-1"},
			"https://mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/ eu-west-1 s3"},
		"many regions": {Options{Bucket: "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", Region: "eu-west-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.AccessKey, c.o.SecretKey = "key", "secret"
			r, err := open(t.Context(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if at := r.getter.place; at != nil {
				got = at.scheme + "://" + at.host + at.path + " " + at.region + " " + at.service
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// servedAlone serves one object. alone responds to requests that the SDK didn't send.
func servedAlone(t *testing.T, alone http.HandlerFunc) (r *Reader, byItself, bySDK *atomic.Int64) {
	t.Helper()
	byItself, bySDK = new(atomic.Int64), new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Amz-Sdk-Request") == "" {
			byItself.Add(1)
			alone(w, r)
			return
		}
		bySDK.Add(1)
		serveBytes(w, "whole")
	}))
	t.Cleanup(server.Close)
	r, err := open(t.Context(), Options{Bucket: "bucket", Endpoint: server.URL, AccessKey: "key", SecretKey: "secret", UserAgent: "asks", Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return r, byItself, bySDK
}

func serveBytes(w http.ResponseWriter, body string) {
	w.Header().Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
	w.Header().Set("ETag", `"e"`)
	fmt.Fprint(w, body)
}

// TestTheSDKAsksAgain: the SDK repeats each failed request, and after maxFailed of them sends
// all.
func TestTheSDKAsksAgain(t *testing.T) {
	for name, alone := range map[string]http.HandlerFunc{
		"denied":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"moved":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMovedPermanently) },
		"throttled": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"broken":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"bare":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "another") },
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			serveBytes(w, "<html>")
		},
		"part": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "who")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, byItself, bySDK := servedAlone(t, alone)
			const asked = 20
			for range asked {
				f, err := r.Open(t.Context(), "a/b")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(f)
				if f.Close(); err != nil || string(body) != "whole" {
					t.Fatalf("%q, %v", body, err)
				}
			}
			if byItself.Load() < maxFailed || bySDK.Load() != asked { // the transport repeats a request after a broken connection
				t.Errorf("%d requests failed, of which %d were to, and the SDK sent %d", byItself.Load(), maxFailed, bySDK.Load())
			}
			if got := r.Cost().Get; got != maxFailed+asked {
				t.Errorf("%d requests are counted, want %d", got, maxFailed+asked)
			}
		})
	}
}

// TestAPlainRequest: a request has the SDK's headers for the payer, the user agent and the
// encoding. It is signed, and the SDK requests keys that must be escaped.
func TestAPlainRequest(t *testing.T) {
	var seen http.Header
	r, byItself, bySDK := servedAlone(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		seen.Set("Path", r.URL.EscapedPath())
		serveBytes(w, "whole")
	})
	r.getter.payer = true
	f, err := r.Open(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for header, want := range map[string]string{
		"Path": "/bucket/a/b", "User-Agent": "asks", "X-Amz-Request-Payer": "requester", "Accept-Encoding": "identity", "X-Amz-Content-Sha256": emptyPayload,
	} {
		if seen.Get(header) != want {
			t.Errorf("%s: %q, want %q", header, seen.Get(header), want)
		}
	}
	if signed := seen.Get("Authorization"); !strings.Contains(signed, "x-amz-request-payer") || !strings.Contains(signed, "/us-east-1/s3/aws4_request") {
		t.Errorf("Authorization: %q", signed)
	}
	if f, err = r.Open(t.Context(), "a/b c+é"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if byItself.Load() != 1 || bySDK.Load() != 1 {
		t.Errorf("%d requests beside %d of the SDK", byItself.Load(), bySDK.Load())
	}
}
