// Package value parses values of flags: durations, shares, sizes, parts, and what to verify.
//
// Each error is a clause that follows the flag's name: "is a duration like 30m, 1h or 7d, not
// \"5\"".
package value

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"regfsck/graph"
	"regfsck/walker/ledger"
)

var daysOrWeeks = regexp.MustCompile(`([0-9.]+)([dw])`)

// Duration parses a duration in Go's notation, with d for days and w for weeks.
func Duration(s string) (time.Duration, error) {
	inHours := daysOrWeeks.ReplaceAllStringFunc(s, func(part string) string {
		n, err := strconv.ParseFloat(part[:len(part)-1], 64)
		if err != nil {
			return part
		}
		n *= 24
		if strings.HasSuffix(part, "w") {
			n *= 7
		}
		return strconv.FormatFloat(n, 'f', -1, 64) + "h"
	})
	d, err := time.ParseDuration(inHours)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is a duration like 30m, 1h or 7d, not %q", s)
	}
	return d, nil
}

// Verify parses a value of --verify: "manifests", "all", "missing", a share like "5%", a part
// like "3/30", or a size like "200GiB".
func Verify(s string) (graph.Verify, error) {
	switch s {
	case "manifests":
		return graph.Verify{}, nil
	case "all":
		return graph.Verify{All: true}, nil
	case "missing":
		return graph.Verify{Missing: true}, nil
	}
	if p, ok := Part(s); ok {
		return graph.Verify{Part: p}, nil
	}
	if n, err := Bytes(s); err == nil && strings.HasSuffix(s, "B") { // a number without a unit may be meant as a share
		return graph.Verify{Budget: n}, nil
	}
	n, ok := percent(s)
	if !ok || n == 0 {
		return graph.Verify{}, fmt.Errorf("is manifests, all, or a share like 5%%, or else missing, a part like 3/30, or a size like 200GiB, not %q", s)
	}
	if n == 100 {
		return graph.Verify{All: true}, nil
	}
	return graph.Verify{Percent: n}, nil
}

// Part parses one of several equal parts: "3/30".
func Part(s string) (p ledger.Part, ok bool) {
	i, n, ok := strings.Cut(s, "/")
	if !ok {
		return p, false
	}
	var err, broke error
	p.I, err = strconv.ParseUint(i, 10, 32)
	p.N, broke = strconv.ParseUint(n, 10, 32)
	return p, err == nil && broke == nil && p.I >= 1 && p.I <= p.N
}

// percent parses a percentage from 0 to 100.
func percent(s string) (n float64, ok bool) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	return n, ok && err == nil && n >= 0 && n <= 100
}

// Share parses a percentage from 0 to 100 and returns it as a fraction.
func Share(s string) (float64, error) {
	n, ok := percent(s)
	if !ok {
		return 0, fmt.Errorf("is a share like 25%%, not %q", s)
	}
	return n / 100, nil
}

// Bytes parses a number of bytes, with a unit from KiB to TiB or kB to TB.
func Bytes(s string) (int64, error) {
	digits, unit := strings.TrimRight(s, "kKMGTiB"), 1.0
	if at, ok := map[string]float64{
		"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[s[len(digits):]]; ok {
		unit = at
	} else {
		digits = ""
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !(n*unit >= 1 && n*unit < math.MaxInt64) {
		return 0, fmt.Errorf("is a number of bytes like 500kB or 10MiB, not %q", s)
	}
	return int64(n * unit), nil
}
