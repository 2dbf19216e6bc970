package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

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

const leaseKey = ownFolder + "/lock"

// Lock is backend.Locker's. The lock is a lease: an object that is written where
// there is none, and again and again until it is given back. One that was left by
// a crash expires. Where the server knows no conditional writes, the lease is
// written, and read again once any other that had seen none must have written
// its own. From then on Put, Remove, Restore, Purge and Abort look whether the
// lease is still theirs, and end what they ask for once it may not be.
func (s *Store) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if err := checkRun(run); err != nil {
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

// BreakLease gives back the lease of the run id, which ErrLocked names, in its
// place. The run that had it, if it is at work after all, changes nothing more
// once it has noticed. Where the run has no lease the error is fs.ErrNotExist.
func (s *Store) BreakLease(ctx context.Context, id string) error {
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
