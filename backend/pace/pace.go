// Package pace limits the rate and the concurrency of requests to one server.
package pace

import (
	"context"
	"slices"
	"sync"
	"time"

	"regfsck/backend"
)

// Pace decides when the next attempt of a request may begin. It limits how many are active at
// once: a throttled attempt halves the limit, at most once for all attempts that were active
// together, and each success raises it a little.
type Pace struct {
	mu      sync.Mutex
	max     float64
	limit   float64
	active  int
	round   int             // number of halvings
	waiting []chan struct{} // in order of arrival; closed to let it begin

	interval time.Duration // between the begins of two attempts; 0 for none
	next     time.Time     // when the next attempt may begin
}

// New returns a Pace for at most concurrent active attempts, and at most rate begins of
// attempts in a second; 0 is no limit.
func New(concurrent int, rate float64) *Pace {
	p := &Pace{max: float64(concurrent), limit: float64(concurrent)}
	if rate > 0 {
		p.interval = time.Duration(float64(time.Second) / rate)
	}
	return p
}

// Take waits until an attempt may begin. done must be called exactly once; throttled reports
// whether the server throttled the attempt.
func (p *Pace) Take(ctx context.Context) (done func(throttled bool), err error) {
	round, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		p.release(round, false, false)
		return nil, err
	}
	return func(throttled bool) { p.release(round, throttled, !throttled) }, nil
}

// acquire waits until one more attempt may be active, and returns the round.
func (p *Pace) acquire(ctx context.Context) (int, error) {
	p.mu.Lock()
	if p.active < int(p.limit) && len(p.waiting) == 0 {
		defer p.mu.Unlock()
		p.active++
		return p.round, nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	select {
	case <-turn:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil {
		return p.round, nil
	}
	p.cancel(turn)
	return 0, ctx.Err()
}

// cancel ends a wait, also one that has just ended.
func (p *Pace) cancel(turn chan struct{}) {
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	p.active--
	p.wake()
}

// release ends an attempt.
func (p *Pace) release(round int, throttled, succeeded bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	switch {
	case throttled && round == p.round:
		p.limit = max(1, p.limit/2)
		p.round++
	case succeeded:
		p.limit = min(p.max, p.limit+1/p.limit)
	}
	p.wake()
}

// wake lets waiting attempts begin, up to the limit.
func (p *Pace) wake() {
	for len(p.waiting) > 0 && p.active < int(p.limit) {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		p.active++
	}
}

// wait waits until the rate allows the next attempt.
func (p *Pace) wait(ctx context.Context) error {
	if p.interval == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(p.interval)
	p.mu.Unlock()
	return backend.WaitUntil(ctx, at)
}
