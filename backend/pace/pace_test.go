package pace

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// takeAll takes as many places as are free, and returns what gives them back.
func takeAll(t *testing.T, p *Pace) (done []func(bool)) {
	t.Helper()
	for p.flying < int(p.limit) {
		d, err := p.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, d)
	}
	return done
}

// TestPaceHalves: once for all that fly together, down to one, and up again as
// long as all goes well.
func TestPaceHalves(t *testing.T) {
	p := New(16, 0)
	for _, want := range []float64{8, 4, 2, 1, 1} {
		for _, done := range takeAll(t, p) {
			done(true)
		}
		if p.limit != want {
			t.Fatalf("%v may fly, want %v", p.limit, want)
		}
	}
	for range 200 {
		for _, done := range takeAll(t, p) {
			done(false)
		}
	}
	if p.limit != 16 || p.flying != 0 {
		t.Errorf("%v may fly, and %d do", p.limit, p.flying)
	}
}

// TestPaceCancelled: who gives up takes no place along.
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
	if p.flying != 0 || len(p.waiting) != 0 {
		t.Errorf("%d fly and %d wait", p.flying, len(p.waiting))
	}
}

// TestPaceBounds: never do more fly than may.
func TestPaceBounds(t *testing.T) {
	p := New(5, 0)
	var flying, highest atomic.Int64
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			for j := range 50 {
				done, err := p.Take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := flying.Add(1); n > highest.Load() {
					highest.Store(n)
				}
				flying.Add(-1)
				done((i+j)%40 == 0)
			}
		})
	}
	group.Wait()
	if highest.Load() > 5 || p.flying != 0 || len(p.waiting) != 0 || p.limit < 1 {
		t.Errorf("%d flew at a time, %d fly, %d wait, %v may", highest.Load(), p.flying, len(p.waiting), p.limit)
	}
}

// TestPaceRate: attempts begin an interval apart from one another.
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
	if _, err := p.Take(ctx); !errors.Is(err, context.Canceled) || p.flying != 0 {
		t.Errorf("%v, %d fly", err, p.flying)
	}
}
