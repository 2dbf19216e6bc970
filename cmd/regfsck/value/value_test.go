package value

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "2w": 336 * time.Hour,
		"1w2d3h": 219 * time.Hour, "1.5d": 36 * time.Hour,
	} {
		if got, err := Duration(s); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "7", "1x", "-1d", "1..5d", "7 d", "9999999999999999999d", "h7"} {
		if got, err := Duration(s); err == nil {
			t.Errorf("%q was taken for %v", s, got)
		}
	}
}

// TestBytes: valid and invalid sizes.
func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "500kB": 500_000, "10MiB": 10 << 20, "1.5KiB": 1536, "2G": 2 << 30, "3 MB": 3_000_000} {
		if n, err := Bytes(text); err != nil || n != want {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "MiB", "10m", "1e30GiB", "NaN", "10MiB/s"} {
		if n, err := Bytes(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}
