package s3

import (
	"context"
	"errors"
	"time"
)

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

// Held is backend.Holder's. A server that is silent for a while costs nothing.
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
