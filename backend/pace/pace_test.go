package pace

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// takeAll begins as many attempts as the limit allows, and returns their done functions.
func takeAll(t *testing.T, p *Pace) (done []func(bool)) {
	t.Helper()
	for p.active < int(p.limit) {
		d, err := p.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	return done
}

// TestPaceHalves: the limit halves once for all attempts that are active together, down to 1,
// and rises with successes.
func TestPaceHalves(t *testing.T) {
	p := New(16, 0)
	for _, want := range []float64{8, 4, 2, 1, 1} {
		for _, done := range takeAll(t, p) {
			done(true)
		}
		if p.limit != want {
			t.Fatalf("limit %v, want %v", p.limit, want)
		}
	}
	for range 200 {
		for _, done := range takeAll(t, p) {
			done(false)
		}
	}
	if p.limit != 16 || p.active != 0 {
		t.Errorf("limit %v, %d active", p.limit, p.active)
	}
}

// TestPaceCancelled: an attempt whose context ends while it waits uses no slot.
func TestPaceCancelled(t *testing.T) {
	p := New(2, 0)
	held := takeAll(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := p.Take(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	cancel()
	group.Wait()
	for _, done := range held {
		done(false)
	}
	if p.active != 0 || len(p.waiting) != 0 {
		t.Errorf("%d active, %d waiting", p.active, len(p.waiting))
	}
}

// TestPaceBounds: there are never more active attempts than the maximum.
func TestPaceBounds(t *testing.T) {
	p := New(5, 0)
	var active, highest atomic.Int64
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			for j := range 50 {
				done, err := p.Take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := active.Add(1); n > highest.Load() {
					highest.Store(n)
				}
				active.Add(-1)
				done((i+j)%40 == 0)
			}
		})
	}
	group.Wait()
	if highest.Load() > 5 || p.active != 0 || len(p.waiting) != 0 || p.limit < 1 {
		t.Errorf("at most %d active, now %d; %d waiting, limit %v", highest.Load(), p.active, len(p.waiting), p.limit)
	}
}

// TestPaceRate: attempts begin at least an interval apart.
func TestPaceRate(t *testing.T) {
	p := New(100, 10_000)
	before := time.Now()
	for range 50 {
		done, err := p.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done(false)
	}
	if p.next.Before(before.Add(50 * time.Second / 10_000)) {
		t.Errorf("the next may begin %v after the first of 50", p.next.Sub(before))
	}
	p = New(1, 1e-6)
	first, err := p.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Take(ctx); !errors.Is(err, context.Canceled) || p.active != 0 {
		t.Errorf("%v, %d active", err, p.active)
	}
}
