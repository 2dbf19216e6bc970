package source

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestRate: all bytes are read, at most at the given rate by all readers together. A wait ends
// with the context.
func TestRate(t *testing.T) {
	const size, second = 30_000, 100_000
	for _, r := range []*Rate{nil, NewRate(0), NewRate(second), NewRate(10 * maxBurst)} {
		body, err := io.ReadAll(r.Reader(t.Context(), strings.NewReader(strings.Repeat("x", size))))
		if err != nil || len(body) != size {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	}
	r := NewRate(second)
	began := time.Now()
	done := make(chan int64)
	for range 5 {
		go func() {
			n, _ := io.Copy(io.Discard, r.Reader(t.Context(), strings.NewReader(strings.Repeat("x", size))))
			done <- n
		}()
	}
	var all int64
	for range 5 {
		all += <-done
	}
	if took := time.Since(began); all != 5*size || took < time.Duration(all-second)*time.Second/second {
		t.Errorf("%d bytes in %s", all, took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	slow := NewRate(1).Reader(ctx, strings.NewReader("many bytes"))
	if _, err := slow.Read(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := slow.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
