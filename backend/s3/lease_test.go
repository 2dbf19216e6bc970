package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures/s3test"
)

const lockObject = "root/" + leaseKey

// servers are how servers take conditions.
var servers = map[string]s3test.Action{"honoured": nil, "refused": s3test.RefuseConditions(), "ignored": s3test.IgnoreConditions()}

// eachServer runs a test on servers of each kind, with and without versions.
func eachServer(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, do := range servers {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprint(name, versioned), func(t *testing.T) {
				t.Parallel() // most of the time goes into waiting for a lease
				r := newRig(t, versioned, "a")
				if do != nil {
					r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Do: do})
				}
				test(t, r)
			})
		}
	}
}

// TestLockOnce: of many that want the lease at once one has it, and its end
// leaves nothing.
func TestLockOnce(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		var unlocks []func() error
		var group sync.WaitGroup
		for i := range 5 {
			s := r.open(t)
			s.contestTime = time.Second
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

// TestLockExpires: what a crash left is taken over once it has expired.
func TestLockExpires(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		crashed := r.open(t)
		stop, err := crashed.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop() })
		crashed.leased.Load().lose() // crashed
		_, err = r.s.Lock(t.Context(), freeing)
		must(t, err, backend.ErrLocked, keeping1.ID)
		r.b.SetTime(t, lockObject, time.Now().Add(-r.s.leaseTime-time.Minute))
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

// TestLockRenewed: a lease is written again while it is held, and remains one
// version.
func TestLockRenewed(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		unlock, err := r.s.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		l := r.s.leased.Load()
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: s3test.ResetAfter()})
		for range 3 {
			r.b.SetTime(t, lockObject, time.Now().Add(-time.Hour))
			l.renew(t.Context())
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

// TestLeaseLost: a run whose lease was broken changes nothing more once it
// could have noticed.
func TestLeaseLost(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		r.b.Put(t, "root/b", []byte("body of b"))
		unlock, err := r.s.Lock(t.Context(), freeing)
		if err != nil {
			t.Fatal(err)
		}
		r.remove(t, freeing, "a")
		r.s.leased.Load().seen = time.Now().Add(-r.s.leaseTime / 20) // a moment ago
		other := r.open(t)
		must(t, other.BreakLock(t.Context(), "nobody"), fs.ErrNotExist, freeing.ID)
		if err := other.BreakLock(t.Context(), freeing.ID); err != nil {
			t.Fatal(err)
		}
		must(t, other.BreakLock(t.Context(), freeing.ID), fs.ErrNotExist)
		must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, errLeaseLost)
		must(t, r.s.Put(t.Context(), freeing, "c", nil, 0).Err, errLeaseLost)
		must(t, r.s.Abort(t.Context(), backend.Upload{Key: "c", ID: "x"}), errLeaseLost)
		r.has(t, "b")
		again, err := other.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		must(t, unlock(), errLeaseLost)
		_, err = r.open(t).Lock(t.Context(), freeing)
		must(t, err, backend.ErrLocked, keeping1.ID)
		if err := again(); err != nil {
			t.Error(err)
		}
	})
}

// TestLeaseUnsure: a server that is silent for a while costs nothing; one that is
// silent for longer than the lease holds costs the lease.
func TestLeaseUnsure(t *testing.T) {
	r := newRig(t, false, "a", "b")
	unlock, err := r.s.Lock(t.Context(), freeing)
	if err != nil {
		t.Fatal(err)
	}
	l := r.s.leased.Load()
	r.p.Inject(s3test.Fault{Match: s3test.Under(lockObject), Do: s3test.Refuse(http.StatusBadRequest, "Trouble", "today")})
	l.renew(t.Context())
	r.remove(t, freeing, "a")
	l.mu.Lock()
	l.expiry.Reset(0)
	l.mu.Unlock()
	<-l.ours.Done()
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, errLeaseLost)
	r.p.Heal()
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, errLeaseLost)
	if got := text(t, r.s, "b"); got != "body of b" {
		t.Errorf("%q stands there", got)
	}
	must(t, unlock(), errLeaseLost)
}

