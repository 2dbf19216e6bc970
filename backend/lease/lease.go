// Package lease keeps a store for one run by an object that stands in the store itself.
//
// The object is written where there is none, and again and again until it is given
// back. One that was left by a crash expires, which is judged by the server's clock
// alone. Where the server knows no conditional writes, the object is written, and read
// again once any other that had seen none must have written its own. From then on each
// change looks whether the lease is still the run's, and ends what it asks for once it
// may not be.
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

// Object is the object in which a lease stands. Errors are *fs.PathError of the
// operation "lock" and Key.
type Object interface {
	// Read looks at the object; nothing there is no error.
	Read(ctx context.Context) (Reading, error)
	// Write writes it in the place of what a look has shown, and returns its ETag and
	// its version. Without conditions it writes over anything. ErrContested is a
	// condition that didn't hold, ErrUnconditional a server that knows none.
	Write(ctx context.Context, body []byte, over Reading, conditions bool) (etag, version string, err error)
	// Remove removes what a look has shown, and nothing else where the store keeps
	// versions and lets them be removed.
	Remove(ctx context.Context, r Reading) error
	// Forget removes a version that was written over, where there is one and the store
	// lets it be removed.
	Forget(ctx context.Context, version string)
}

// Reading is what a look at the object shows.
type Reading struct {
	Found         bool
	Body          []byte
	ETag, Version string
	Age           time.Duration // by the server's clock; 0 where it doesn't tell

	by      holder
	expired bool
}

var (
	// ErrContested is a write of a lease whose condition didn't hold.
	ErrContested = errors.New("somebody else wrote there in this moment, and that is left")
	// ErrUnconditional is a server that knows no conditions of writes.
	ErrUnconditional = errors.New("the server knows no conditional writes")
	// ErrLost is a change that a run may not make any more.
	ErrLost = errors.New("this run has lost its lease of the store: another may be at work on it by now, so that nothing more is changed")

	errNone = fmt.Errorf("no run has the lease: %w", fs.ErrNotExist)
)

// holder is what the object says. Whether it has expired is judged by the server's
// clock alone: by when the object was written, and Seconds.
type holder struct {
	Run     string    `json:"run"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"` // by the holder's clock, for people
	Seconds int       `json:"seconds"` // how long the lease holds from when it was written
	Token   string    `json:"token"`   // tells this lease from all others
}

// parseHolder reads what a lease says. What can't be read is somebody's too.
func parseHolder(body []byte) (h holder) {
	if json.Unmarshal(body, &h) != nil || h.Run == "" {
		return holder{Run: "unknown"}
	}
	return h
}

// Lease is the lease of one store, as one process sees it. Its methods may be called at
// any time; its fields are to be changed before the first call alone.
type Lease struct {
	Object  Object
	Time    time.Duration    // how long a lease holds without being renewed
	Contest time.Duration    // how long another may take from its look at the lease to its own
	Now     func() time.Time // the clock of this machine

	held atomic.Pointer[term]
}

const (
	// leeway is what whole seconds and compared clocks may be wrong by.
	leeway = 2 * time.Second
	// maxTries is how often a lease is asked for that another was about to get.
	maxTries = 5
)

// New returns the lease that stands in an object.
func New(o Object) *Lease {
	return &Lease{Object: o, Time: 2 * time.Minute, Contest: 3 * time.Second, Now: time.Now}
}

// Lock gets the lease for a run. While another has it the error is backend.ErrLocked.
// unlock gives it back; it may be called twice.
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

// BreakLock gives back the lease of the run id, which backend.ErrLocked names, in its
// place. The run that had it, if it is at work after all, changes nothing more once it
// has noticed. Where the run has no lease the error is fs.ErrNotExist.
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

// Held is backend.Locker's: ErrLost once the lease that Lock got may be another's. A
// server that is silent for a while costs nothing.
func (l *Lease) Held(ctx context.Context) error {
	if t := l.held.Load(); t != nil {
		if err := t.check(ctx); errors.Is(err, ErrLost) {
			return err
		}
	}
	return nil
}

// While makes a change, unless nothing may be changed any more, which is ErrLost. The
// change's context ends with the lease too: a request is tried again for minutes, and
// another run may be at work by then. A store that wasn't locked may be changed.
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
	defer context.AfterFunc(t.ours, func() { cancel(ErrLost) })()
	err := change(work)
	if err != nil && context.Cause(work) == ErrLost {
		return ErrLost
	}
	return err
}

