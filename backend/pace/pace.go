// Package pace keeps the requests to one server at the pace that it bears.
package pace

import (
	"context"
	"sync"
	"time"
)

// Pace decides when the next attempt of any request may begin. It lets so many
// fly at once as the server bears: a throttled one halves their number, at most
// once for all that flew together, and each that goes well gives a little back.
type Pace struct {
	mu      sync.Mutex
	max     float64
	limit   float64
	flying  int
	round   int             // counts the halvings
	waiting []chan struct{} // first come, first served; closed when it is one's turn

	interval time.Duration // between two attempts; 0 is none
	next     time.Time     // when the next attempt may begin
}

// New returns a pace at which so many requests fly at once at most, and rate attempts
// begin in a second at most; a rate of 0 is no limit.
func New(flights int, rate float64) *Pace {
	p := &Pace{max: float64(flights), limit: float64(flights)}
	if rate > 0 {
		p.interval = time.Duration(float64(time.Second) / rate)
	}
	return p
}

// Take waits for leave to begin. Exactly one call of done must follow, which
// reports whether the server was asked too much.
func (p *Pace) Take(ctx context.Context) (done func(throttled bool), err error) {
	round, err := p.board(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		p.land(round, false, false)
		return nil, err
	}
	return func(throttled bool) { p.land(round, throttled, !throttled) }, nil
}

// board waits for a place among those that fly, and returns the round.
func (p *Pace) board(ctx context.Context) (int, error) {
	p.mu.Lock()
	if p.flying < int(p.limit) && len(p.waiting) == 0 {
		defer p.mu.Unlock()
		p.flying++
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
	p.leave(turn)
	return 0, ctx.Err()
}

// leave gives up a turn that came, or that hasn't come yet.
func (p *Pace) leave(turn chan struct{}) {
	for i, w := range p.waiting {
		if w == turn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return
		}
	}
	p.flying--
	p.call()
}

// land gives a place back.
func (p *Pace) land(round int, throttled, well bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	switch {
	case throttled && round == p.round:
		p.limit = max(1, p.limit/2)
		p.round++
	case well:
		p.limit = min(p.max, p.limit+1/p.limit)
	}
	p.call()
}

// call lets as many begin as may.
func (p *Pace) call() {
	for len(p.waiting) > 0 && p.flying < int(p.limit) {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		p.flying++
	}
}

// wait keeps to the rate.
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
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
