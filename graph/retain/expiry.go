package retain

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// expiryUnits are the units of quay.expires-after.
var expiryUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// parseExpiry parses a value of quay.expires-after: at most nine digits and a unit, s, m, h,
// d or w. ok is false for 0.
func parseExpiry(s string) (nanoseconds int64, ok bool) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, false
	}
	number, unit := s[:len(s)-1], expiryUnits[s[len(s)-1]]
	n, err := strconv.ParseUint(number, 10, 64)
	if unit == 0 || err != nil || n == 0 || len(number) > 9 || int64(n) > math.MaxInt64/int64(unit) {
		return 0, false
	}
	return int64(n) * int64(unit), true
}

// expiry returns when a tag expires, and the value that says so; 0 for never. The latest of
// several values counts.
func (t *Tag) expiry() (at int64, says string) {
	for _, text := range t.Expires {
		after, ok := parseExpiry(text)
		if !ok || t.Pushed > math.MaxInt64-after {
			return 0, ""
		}
		if t.Pushed+after > at {
			at, says = t.Pushed+after, text
		}
	}
	return at, says
}

// expire takes expired tags out before other rules count: they take no slot.
func (e *evaluation) expire() {
	if !e.rules.Expiry {
		return
	}
	e.expired = map[int]string{}
	kept := e.order[:0:0]
	for _, d := range e.order {
		at, says := int64(0), ""
		if t := &e.tags[d.tag]; believable(t.Pushed, e.options.Now) {
			at, says = t.expiry()
		}
		date := "no date"
		if at != 0 {
			date = time.Unix(0, at).In(e.options.Zone).Format("2006-01-02 15:04")
		}
		if at != 0 && at <= Nanoseconds(e.options.Now) {
			e.expired[d.tag] = "expired " + date + " (quay.expires-after " + says + ")"
			continue
		}
		kept = append(kept, d)
		if !e.rules.keeps() {
			e.keep(d.tag, "honour-expiry ("+date+")")
		}
	}
	e.order = kept
}
