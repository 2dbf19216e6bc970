package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Clean returns s fit for a terminal: control characters, bytes that are no
// UTF-8, marks that change the direction of writing and everything else that
// can't be seen are written as Go escapes, and so is the backslash itself.
func Clean(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || r == '\\' || !strconv.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

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

// Ago writes how long ago something was: "less than a minute ago", "5 minutes ago". It counts
// minutes below hours, hours below two days, and then days. A negative duration is future.
func Ago(d, hours time.Duration, future string) string {
	switch {
	case d < 0:
		return future
	case d < time.Minute:
		return "less than a minute ago"
	case d < hours:
		return Plural(int(d.Minutes()), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return Plural(int(d.Hours()), "hour", "hours") + " ago"
	}
	return Plural(int(d.Hours()/24), "day", "days") + " ago"
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

// Quote quotes s as one word of a shell.
func Quote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%="
	if Clean(s) != s {
		return "$'" + strings.ReplaceAll(Clean(s), "'", `\'`) + "'"
	}
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
