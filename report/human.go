package report

import (
	"fmt"
	"time"

	"regfsck/backend/words"
)

// Number is words.Number.
func Number[T int | int64](n T) string { return words.Number(n) }

// Size writes a number of bytes in binary units: "0 B", "1023 B", "1.5 KiB",
// "12.3 GiB", "117 TiB".
func Size(n int64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, u := float64(n), 0
	for value >= 1023.5 && u < len(units)-1 {
		value, u = value/1024, u+1
	}
	if u == 0 || value >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, units[u])
	}
	return fmt.Sprintf("%.1f %s", value, units[u])
}

// Span writes a duration as a person would: "30 ms", "2.1 s", "3 min 12 s",
// "2 h 05 min".
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// Plural is words.Plural.
func Plural[T int | int64](n T, one, many string) string { return words.Plural(n, one, many) }
