package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
)

var daysOrWeeks = regexp.MustCompile(`([0-9.]+)([dw])`)

// span reads a duration: Go's notation, and d for days and w for weeks.
func span(s string) (time.Duration, error) {
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

// verify reads what is to be hashed: "manifests", "all", or a share like "5%".
func verify(s string) (graph.Verify, error) {
	switch s {
	case "manifests":
		return graph.Verify{}, nil
	case "all":
		return graph.Verify{All: true}, nil
	}
	share, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(share, 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return graph.Verify{}, fmt.Errorf("is manifests, all, or a share like 5%%, not %q", s)
	}
	if n == 100 {
		return graph.Verify{All: true}, nil
	}
	return graph.Verify{Percent: n}, nil
}

// severity reads the mildest finding that raises the exit code; finding.Fatal
// stands for never.
func severity(s string) finding.Severity {
	switch s {
	case "warning":
		return finding.Warning
	case "garbage":
		return finding.Garbage
	case "never":
		return finding.Fatal
	}
	return finding.Error
}
