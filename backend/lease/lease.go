// Package lease limits a store to one run by an object in the store itself.
//
// The object is written if there is none, and renewed until it is removed. A lease that a
// crash left expires, by the server's clock alone. If the server doesn't support conditional
// writes, the object is written and read again after the time in which another run may have
// written its own. Each change then checks that the lease is still the run's, and its requests
// are cancelled when the lease may be lost.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"regfsck/backend"
)

// Key is the key of the object.
const Key = backend.Own + "/lock"

// Object is the object of a lease. Errors are *fs.PathError of the operation "lock" and Key.
type Object interface {
	// Read reads the object; Reading.Found is false if there is none.
	Read(ctx context.Context) (Reading, error)
	// Write replaces what over shows, and returns the ETag and the version. Without conditions
	// it replaces anything. If the condition isn't met the error is ErrContested; if the server
	// doesn't support conditions it is ErrUnconditional.
	Write(ctx context.Context, body []byte, over Reading, conditions bool) (etag, version string, err error)
	// Remove removes what r shows, and no other object if the store has versions that may be
	// removed.
	Remove(ctx context.Context, r Reading) error
	// Forget removes a replaced version, if there is one and the store lets it be removed.
	Forget(ctx context.Context, version string)
}

// Reading is the object as Read returned it.
type Reading struct {
	Found         bool
	Body          []byte
	ETag, Version string
	Age           time.Duration // by the server's clock; 0 if unknown

	by      holder
	expired bool
}

var (
	// ErrContested: the condition of a write wasn't met.
	ErrContested = errors.New("another program wrote it at the same moment, and what it wrote was not changed")
	// ErrUnconditional: the server doesn't support conditional writes.
	ErrUnconditional = errors.New("the server doesn't support conditional writes")
	// ErrLost: the run may not change anything any more.
	ErrLost = errors.New("this run no longer holds its lease of the store: another run may be changing the store now, so this one changes nothing more")

	errNone = fmt.Errorf("no run has the lease: %w", fs.ErrNotExist)
)

// holder is the content of the object. A lease expires by the server's clock alone: Seconds
// after the object was written.
type holder struct {
	Run     string    `json:"run"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"` // by the holder's clock, for people
	Seconds int       `json:"seconds"` // the lease's duration from the time of writing
	Token   string    `json:"token"`   // unique to this lease
}

// parseHolder parses the content of a lease. Invalid content is a lease of an unknown run.
func parseHolder(body []byte) (h holder) {
	if json.Unmarshal(body, &h) != nil || h.Run == "" {
		return holder{Run: "unknown"}
	}
	return h
}

// Lease is the lease of one store in one process. Its methods may be called at any time; set
// its fields before the first call.
type Lease struct {
	Object  Object
	Time    time.Duration    // how long a lease lasts without renewal
	Contest time.Duration    // how long another run may take between reading and writing the lease
	Now     func() time.Time // the clock of this machine

	held atomic.Pointer[term]
}

const (
	// leeway is the error of whole seconds and of the clock comparison.
	leeway = 2 * time.Second
	// maxTries is the number of attempts to acquire a lease that another run is acquiring.
	maxTries = 5
)

// New returns the lease of an object.
func New(o Object) *Lease {
	return &Lease{Object: o, Time: 2 * time.Minute, Contest: 3 * time.Second, Now: time.Now}
}

// Lock acquires the lease for a run. If another run has it the error is backend.ErrLocked.
// unlock releases it; it may be called twice.
func (l *Lease) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	host, _ := os.Hostname()
	t := newTerm(l, holder{Run: run.ID, Host: host, PID: os.Getpid(), Token: rand.Text()})
	if err := t.acquire(ctx); err != nil {
		t.lose()
		return nil, err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { t.keep(work) })
	l.held.Store(t)
	return sync.OnceValue(func() error {
		cancel()
		renewing.Wait()
		l.held.CompareAndSwap(t, nil)
		defer t.lose()
		return t.release(context.WithoutCancel(ctx))
	}), nil
}

