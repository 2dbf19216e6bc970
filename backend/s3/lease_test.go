package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/lease"
	"regfsck/fixtures/s3test"
)

const lockObject = "root/" + lease.Key

// servers are the kinds of support for conditional writes.
var servers = map[string]s3test.Action{"honoured": nil, "refused": s3test.RefuseConditions(), "ignored": s3test.IgnoreConditions()}

// eachServer runs a test with each kind of server, with and without versions.
func eachServer(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, do := range servers {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprint(name, versioned), func(t *testing.T) {
				t.Parallel() // mostly waits for leases
				r := newRig(t, versioned, "a")
				if do != nil {
					r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Do: do})
				}
				test(t, r)
			})
		}
	}
}

// TestLockOnce: one of many runs acquires the lease, and its release leaves nothing.
func TestLockOnce(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		var unlocks []func() error
		var group sync.WaitGroup
		for i := range 5 {
			s := r.open(t)
			s.Contest = time.Second
			group.Go(func() {
				unlock, err := s.Lock(t.Context(), backend.Run{ID: fmt.Sprint("run-", i)})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					unlocks = append(unlocks, unlock)
				} else if !errors.Is(err, backend.ErrLocked) || !strings.Contains(err.Error(), "--break-lease run-") {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if len(unlocks) != 1 {
			t.Fatalf("%d have the lease", len(unlocks))
		}
		for range 2 {
			if err := unlocks[0](); err != nil {
				t.Error(err)
			}
		}
		if n := r.versions(t); n != 1 {
			t.Errorf("%d versions and markers, want 1", n)
		}
	})
}

// TestLockExpires: the lease of a crashed run can be acquired once it has expired.
func TestLockExpires(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		crashed := r.open(t)
		stop, err := crashed.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop() })
		later(crashed, crashed.Lease.Time) // crashed
		_, err = r.s.Lock(t.Context(), freeing)
		must(t, err, backend.ErrLocked, keeping1.ID)
		r.b.SetTime(t, lockObject, time.Now().Add(-r.s.Lease.Time-time.Minute))
		unlock, err := r.s.Lock(t.Context(), freeing)
		if err != nil {
			t.Fatal(err)
		}
		r.remove(t, freeing, "a")
		if err := unlock(); err != nil {
			t.Error(err)
		}
		if n := r.versions(t); n != 0 {
			t.Errorf("%d versions and markers are left", n)
		}
	})
}

// TestLockRenewed: a lease is renewed while it is held, and remains one version.
func TestLockRenewed(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		r.s.Lease.Time = 8 * time.Second
		unlock, err := r.s.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: s3test.ResetAfter()})
		was, _ := r.b.Get(t, lockObject)
		for range 2 {
			r.b.SetTime(t, lockObject, time.Now().Add(-time.Hour))
			is := was
			for end := time.Now().Add(r.s.Lease.Time); bytes.Equal(is, was); is, _ = r.b.Get(t, lockObject) {
				if time.Now().After(end) {
					t.Fatal("the lease isn't renewed")
				}
				time.Sleep(50 * time.Millisecond)
			}
			was = is
			_, err := r.open(t).Lock(t.Context(), freeing)
			must(t, err, backend.ErrLocked, keeping1.ID)
		}
		r.remove(t, freeing, "a")
		if err := unlock(); err != nil {
			t.Error(err)
		}
		if n := r.versions(t); n != 0 {
			t.Errorf("%d versions and markers are left", n)
		}
	})
}

// TestLeaseLost: a run whose lease was broken changes nothing more after the next recheck.
func TestLeaseLost(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		r.b.Put(t, "root/b", []byte("body of b"))
		unlock, err := r.s.Lock(t.Context(), freeing)
		if err != nil {
			t.Fatal(err)
		}
		r.remove(t, freeing, "a")
		later(r.s, r.s.Lease.Time/20) // it was confirmed a moment ago
		other := r.open(t)
		must(t, other.BreakLock(t.Context(), "nobody"), fs.ErrNotExist, freeing.ID)
		if err := other.BreakLock(t.Context(), freeing.ID); err != nil {
			t.Fatal(err)
		}
		must(t, other.BreakLock(t.Context(), freeing.ID), fs.ErrNotExist)
		must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, lease.ErrLost)
		must(t, r.s.Put(t.Context(), freeing, "c", nil, 0).Err, lease.ErrLost)
		must(t, r.s.Abort(t.Context(), backend.Upload{Key: "c", ID: "x"}), lease.ErrLost)
		r.has(t, "b")
		again, err := other.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		must(t, unlock(), lease.ErrLost)
		_, err = r.open(t).Lock(t.Context(), freeing)
		must(t, err, backend.ErrLocked, keeping1.ID)
		if err := again(); err != nil {
			t.Error(err)
		}
	})
}

// TestLeaseUnsure: a server that doesn't respond for a while is no error; if it takes longer
// than the lease lasts, the lease is lost.
func TestLeaseUnsure(t *testing.T) {
	r := newRig(t, false, "a", "b")
	unlock, err := r.s.Lock(t.Context(), freeing)
	if err != nil {
		t.Fatal(err)
	}
	r.p.Inject(s3test.Fault{Match: s3test.Under(lockObject), Do: s3test.Refuse(http.StatusBadRequest, "Trouble", "today")})
	r.remove(t, freeing, "a")
	later(r.s, r.s.Lease.Time)
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, lease.ErrLost)
	r.p.Heal()
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, lease.ErrLost)
	if got := text(t, r.s, "b"); got != "body of b" {
		t.Errorf("%q exists", got)
	}
	must(t, unlock(), lease.ErrLost)
}

