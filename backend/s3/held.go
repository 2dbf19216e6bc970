package s3

import (
	"context"
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
		l.expiry.Reset(time.Until(at.Add(l.s.leaseTime * 7 / 8)))
	}
}

// lost tells whether it may be another's.
func (l *lease) lost() error {
	if l.ours.Err() != nil {
		return errLeaseLost
	}
	return nil
}