// BreakLock removes the lease of the run id that backend.ErrLocked names. If that run is still
// alive it changes nothing more once it has noticed. If the run has no lease the error is
// fs.ErrNotExist.
func (l *Lease) BreakLock(ctx context.Context, id string) error {
	for {
		r, err := l.read(ctx)
		switch {
		case err != nil:
			return err
		case !r.Found:
			return errNone
		case r.by.Run != id:
			return fmt.Errorf("the lease is that of run %s, not of %s: %w", r.by.Run, id, fs.ErrNotExist)
		}
		if err := l.Object.Remove(ctx, r); err != nil {
			return err
		}
		if r, err = l.read(ctx); err != nil || !r.Found {
			return err
		}
	}
}

// Held implements backend.Locker: it returns ErrLost if another run may have the lease of
// Lock. A server that doesn't respond for a while is no error.
func (l *Lease) Held(ctx context.Context) error {
	if t := l.held.Load(); t != nil {
		if err := t.check(ctx); errors.Is(err, ErrLost) {
			return err
		}
	}
	return nil
}

// While makes a change, or returns ErrLost if nothing may be changed any more. The context of
// the change ends with the lease: a request may be retried for minutes, and another run may
// have begun by then. A store that isn't locked may be changed.
func (l *Lease) While(ctx context.Context, change func(context.Context) error) error {
	t := l.held.Load()
	if t == nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return change(ctx)
	}
	if err := t.check(ctx); err != nil {
		return err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.valid, func() { cancel(ErrLost) })()
	err := change(work)
	if err != nil && context.Cause(work) == ErrLost {
		return ErrLost
	}
	return err
}

// read reads the lease.
func (l *Lease) read(ctx context.Context) (Reading, error) {
	r, err := l.Object.Read(ctx)
	if err != nil || !r.Found {
		return Reading{}, err
	}
	r.by = parseHolder(r.Body)
	r.expired = r.Age > max(time.Duration(r.by.Seconds)*time.Second, l.Time)+leeway
	return r, nil
}

// lockedBy returns the error that names the run that has the lease.
func lockedBy(r Reading) error {
	return fmt.Errorf("%w: run %s (on %s, process %d), whose lease ends at %s unless it is renewed; if that run has certainly ended, pass --break-lease %[2]s",
		backend.ErrLocked, r.by.Run, r.by.Host, r.by.PID, r.by.Expires.UTC().Format(time.RFC3339))
}

