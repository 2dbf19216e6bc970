package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
)

// holder is what the object of a lease says. Whether it has expired is judged by
// the server's clock alone: by when the object was written, and Seconds.
type holder struct {
	Run     string    `json:"run"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"` // by the holder's clock, for people
	Seconds int       `json:"seconds"` // how long the lease holds from when it was written
	Token   string    `json:"token"`   // tells this lease from all others
}

var (
	errLeaseLost = errors.New("this run has lost its lease of the store: another may be at work on it by now, so that nothing more is changed")
	errNoLease   = fmt.Errorf("no run has the lease: %w", fs.ErrNotExist)
)

const leaseKey = ownDir + "/lock"

// lockLease is Lock without the state directory. The lock is a lease: an object that is
// written where there is none, and again and again until it is given back. One that was
// left by a crash expires. Where the server knows no conditional writes, the lease is
// written, and read again once any other that had seen none must have written
// its own. From then on Put, Remove, Restore, Purge and Abort look whether the
// lease is still theirs, and end what they ask for once it may not be.
func (s *Store) lockLease(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if err := run.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Retained(ctx); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	l := newLease(s, holder{Run: run.ID, Host: host, PID: os.Getpid(), Token: rand.Text()})
	if err := l.acquire(ctx); err != nil {
		l.lose()
		return nil, err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { l.keep(work) })
	s.leased.Store(l)
	return sync.OnceValue(func() error {
		cancel()
		renewing.Wait()
		s.leased.CompareAndSwap(l, nil)
		defer l.lose()
		return l.release(context.WithoutCancel(ctx))
	}), nil
}

// BreakLock gives back the lease of the run id, which ErrLocked names, in its
// place. The run that had it, if it is at work after all, changes nothing more
// once it has noticed. Where the run has no lease the error is fs.ErrNotExist.
func (s *Store) BreakLock(ctx context.Context, id string) error {
	for {
		r, err := s.readLease(ctx)
		switch {
		case err != nil:
			return err
		case !r.found:
			return errNoLease
		case r.by.Run != id:
			return fmt.Errorf("the lease is that of run %s, not of %s: %w", r.by.Run, id, fs.ErrNotExist)
		}
		if err := s.removeLease(ctx, r); err != nil {
			return err
		}
		if r, err = s.readLease(ctx); err != nil || !r.found {
			return err
		}
	}
}

// lockedBy is the error that names who has the lease.
func lockedBy(r reading) error {
	return fmt.Errorf("%w: run %s (on %s, process %d), whose lease holds until %s if it isn't renewed; if that run is surely dead, say --break-lease %[2]s",
		backend.ErrLocked, r.by.Run, r.by.Host, r.by.PID, r.by.Expires.UTC().Format(time.RFC3339))
}

// parseHolder reads what a lease says. What can't be read is somebody's too.
func parseHolder(body []byte) (h holder) {
	if json.Unmarshal(body, &h) != nil || h.Run == "" {
		return holder{Run: "unknown"}
	}
	return h
}

// lease is one that was acquired, or is about to be.
type lease struct {
	s  *Store
	me holder

	ours   context.Context // ends once it may be another's
	lose   func()
	expiry *time.Timer // loses it

	mu      sync.Mutex
	etag    string
	version string    // of the object, where the bucket keeps versions
	plain   bool      // the server knows no conditions
	seen    time.Time // it was ours then
	written time.Time // not before that
}

// reading is what a look at the lease shows.
type reading struct {
	found         bool
	by            holder
	etag, version string
	age           time.Duration // by the server's clock; 0 where it doesn't tell
	expired       bool
}

// readLease looks at the lease.
func (s *Store) readLease(ctx context.Context) (reading, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + leaseKey)})
	if err != nil {
		if err = s.explain(ctx, "lock", leaseKey, mayGet, err); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return reading{}, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, 1<<16))
	if err != nil {
		return reading{}, s.explain(ctx, "lock", leaseKey, mayGet, err)
	}
	r := reading{found: true, by: parseHolder(body), etag: aws.ToString(out.ETag), version: aws.ToString(out.VersionId)}
	now, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		now = time.Now()
	}
	holds := max(time.Duration(r.by.Seconds)*time.Second, s.leaseTime) + strictly
	if out.LastModified != nil {
		r.age = now.Sub(*out.LastModified)
	}
	r.expired = r.age > holds
	return r, nil
}

