package lease

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regfsck/backend"
)

// object is the object of a lease in memory.
type object struct {
	conditions string // "honoured", "refused" or "ignored"
	ahead      atomic.Int64

	mu      sync.Mutex
	silent  bool // each request fails
	lose    int  // number of responses to writes that are lost
	body    []byte
	number  int // of the current version; 0 for none
	written time.Time
	removed int // number of forgotten versions
}

var errSilent = errors.New("the server is silent")

func (o *object) now() time.Time { return time.Now().Round(0).Add(time.Duration(o.ahead.Load())) }

func (o *object) lock() func() {
	o.mu.Lock()
	return o.mu.Unlock
}

func (o *object) Read(context.Context) (Reading, error) {
	defer o.lock()()
	if o.silent || o.number == 0 {
		return Reading{}, map[bool]error{true: errSilent}[o.silent]
	}
	id := fmt.Sprint(o.number)
	return Reading{Found: true, Body: o.body, ETag: id, Version: id, Age: o.now().Sub(o.written)}, nil
}

func (o *object) Write(_ context.Context, body []byte, over Reading, conditions bool) (etag, version string, err error) {
	defer o.lock()()
	switch {
	case o.silent:
		return "", "", errSilent
	case conditions && o.conditions == "refused":
		return "", "", ErrUnconditional
	case conditions && o.conditions == "honoured" && (over.Found != (o.number > 0) || over.Found && over.ETag != fmt.Sprint(o.number)):
		return "", "", ErrContested
	}
	o.body, o.written, o.number = body, o.now(), o.number+1
	if o.lose > 0 { // as if the request was sent twice
		o.lose--
		if conditions && o.conditions == "honoured" {
			return "", "", ErrContested
		}
		o.number++
	}
	id := fmt.Sprint(o.number)
	return id, id, nil
}

func (o *object) Remove(_ context.Context, r Reading) error {
	defer o.lock()()
	if r.Version == fmt.Sprint(o.number) {
		o.number = 0
	}
	return nil
}

func (o *object) Forget(context.Context, string) {
	defer o.lock()()
	o.removed++
}

// eachServer runs a test with each kind of support for conditions.
func eachServer(t *testing.T, test func(t *testing.T, o *object)) {
	for _, conditions := range []string{"honoured", "refused", "ignored"} {
		t.Run(conditions, func(t *testing.T) { test(t, &object{conditions: conditions}) })
	}
}

// open returns the lease as another process has it.
func (o *object) open() *Lease {
	l := New(o)
	l.Contest, l.Now = 50*time.Millisecond, o.now
	return l
}

