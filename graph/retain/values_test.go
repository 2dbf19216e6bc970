package retain

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]Duration{
		"36h":         {Hours: 36},
		"30d":         {Days: 30},
		"2w":          {Weeks: 2},
		"6mo":         {Months: 6},
		"1y":          {Years: 1},
		"1y6mo":       {Years: 1, Months: 6},
		"1y2mo3w4d5h": {Years: 1, Months: 2, Weeks: 3, Days: 4, Hours: 5},
		"999999y":     {Years: 999_999},
		"0y1h":        {Hours: 1},
	} {
		got, err := ParseDuration(s)
		if got != want || err != nil {
			t.Errorf("%q is %+v, %v", s, got, err)
		}
		if again, err := ParseDuration(got.String()); again != want || err != nil {
			t.Errorf("%q is written %q, which is %+v, %v", s, got, again, err)
		}
	}
	if d, err := ParseDuration("5h6mo"); d != (Duration{Months: 6, Hours: 5}) || d.String() != "6mo5h" || err != nil {
		t.Errorf("another order gives %s, %v", d, err)
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for s, says := range map[string]string{
		"":           "no length of time",
		"0d":         "no length of time",
		"0y0mo":      "no length of time",
		"30":         "30 of what",
		"1y6":        "6 of what",
		"6m":         `"6m" could be minutes or months: write 6mo`,
		"1y6m":       "could be minutes or months",
		"6m1d":       "could be minutes or months",
		"5min":       `"min" is no unit`,
		"5s":         `"s" is no unit`,
		"1D":         `"D" is no unit`,
		"1d 2h":      `"d " is no unit`,
		" 1d":        "whole number",
		"d":          "whole number",
		"-1d":        "whole number",
		"+1d":        "whole number",
		"1.5d":       `"." is no unit`,
		"1d2d":       `"d" is given twice`,
		"1000000d":   "six digits",
		"1y0000001d": "six digits",
		"P30D":       "whole number",
		"\u0663d":    "whole number",
	} {
		got, err := ParseDuration(s)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %+v, %v; want %q", s, got, err, says)
		}
	}
}

func TestDurationBefore(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		end, duration, want string
		zone                *time.Location
	}{
		{"2025-06-01T12:00:00Z", "36h", "2025-05-31T00:00:00Z", time.UTC},
		{"2025-06-01T12:00:00Z", "2w1d", "2025-05-17T12:00:00Z", time.UTC},
		{"2025-03-31T12:00:00.5Z", "1mo", "2025-02-28T12:00:00.5Z", time.UTC},
		{"2024-03-31T12:00:00Z", "1mo", "2024-02-29T12:00:00Z", time.UTC},
		{"2024-02-29T12:00:00Z", "1y", "2023-02-28T12:00:00Z", time.UTC},
		{"2024-02-29T12:00:00Z", "4y", "2020-02-29T12:00:00Z", time.UTC},
		{"2025-03-31T12:00:00Z", "1mo1d", "2025-02-27T12:00:00Z", time.UTC},
		{"2025-01-15T12:00:00Z", "1mo", "2024-12-15T12:00:00Z", time.UTC},
		{"2025-05-31T12:00:00Z", "2y18mo", "2021-11-30T12:00:00Z", time.UTC},
		{"2025-03-30T10:00:00Z", "1d", "2025-03-29T11:00:00Z", berlin}, // a day of 23 hours
		{"2025-03-30T10:00:00Z", "24h", "2025-03-29T10:00:00Z", berlin},
		{"2024-10-27T00:30:00Z", "1h", "2024-10-26T23:30:00Z", berlin}, // 02:30
		{"2024-10-27T01:30:00Z", "1h", "2024-10-27T00:30:00Z", berlin}, // 02:30 again
		{"2025-04-15T10:00:00Z", "2mo", "2025-02-15T11:00:00Z", berlin},
	} {
		end := time.Unix(0, at(t, c.end)).In(c.zone)
		if got := duration(t, c.duration).Before(end); got.UnixNano() != at(t, c.want) {
			t.Errorf("%s before %s is %s, want %s", c.duration, c.end, got.UTC(), c.want)
		}
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]Count{"1": 1, "7": 7, "999999999": 999_999_999, "all": All, "0": None} {
		if got, err := ParseCount(s); got != want || got.String() != s || err != nil {
			t.Errorf("%q is %d, written %q, %v", s, int(got), got, err)
		}
	}
	if got, err := ParseCount("unlimited"); got != All || err != nil {
		t.Errorf("unlimited is %v, %v", got, err)
	}
	for _, s := range []string{"", "-1", "-2", "+1", "1.5", "1000000000", "99999999999999999999", "x", "All", " 1"} {
		if got, err := ParseCount(s); err == nil || got != 0 {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"", "1y6mo", "2w1d", "6m", "0h", "999999d", "1d1d", "d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if (err == nil) == (d == Duration{}) || d.negative() {
			t.Fatalf("%q is %+v, %v", s, d, err)
		}
		if err != nil {
			return
		}
		if again, err := ParseDuration(d.String()); again != d || err != nil {
			t.Errorf("%q is written %q, which is %+v, %v", s, d, again, err)
		}
		if end := now.Add(time.Nanosecond); !d.Before(end).Before(end) {
			t.Errorf("%s before %s is %s", d, end, d.Before(end))
		}
	})
}