// keep renews the lease until ctx ends.
func (l *lease) keep(ctx context.Context) {
	ticker := time.NewTicker(l.s.leaseTime / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew writes the lease again. What fails is tried again at the next time,
// until the lease has expired.
func (l *lease) renew(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost() != nil {
		return
	}
	r := reading{found: true, etag: l.etag, version: l.version}
	var err error
	if l.plain {
		err = l.recheck(ctx)
	}
	if err == nil {
		err = l.write(ctx, r)
	}
	if contested(err) { // by another, or by this very write, sent twice
		l.recheck(ctx)
	}
}

// recheck finds out whether the lease is ours still.
func (l *lease) recheck(ctx context.Context) error {
	now := l.s.now()
	r, err := l.s.readLease(ctx)
	switch {
	case err != nil:
		return err
	case r.by.Token != l.me.Token:
		l.lose()
		return errLeaseLost
	}
	written := l.version
	l.etag, l.version, l.seen = r.etag, r.version, now
	l.wrote(now.Add(-max(r.age, 0)))
	l.forget(ctx, written)
	return nil
}

// check tells why the lease may not be ours any more. It looks, unless it was
// seen to be ours a moment ago.
func (l *lease) check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lost(); err != nil {
		return err
	}
	if l.s.since(l.seen) < l.s.leaseTime/40 {
		return ctx.Err()
	}
	err := l.recheck(ctx)
	if l.lost() != nil {
		return l.lost()
	}
	return err
}

// release gives the lease back, if it is ours.
func (l *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.leaseTime)
	defer cancel()
	for range maxTries {
		r, err := l.s.readLease(ctx)
		if err != nil {
			return err
		}
		if r.by.Token != l.me.Token {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.lost()
		}
		if err := l.s.removeLease(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// removeLease removes the lease that a look has shown, and no other where the
// bucket keeps versions.
func (s *Store) removeLease(ctx context.Context, r reading) error {
	v := s.deleteOne(ctx, target{leaseKey, r.version})
	if r.version != "" && errors.Is(v.err, fs.ErrPermission) {
		v = s.deleteOne(ctx, target{key: leaseKey})
	}
	return v.err
}

// acquire gets the lease, unless somebody has it.
func (l *lease) acquire(ctx context.Context) error {
	refused := false // where nothing is
	for range maxTries {
		r, err := l.s.readLease(ctx)
		if err != nil {
			return err
		}
		if r.found && !r.expired && r.by.Token != l.me.Token {
			return lockedBy(r)
		}
		err = l.write(ctx, r)
		if contested(err) {
			l.plain = !r.found && refused // versitygw takes a delete marker for an object that stands there
			refused = !r.found
			continue
		}
		if err != nil {
			return l.s.explain(ctx, "lock", leaseKey, mayPut, err)
		}
		return l.certify(ctx)
	}
	return l.s.explain(ctx, "lock", leaseKey, mayPut, errMeanwhile)
}

// write writes the lease in the place of what a look has shown.
func (l *lease) write(ctx context.Context, r reading) error {
	now := l.s.now()
	l.me.Seconds = int(l.s.leaseTime / time.Second)
	l.me.Expires = now.Add(l.s.leaseTime).UTC().Truncate(time.Second)
	body, err := json.Marshal(l.me)
	if err != nil {
		return err
	}
	in := &s3.PutObjectInput{Bucket: &l.s.bucket, Key: aws.String(l.s.root + leaseKey), Body: bytes.NewReader(body), ContentType: aws.String("application/json")}
	l.s.options.stored(in)
	switch {
	case l.plain:
	case r.found:
		in.IfMatch = &r.etag
	default:
		in.IfNoneMatch = aws.String("*")
	}
	out, err := l.s.client.PutObject(ctx, in)
	if !l.plain && unknownRequest(err) {
		l.plain = true
		in.IfMatch, in.IfNoneMatch, in.Body = nil, nil, bytes.NewReader(body)
		out, err = l.s.client.PutObject(ctx, in)
	}
	if err != nil {
		return err
	}
	l.etag, l.version, l.seen = aws.ToString(out.ETag), aws.ToString(out.VersionId), now
	l.wrote(now)
	l.forget(ctx, r.version)
	return nil
}

// forget removes a version of the lease that was written over.
func (l *lease) forget(ctx context.Context, version string) {
	if version != "" && version != l.version && version != nullVersion {
		l.s.deleteOne(ctx, target{leaseKey, version})
	}
}

// certify makes sure that nobody else got the same lease: by a write that a
// server with conditions refuses, or by waiting until who has seen no lease has
// written one.
func (l *lease) certify(ctx context.Context) error {
	if !l.plain {
		err := l.write(ctx, reading{version: l.version})
		if contested(err) {
			return nil
		}
		if err != nil {
			return l.s.explain(ctx, "lock", leaseKey, mayPut, err)
		}
		l.plain = true
	}
	select {
	case <-time.After(l.s.contestTime):
	case <-ctx.Done():
		return backend.Join(ctx.Err(), l.release(context.WithoutCancel(ctx)))
	}
	r, err := l.s.readLease(ctx)
	if err == nil && r.by.Token != l.me.Token {
		written := l.version
		l.version = ""
		l.forget(ctx, written)
		err = lockedBy(r)
	}
	return err
}

// whileHeld makes a change, unless nothing may be changed any more. Its context
// ends with the lease too: a request is tried again for minutes, and another run
// may be at work by then. A store that wasn't locked may be changed.
func (s *Store) whileHeld(ctx context.Context, change func(context.Context) error) error {
	l := s.leased.Load()
	if l == nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return change(ctx)
	}
	if err := l.check(ctx); err != nil {
		return err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ours, func() { cancel(errLeaseLost) })()
	err := change(work)
	if err != nil && context.Cause(work) == errLeaseLost {
		return errLeaseLost
	}
	return err
}

// Sync is backend.Syncer's: a server answers once a change lasts.
func (*Store) Sync(context.Context) error { return nil }

// Held is backend.Locker's. A server that is silent for a while costs nothing.
func (s *Store) Held(ctx context.Context) error {
	if l := s.leased.Load(); l != nil {
		if err := l.check(ctx); errors.Is(err, errLeaseLost) {
			return err
		}
	}
	return nil
}

// newLease returns a lease that is to be acquired, and lost in the end.
func newLease(s *Store, me holder) *lease {
	l := &lease{s: s, me: me}
	var cancel func()
	l.ours, cancel = context.WithCancel(context.Background())
	l.expiry = time.AfterFunc(s.leaseTime, cancel)
	l.lose = func() {
		l.expiry.Stop()
		cancel()
	}
	return l
}

// wrote notes when the lease was written. It is given up for lost a while before
// it expires, since the server may be at work on what was asked for last.
func (l *lease) wrote(at time.Time) {
	if at.After(l.written) {
		l.written = at
		l.expiry.Reset(l.left())
	}
}

// left is how long the lease may still be taken for ours. The timer that loses it
// stands still with a process that is stopped, and with a machine that sleeps.
func (l *lease) left() time.Duration { return l.s.leaseTime*7/8 - l.s.since(l.written) }

// since is how long ago a moment was. The clock by which a process measures stands
// still while its machine sleeps, and the machine's own may be set back.
func (s *Store) since(at time.Time) time.Duration {
	now := s.now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// lost reports whether it may be another's.
func (l *lease) lost() error {
	if l.left() <= 0 {
		l.lose()
	}
	if l.ours.Err() != nil {
		return errLeaseLost
	}
	return nil
}
