package words

import (
	"math"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1", -100: "-100", -1000: "-1,000",
		math.MinInt64: "-9,223,372,036,854,775,808"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 102400: "100 KiB",
		1<<20 - 1: "1.0 MiB", 1 << 30: "1.0 GiB", 12<<30 + 300<<20: "12.3 GiB", math.MaxInt64: "8.0 EiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 ms", 30 * time.Millisecond: "30 ms", 2140 * time.Millisecond: "2.1 s",
		192 * time.Second: "3 min 12 s", 125 * time.Minute: "2 h 05 min"} {
		if got := Span(d); got != want {
			t.Errorf("Span(%d) = %s, want %s", d, got, want)
		}
	}
}