// TestLeaseAsleep: who was stopped, or slept, for longer than the lease holds has
// lost it, though no timer has run and it was seen just before. What another has
// done meanwhile stays.
func TestLeaseAsleep(t *testing.T) {
	eachServer(t, func(t *testing.T, r *rig) {
		r.b.Put(t, "root/b", []byte("body of b"))
		var asleep atomic.Int64
		r.s.now = func() time.Time { return time.Now().Round(0).Add(time.Duration(asleep.Load())) }
		must(t, r.s.Held(t.Context()), nil)
		unlock, err := r.s.Lock(t.Context(), freeing)
		if err != nil {
			t.Fatal(err)
		}
		must(t, r.s.Held(t.Context()), nil)
		r.remove(t, freeing, "a")
		r.b.SetTime(t, lockObject, time.Now().Add(-r.s.leaseTime-time.Minute))
		other := r.open(t)
		again, err := other.Lock(t.Context(), keeping1)
		if err != nil {
			t.Fatal(err)
		}
		r.p.Inject(s3test.Fault{Match: s3test.Under(lockObject), Do: s3test.Refuse(http.StatusBadRequest, "Trouble", "today")})
		asleep.Store(int64(r.s.leaseTime))
		must(t, r.s.Held(t.Context()), errLeaseLost)
		r.p.Heal()
		must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, errLeaseLost)
		must(t, r.s.Put(t.Context(), freeing, "c", nil, 0).Err, errLeaseLost)
		if is := text(t, other, "b"); is != "body of b" {
			t.Errorf("b holds %q", is)
		}
		must(t, unlock(), errLeaseLost)
		must(t, other.Held(t.Context()), nil)
		if err := again(); err != nil {
			t.Error(err)
		}
		r.has(t, "b")
	})
}

// TestLeaseEndsRequests: what is asked for again and again isn't asked for any
// more once another may be at work.
func TestLeaseEndsRequests(t *testing.T) {
	for name, change := range map[string]func(s *Store) error{
		"remove":     func(s *Store) error { return s.Remove(t.Context(), freeing, []string{"a"})[0].Err },
		"remove odd": func(s *Store) error { return s.delete(t.Context(), []target{{key: "a\x01"}})[0].err },
		"put":        func(s *Store) error { return s.Put(t.Context(), freeing, "c", nil, 0).Err },
		"abort":      func(s *Store) error { return s.Abort(t.Context(), backend.Upload{Key: "c", ID: "x"}) },
		"copy": func(s *Store) error {
			r := restoration{Store: s, ctx: t.Context(), keys: []string{"a"}}
			return r.copy(replica{h: history{{id: "1", marker: true}, {id: "2"}}})
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
					r.s.leased.Load().expiry.Reset(0)
					<-r.s.leased.Load().ours.Done()
					return s3test.SlowDown()(x)
				},
			})
			must(t, change(r.s), errLeaseLost)
			if asked != 1 {
				t.Errorf("it was asked for %d times", asked)
			}
			r.p.Heal()
			must(t, unlock(), errLeaseLost)
			r.has(t, "a")
		})
	}
}

// TestLeaseExpires: that the lease can be seen to be ours doesn't help where it
// can't be renewed, since another may take it at any moment.
func TestLeaseExpires(t *testing.T) {
	r := newRig(t, false, "b")
	r.s.leaseTime = time.Second
	unlock, err := r.s.Lock(t.Context(), freeing)
	if err != nil {
		t.Fatal(err)
	}
	r.p.Inject(s3test.Fault{Match: s3test.All(s3test.Of(s3test.PutObject), s3test.Under(lockObject)), Do: s3test.AccessDenied()})
	// The age of the lease is told by a server's clock that shows whole seconds, and some
	// servers look at it once a second.
	for end := time.Now().Add(30 * r.s.leaseTime); err == nil && time.Now().Before(end); {
		r.b.Put(t, "root/a", nil)
		err = r.s.Remove(t.Context(), freeing, []string{"a"})[0].Err
	}
	must(t, err, errLeaseLost)
	must(t, r.s.Remove(t.Context(), freeing, []string{"b"})[0].Err, errLeaseLost)
	must(t, unlock(), errLeaseLost)
	if got := text(t, r.s, "b"); got != "body of b" {
		t.Errorf("%q stands there", got)
	}
}

// TestLockDenied: the permission is named; and a run that may not remove versions
// gives its lease back all the same.
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

// TestLockForeign: what can't be read as a lease is one all the same, until it
// expires.
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