// get acquires the lease for a run.
func get(t *testing.T, l *Lease, run string) (unlock func() error) {
	t.Helper()
	unlock, err := l.Lock(t.Context(), backend.Run{ID: run})
	if err != nil {
		t.Fatal(err)
	}
	return unlock
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

// refused checks that no other run can acquire the lease.
func (o *object) refused(t *testing.T) {
	t.Helper()
	_, err := o.open().Lock(t.Context(), backend.Run{ID: "other"})
	is(t, err, backend.ErrLocked)
}

func TestOne(t *testing.T) {
	eachServer(t, func(t *testing.T, o *object) {
		var have atomic.Int64
		var group sync.WaitGroup
		for i := range 9 {
			group.Go(func() {
				if _, err := o.open().Lock(t.Context(), backend.Run{ID: fmt.Sprint(i)}); err == nil {
					have.Add(1)
				} else {
					is(t, err, backend.ErrLocked)
				}
			})
		}
		if group.Wait(); have.Load() != 1 {
			t.Errorf("%d have the lease", have.Load())
		}
	})
}

// TestRenewed: a lease is renewed while it is held, also if a response is lost, and each
// replaced version is forgotten.
func TestRenewed(t *testing.T) {
	eachServer(t, func(t *testing.T, o *object) {
		l := o.open()
		unlock := get(t, l, "run")
		for _, lose := range []int{0, 1, 0} {
			o.lose = lose
			o.ahead.Add(int64(l.Time / 2))
			before, forgotten := o.number, o.removed
			l.held.Load().renew(t.Context())
			if o.number == before || o.removed == forgotten || o.now().Sub(o.written) > time.Minute {
				t.Errorf("version %d is written %v, %d forgotten", o.number, o.written, o.removed)
			}
			o.refused(t)
		}
		is(t, l.Held(t.Context()), nil)
		is(t, unlock(), nil)
		if o.number != 0 {
			t.Error("it is left")
		}
	})
}

// TestExpires: a lease left by a crash can be acquired once it has expired, and not before; a
// run that was only suspended changes nothing more.
func TestExpires(t *testing.T) {
	eachServer(t, func(t *testing.T, o *object) {
		asleep := o.open()
		lost := get(t, asleep, "asleep")
		o.ahead.Add(int64(asleep.Time - time.Second))
		o.refused(t)
		o.ahead.Add(int64(time.Minute))
		unlock := get(t, o.open(), "next")
		is(t, asleep.Held(t.Context()), ErrLost)
		is(t, asleep.While(t.Context(), func(context.Context) error { t.Error("it is changed"); return nil }), ErrLost)
		is(t, lost(), ErrLost)
		o.refused(t)
		is(t, unlock(), nil)
	})
}

// TestSilence: a server that doesn't respond for a while is no error; if it takes longer than
// the lease lasts, the lease is lost.
func TestSilence(t *testing.T) {
	o := &object{conditions: "honoured"}
	l := o.open()
	unlock := get(t, l, "run")
	o.silent = true
	l.held.Load().renew(t.Context())
	change := func(context.Context) error { return nil }
	is(t, l.While(t.Context(), change), nil)
	o.ahead.Add(int64(l.Time / 4))
	is(t, l.While(t.Context(), change), errSilent)
	is(t, l.Held(t.Context()), nil)
	l.held.Load().expiry.Reset(0) // as the timer does
	<-l.held.Load().valid.Done()
	o.silent = false
	is(t, l.While(t.Context(), change), ErrLost)
	is(t, unlock(), ErrLost)
}

// TestEndsChange: the context of a change ends with the lease.
func TestEndsChange(t *testing.T) {
	o := &object{conditions: "honoured"}
	l := o.open()
	get(t, l, "run")
	is(t, l.While(t.Context(), func(ctx context.Context) error {
		l.held.Load().lose()
		<-ctx.Done()
		return ctx.Err()
	}), ErrLost)
}

func TestBreak(t *testing.T) {
	o := &object{conditions: "honoured"}
	l := o.open()
	is(t, l.BreakLock(t.Context(), "run"), fs.ErrNotExist)
	unlock := get(t, l, "run")
	is(t, o.open().BreakLock(t.Context(), "nobody"), fs.ErrNotExist)
	is(t, o.open().BreakLock(t.Context(), "run"), nil)
	is(t, l.While(t.Context(), func(context.Context) error { return nil }), nil) // confirmed a moment ago
	o.ahead.Add(int64(l.Time / 20))
	is(t, l.Held(t.Context()), ErrLost)
	is(t, unlock(), ErrLost)
	o.body, o.number, o.written = []byte("{"), 1, o.now()
	o.refused(t)
	is(t, o.open().BreakLock(t.Context(), "unknown"), nil)
}

// TestGivenUp: a Lock that is cancelled while it waits leaves no object.
func TestGivenUp(t *testing.T) {
	o := &object{conditions: "refused"}
	ctx, cancel := context.WithCancel(t.Context())
	l := o.open()
	l.Contest = time.Hour
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := l.Lock(ctx, backend.Run{ID: "run"})
	is(t, err, context.Canceled)
	if o.number != 0 {
		t.Error("it is left")
	}
}
