package retain

import (
	"testing"
	"time"
)

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{
		1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 10: "10th", 11: "11th", 12: "12th", 13: "13th", 20: "20th",
		21: "21st", 22: "22nd", 23: "23rd", 101: "101st", 111: "111th", 1012: "1012th", 1000: "1000th",
	} {
		if got := ordinal(n); got != want {
			t.Errorf("%d is the %s", n, got)
		}
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1499 * time.Millisecond: "1s", 90 * time.Minute: "1h30m0s", 48 * time.Hour: "48h0m0s", 1000 * time.Hour: "41 days",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%d is %s", d, got)
		}
	}
}