// TestLeaseAsleep: a run that was suspended for longer than its lease lasts has lost it,
// though no timer has fired. What another run changed meanwhile is kept.
func TestLeaseAsleep(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		r.b.Put(t, "root/b", []byte("body of b"))
		must(t, r.s.Held(t.Context()), nil)
		unlock, err := r.s.Lock(t.Context(), freeing)
		if err != nil {
			t.Fatal(err)
		}
		must(t, r.s.Held(t.Context()), nil)
		r.remove(t, freeing, "a")
		r.b.SetTime(t, lockObject, time.Now().Add(-r.s.Lease.Time-time.Minute))
		other := r.open(t)
		again, err := other.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		r.p.Inject(s3test.Fault{Match: s3test.Under(lockObject), Do: s3test.Refuse(http.StatusBadRequest, "Trouble", "today")})
		later(r.s, r.s.Lease.Time)
		must(t, r.s.Held(t.Context()), lease.ErrLost)
		r.p.Heal()
		must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, lease.ErrLost)
		must(t, r.s.Put(t.Context(), freeing, "c", nil, 0).Err, lease.ErrLost)
		if is := text(t, other, "b"); is != "body of b" {
			t.Errorf("b holds %q", is)
		}
		must(t, unlock(), lease.ErrLost)
		must(t, other.Held(t.Context()), nil)
		if err := again(); err != nil {
			t.Error(err)
		}
		r.has(t, "b")
	})
}

// TestLeaseEndsRequests: a request isn't retried after the lease is lost.
func TestLeaseEndsRequests(t *testing.T) {
	for name, change := range map[string]func(s *Store) error{
		"remove":     func(s *Store) error { return s.Remove(t.Context(), freeing, []string{"a"})[0].Err },
		"remove odd": func(s *Store) error { return s.deleter.delete(t.Context(), []target{{key: "a\x01"}})[0].err },
		"put":        func(s *Store) error { return s.Put(t.Context(), freeing, "c", nil, 0).Err },
		"abort":      func(s *Store) error { return s.Abort(t.Context(), backend.Upload{Key: "c", ID: "x"}) },
		"copy": func(s *Store) error {
			r := restoration{Store: s, ctx: t.Context(), keys: []string{"a"}}
			return r.copy(replica{0, history.Restoration{Version: history.Version{ID: "2"}, Markers: history.History{{ID: "1", Marker: true}}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false, "a")
			unlock, err := r.s.Lock(t.Context(), freeing)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			r.p.Inject(s3test.Fault{
				Match: s3test.Of(s3test.DeleteObjects, s3test.DeleteObject, s3test.PutObject, s3test.CopyObject, s3test.AbortMultipartUpload),
				Do: func(x *s3test.Exchange) *s3test.Answer {
					asked++
					later(r.s, r.s.Lease.Time)
					must(t, r.s.Held(t.Context()), lease.ErrLost)
					return s3test.SlowDown()(x)
				},
			})
			must(t, change(r.s), lease.ErrLost)
			if asked != 1 {
				t.Errorf("it was asked for %d times", asked)
			}
			r.p.Heal()
			must(t, unlock(), lease.ErrLost)
			r.has(t, "a")
		})
	}
}

// TestLeaseExpires: a lease that can be read and not renewed expires, because another run may
// acquire it.
func TestLeaseExpires(t *testing.T) {
	r := newRig(t, false, "b")
	r.s.Lease.Time = time.Second
	unlock, err := r.s.Lock(t.Context(), freeing)
	if err != nil {
		t.Fatal(err)
	}
	r.p.Inject(s3test.Fault{Match: s3test.All(s3test.Of(s3test.PutObject), s3test.Under(lockObject)), Do: s3test.AccessDenied()})
	// Servers report the age of the lease in whole seconds, and some update it once a second.
	for end := time.Now().Add(30 * r.s.Lease.Time); err == nil && time.Now().Before(end); {
		r.b.Put(t, "root/a", nil)
		err = r.s.Remove(t.Context(), freeing, []string{"a"})[0].Err
	}
	must(t, err, lease.ErrLost)
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, lease.ErrLost)
	must(t, unlock(), lease.ErrLost)
	if got := text(t, r.s, "b"); got != "body of b" {
		t.Errorf("%q exists", got)
	}
}

// TestLockDenied: the error names the permission. A run that may not remove versions still
// releases its lease.
func TestLockDenied(t *testing.T) {
	r := newRig(t, true, "a")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Do: s3test.AccessDenied()})
	_, err := r.s.Lock(t.Context(), keeping1)
	must(t, err, fs.ErrPermission, mayPut)
	r.p.Heal()
	r.p.Inject(s3test.Fault{Match: func(q *s3test.Request) bool { return q.Operation == s3test.DeleteObject && q.Query.Has("versionId") }, Do: s3test.AccessDenied()})
	for range 2 {
		unlock, err := r.s.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil {
			t.Error(err)
		}
		r.has(t, "a")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.s.Lock(ctx, keeping1)
	must(t, err, context.Canceled)
}

// TestLockForeign: an object that isn't a valid lease is a lease until it expires.
func TestLockForeign(t *testing.T) {
	r := newRig(t, false)
	r.b.Put(t, lockObject, []byte("{"))
	_, err := r.s.Lock(t.Context(), keeping1)
	must(t, err, backend.ErrLocked, "unknown")
	if err := r.s.BreakLock(t.Context(), "unknown"); err != nil {
		t.Error(err)
	}
	r.has(t)
}