// since returns the time since at. The monotonic clock stops while the machine sleeps, and the
// wall clock may be set back; the larger difference counts.
func (l *Lease) since(at time.Time) time.Duration {
	now := l.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// term is a lease that was acquired, or is being acquired.
type term struct {
	l  *Lease
	me holder

	valid  context.Context // ends when another run may have the lease
	lose   func()
	expiry *time.Timer // calls lose

	mu        sync.Mutex
	etag      string
	version   string    // of the object, if the store has versions
	plain     bool      // the server doesn't support conditions
	confirmed time.Time // the lease was confirmed then
	written   time.Time // not written before that
}

// newTerm returns a term to be acquired. lose must be called in the end.
func newTerm(l *Lease, me holder) *term {
	t := &term{l: l, me: me}
	var cancel func()
	t.valid, cancel = context.WithCancel(context.Background())
	t.expiry = time.AfterFunc(l.Time, cancel)
	t.lose = func() {
		t.expiry.Stop()
		cancel()
	}
	return t
}

// acquire acquires the lease, unless another run has it.
func (t *term) acquire(ctx context.Context) error {
	refused := false // a write was refused though no object exists
	for range maxTries {
		r, err := t.l.read(ctx)
		if err != nil {
			return err
		}
		if r.Found && !r.expired && r.by.Token != t.me.Token {
			return lockedBy(r)
		}
		err = t.write(ctx, r)
		if errors.Is(err, ErrContested) {
			t.plain = !r.Found && refused // versitygw treats a delete marker as an object
			refused = !r.Found
			continue
		}
		if err != nil {
			return err
		}
		return t.certify(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &fs.PathError{Op: "lock", Path: Key, Err: ErrContested}
}

// certify ensures that no other run acquired the same lease: by a write that a server with
// conditions refuses, or by waiting until any run that read no lease has written its own.
func (t *term) certify(ctx context.Context) error {
	if !t.plain {
		err := t.write(ctx, Reading{Version: t.version})
		if errors.Is(err, ErrContested) {
			return nil
		}
		if err != nil {
			return err
		}
		t.plain = true
	}
	select {
	case <-time.After(t.l.Contest):
	case <-ctx.Done():
		return backend.Join(ctx.Err(), t.release(context.WithoutCancel(ctx)))
	}
	r, err := t.l.read(ctx)
	if err == nil && r.by.Token != t.me.Token {
		written := t.version
		t.version = ""
		t.forget(ctx, written)
		err = lockedBy(r)
	}
	return err
}

// keep renews the lease until ctx ends.
func (t *term) keep(ctx context.Context) {
	ticker := time.NewTicker(t.l.Time / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew writes the lease again. A failed write is retried at the next time, until the lease
// has expired.
func (t *term) renew(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost() != nil {
		return
	}
	r := Reading{Found: true, ETag: t.etag, Version: t.version}
	var err error
	if t.plain {
		err = t.recheck(ctx)
	}
	if err == nil {
		err = t.write(ctx, r)
	}
	if errors.Is(err, ErrContested) { // by another run, or by this write, sent twice
		t.recheck(ctx)
	}
}

// recheck reads the lease and checks that it is still this run's.
func (t *term) recheck(ctx context.Context) error {
	now := t.l.Now()
	r, err := t.l.read(ctx)
	switch {
	case err != nil:
		return err
	case r.by.Token != t.me.Token:
		t.lose()
		return ErrLost
	}
	written := t.version
	t.etag, t.version, t.confirmed = r.ETag, r.Version, now
	t.wrote(now.Add(-max(r.Age, 0)))
	t.forget(ctx, written)
	return nil
}

// check returns an error if the lease may be lost. It reads the lease, unless that was
// confirmed a moment ago.
func (t *term) check(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.lost(); err != nil {
		return err
	}
	if t.l.since(t.confirmed) < t.l.Time/40 {
		return ctx.Err()
	}
	err := t.recheck(ctx)
	if t.lost() != nil {
		return t.lost()
	}
	return err
}

// release removes the lease, if it is this run's.
func (t *term) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.l.Time)
	defer cancel()
	for range maxTries {
		r, err := t.l.read(ctx)
		if err != nil {
			return err
		}
		if r.by.Token != t.me.Token {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.lost()
		}
		if err := t.l.Object.Remove(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// write writes the lease over what was read.
func (t *term) write(ctx context.Context, r Reading) error {
	now := t.l.Now()
	t.me.Seconds = int(t.l.Time / time.Second)
	t.me.Expires = now.Add(t.l.Time).UTC().Truncate(time.Second)
	body, err := json.Marshal(t.me)
	if err != nil {
		return err
	}
	etag, version, err := t.l.Object.Write(ctx, body, r, !t.plain)
	if !t.plain && errors.Is(err, ErrUnconditional) {
		t.plain = true
		etag, version, err = t.l.Object.Write(ctx, body, r, false)
	}
	if err != nil {
		return err
	}
	t.etag, t.version, t.confirmed = etag, version, now
	t.wrote(now)
	t.forget(ctx, r.Version)
	return nil
}

// forget removes a replaced version of the lease.
func (t *term) forget(ctx context.Context, version string) {
	if version != "" && version != t.version {
		t.l.Object.Forget(ctx, version)
	}
}

// wrote records when the lease was written. It counts as lost some time before it expires,
// because the server may still process the last request.
func (t *term) wrote(at time.Time) {
	if at.After(t.written) {
		t.written = at
		t.expiry.Reset(t.left())
	}
}

// left returns how long the lease may still be used. The timer that ends it stops while the
// process or the machine is suspended.
func (t *term) left() time.Duration { return t.l.Time*7/8 - t.l.since(t.written) }

// lost returns ErrLost if another run may have the lease.
func (t *term) lost() error {
	if t.left() <= 0 {
		t.lose()
	}
	if t.valid.Err() != nil {
		return ErrLost
	}
	return nil
}