// read looks at the lease.
func (l *Lease) read(ctx context.Context) (Reading, error) {
	r, err := l.Object.Read(ctx)
	if err != nil || !r.Found {
		return Reading{}, err
	}
	r.by = parseHolder(r.Body)
	r.expired = r.Age > max(time.Duration(r.by.Seconds)*time.Second, l.Time)+leeway
	return r, nil
}

// lockedBy is the error that names who has the lease.
func lockedBy(r Reading) error {
	return fmt.Errorf("%w: run %s (on %s, process %d), whose lease holds until %s if it isn't renewed; if that run is surely dead, say --break-lease %[2]s",
		backend.ErrLocked, r.by.Run, r.by.Host, r.by.PID, r.by.Expires.UTC().Format(time.RFC3339))
}

// since is how long ago a moment was. The clock by which a process measures stands
// still while its machine sleeps, and the machine's own may be set back.
func (l *Lease) since(at time.Time) time.Duration {
	now := l.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// term is a lease that was acquired, or is about to be.
type term struct {
	l  *Lease
	me holder

	ours   context.Context // ends once it may be another's
	lose   func()
	expiry *time.Timer // loses it

	mu      sync.Mutex
	etag    string
	version string    // of the object, where the store keeps versions
	plain   bool      // the server knows no conditions
	seen    time.Time // it was ours then
	written time.Time // not before that
}

// newTerm returns a lease that is to be acquired, and lost in the end.
func newTerm(l *Lease, me holder) *term {
	t := &term{l: l, me: me}
	var cancel func()
	t.ours, cancel = context.WithCancel(context.Background())
	t.expiry = time.AfterFunc(l.Time, cancel)
	t.lose = func() {
		t.expiry.Stop()
		cancel()
	}
	return t
}

// acquire gets the lease, unless somebody has it.
func (t *term) acquire(ctx context.Context) error {
	refused := false // where nothing is
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
			t.plain = !r.Found && refused // versitygw takes a delete marker for an object that stands there
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

// certify makes sure that nobody else got the same lease: by a write that a server with
// conditions refuses, or by waiting until who has seen no lease has written one.
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

// renew writes the lease again. What fails is tried again at the next time, until the
// lease has expired.
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
	if errors.Is(err, ErrContested) { // by another, or by this very write, sent twice
		t.recheck(ctx)
	}
}

// recheck finds out whether the lease is ours still.
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
	t.etag, t.version, t.seen = r.ETag, r.Version, now
	t.wrote(now.Add(-max(r.Age, 0)))
	t.forget(ctx, written)
	return nil
}

// check tells why the lease may not be ours any more. It looks, unless it was seen to
// be ours a moment ago.
func (t *term) check(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.lost(); err != nil {
		return err
	}
	if t.l.since(t.seen) < t.l.Time/40 {
		return ctx.Err()
	}
	err := t.recheck(ctx)
	if t.lost() != nil {
		return t.lost()
	}
	return err
}

// release gives the lease back, if it is ours.
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

// write writes the lease in the place of what a look has shown.
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
	t.etag, t.version, t.seen = etag, version, now
	t.wrote(now)
	t.forget(ctx, r.Version)
	return nil
}

// forget removes a version of the lease that was written over.
func (t *term) forget(ctx context.Context, version string) {
	if version != "" && version != t.version {
		t.l.Object.Forget(ctx, version)
	}
}

// wrote notes when the lease was written. It is given up for lost a while before it
// expires, since the server may be at work on what was asked for last.
func (t *term) wrote(at time.Time) {
	if at.After(t.written) {
		t.written = at
		t.expiry.Reset(t.left())
	}
}

// left is how long the lease may still be taken for ours. The timer that loses it
// stands still with a process that is stopped, and with a machine that sleeps.
func (t *term) left() time.Duration { return t.l.Time*7/8 - t.l.since(t.written) }

// lost reports whether it may be another's.
func (t *term) lost() error {
	if t.left() <= 0 {
		t.lose()
	}
	if t.ours.Err() != nil {
		return ErrLost
	}
	return nil
}
