package s3

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// writes are the requests that leave something in a bucket, as far as a proxy saw
// them.
func writes(p *bucket.Proxy) (n int) {
	for _, kind := range []bucket.Operation{bucket.PutObject, bucket.CopyObject, bucket.DeleteObject, bucket.DeleteObjects} {
		n += p.Counts()[kind]
	}
	return n
}

// TestRetained: while a bucket locks what is written, neither a test object nor a
// lease is written, which would stay; and once that is taken off, both work.
func TestRetained(t *testing.T) {
	for _, mode := range []string{"COMPLIANCE", "GOVERNANCE"} {
		r := newRig(t, true, "a")
		r.b.SetRetention(t, mode, 30)
		_, locked := r.s.Lock(t.Context(), keeping1)
		for _, err := range []error{r.s.Retained(t.Context()), r.s.CanKeep(t.Context()), locked} {
			must(t, err, backend.ErrRetained, "30 days", mode, "put-object-lock-configuration --bucket bucket")
		}
		if n := writes(r.p); n != 0 || r.versions(t) != 1 {
			t.Errorf("%s: %d requests that write, %d versions", mode, n, r.versions(t))
		}
		r.b.SetRetention(t, "", 0)
		unlock, err := r.s.Lock(t.Context(), keeping1)
		if err = backend.Join(r.s.CanKeep(t.Context()), err); err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil || r.versions(t) != 1 {
			t.Errorf("%s: %v, %d versions", mode, err, r.versions(t))
		}
	}
}

// TestRetentionUnknown: a server that doesn't answer the question is tried; what
// stays of that is said.
func TestRetentionUnknown(t *testing.T) {
	lock := func(q *bucket.Request) bool { return q.Query.Has("object-lock") }
	for name, answer := range map[string]bucket.Action{
		"no such configuration": bucket.Refuse(http.StatusNotFound, "ObjectLockConfigurationNotFoundError", "none"),
		"no such thing":         bucket.Refuse(http.StatusNotImplemented, "NotImplemented", "none"),
		"denied":                bucket.AccessDenied(),
	} {
		r := newRig(t, true)
		r.p.Inject(bucket.Fault{Match: lock, Do: answer})
		if err := r.s.CanKeep(t.Context()); err != nil || r.versions(t) != 0 {
			t.Errorf("%s: %v, %d versions", name, err, r.versions(t))
		}
	}
	r := newRig(t, true)
	r.p.Inject(bucket.Fault{Match: lock, Do: bucket.AccessDenied()})
	r.b.SetRetention(t, "COMPLIANCE", 1)
	err := r.s.CanKeep(t.Context())
	must(t, err, backend.ErrStays, ".regfsck/probe-")
	if errors.Is(err, backend.ErrRetained) || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	if keys := r.b.Keys(t, "root/"); slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, "probe-") }) {
		t.Errorf("what stays isn't hidden: %q", keys)
	}
}
