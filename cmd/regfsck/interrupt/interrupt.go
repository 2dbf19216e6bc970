// Package interrupt ends a run at a safe point when a signal arrives.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"sync"
)

// Signals are the signals that stop a run. The first one cancels the run's context, and the
// next one ends the process. While they are held, each calls the holder instead.
type Signals struct {
	all []os.Signal
	in  chan os.Signal

	mu     sync.Mutex
	came   bool
	holder func() // nil if they aren't held
}

// Notify returns a context that ends with the first signal, or when stop is called.
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

// Default restores the default action of the signals, unless they are held.
func (s *Signals) Default() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == nil {
		signal.Stop(s.in)
	}
}

// Hold calls holder for each signal until release is called, which may be called twice. The
// first signal still cancels the context. After one was received, the next one after release
// ends the process.
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
