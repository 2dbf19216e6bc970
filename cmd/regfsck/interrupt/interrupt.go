// Package interrupt lets a run end at a safe point when a signal asks for it.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"sync"
)

// Signals are those that stop a run. The first one ends the run's context, and the next one
// the process, as if nobody looked at it; while they are held, each is told to the holder.
type Signals struct {
	all []os.Signal
	in  chan os.Signal

	mu     sync.Mutex
	came   bool
	holder func() // nil where nobody holds them
}

// Notify returns a context that ends at the first of those signals, or when stop is called.
func Notify(ctx context.Context, signals ...os.Signal) (_ context.Context, s *Signals, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	s = &Signals{all: signals, in: make(chan os.Signal, 8)}
	signal.Notify(s.in, signals...)
	context.AfterFunc(ctx, s.Default)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-s.in:
			case <-ended:
				return
			}
			s.mu.Lock()
			s.came = true
			holder := s.holder
			s.mu.Unlock()
			s.Default()
			cancel()
			if holder != nil {
				holder()
			}
		}
	}()
	return ctx, s, func() {
		cancel()
		signal.Stop(s.in)
		close(ended)
	}
}

// Default lets the next signal end the process, unless they are held.
func (s *Signals) Default() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == nil {
		signal.Stop(s.in)
	}
}

// Hold tells each signal to holder until release is called, which may be done twice. The
// first one ends the context all the same. After one came, the next one ends the process
// once they are released.
func (s *Signals) Hold(holder func()) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holder = holder
	signal.Notify(s.in, s.all...)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.holder = nil; s.came {
			signal.Stop(s.in)
		}
	}
}
