package retain

import (
	"math"
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	for _, g := range []golden{
		{name: "by the created time", rules: Rules{Last: 1, By: Created}, lines: `
			v2 b 2025-01-01 2024-02-02 = keep-last 1 (1st); newest
			v1 a 2025-03-03 2024-01-01 = - not kept by keep-last 1 (2nd)`},
		{name: "a created time that can't be gives way to the pushed time", rules: Rules{Last: 3, By: Created}, lines: `
			new    n 2025-01-06 2025-01-05 = keep-last 3 (1st); newest
			epoch  a 2025-01-04 1970-01-01 = keep-last 3 (2nd)
			one    b 2025-01-03 ?          = keep-last 3 (3rd)
			first  c 2025-01-02 0001-01-01 = - not kept by keep-last 3 (4th)
			2012   d 2025-01-01 2012-12-31T23:59:59Z = - not kept by keep-last 3 (5th)
			future e 2024-12-31 2025-06-01T12:06     = - not kept by keep-last 3 (6th)
			far    f 2024-12-30 9999-12-31 = - not kept by keep-last 3 (7th)
			2013   g 2025-01-01 2013-01-01 = - not kept by keep-last 3 (8th)`},
		{name: "a clock that is a little fast", rules: Rules{Last: 1, By: Created}, lines: `
			v2 b 2024-01-01 2025-06-01T12:05 = keep-last 1 (1st); newest
			v1 a 2025-06-01 2025-06-01T12:00 = - not kept by keep-last 1 (2nd)`},
		{name: "without a date it is kept, and takes no slot", rules: Rules{Last: 1, Within: Duration{Days: 1}}, lines: `
			late a 2030-01-01            = of unknown age (pushed 2030-01-01 is in the future)
			old  b 2012-01-01 2025-01-01 = of unknown age (pushed 2012-01-01 is before 2013)
			none c ?          2025-01-01 = of unknown age (pushed isn't known)
			v2   d 2025-01-02            = keep-last 1 (1st); keep-within 1d; newest
			v1   e 2025-01-01            = - not kept by keep-last 1 (2nd); keep-within 1d (after 2025-01-01 00:00)`},
		{name: "without either", rules: Rules{Last: 1, By: Created}, lines: `
			v1 a 2040-01-01 1970-01-01 = of unknown age (created 1970-01-01 is before 2013; pushed 2040-01-01 is in the future)`},
	} {
		g.run(t)
	}
}

func TestDateOfAVerdict(t *testing.T) {
	created, pushed := at(t, "2024-02-02"), at(t, "2025-01-01")
	for _, c := range []struct {
		tag  Tag
		by   Time
		want Verdict
	}{
		{Tag{Pushed: pushed, Created: created}, Pushed, Verdict{Date: pushed, By: Pushed}},
		{Tag{Pushed: pushed, Created: created}, Created, Verdict{Date: created, By: Created}},
		{Tag{Pushed: pushed, Created: 1}, Created, Verdict{Date: pushed, By: Pushed, Note: "created 1970-01-01 is before 2013"}},
		{Tag{Pushed: pushed}, Created, Verdict{Date: pushed, By: Pushed, Note: "created isn't known"}},
		{Tag{Created: created}, Created, Verdict{Date: created, By: Created}},
		{Tag{Created: created}, Pushed, Verdict{Note: "pushed isn't known"}},
	} {
		c.tag.Name, c.tag.Digest = "v1", digest("a")
		got, err := Judge([]Tag{c.tag}, Rules{Last: 1, By: c.by}, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if v := got[0]; v.Date != c.want.Date || v.By != c.want.By || v.Note != c.want.Note || !v.Keep {
			t.Errorf("%+v by %s: %+v", c.tag, c.by, v)
		}
	}
}

func TestNanoseconds(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), math.MinInt64},
		{time.Date(1677, 12, 31, 0, 0, 0, 0, time.UTC), math.MinInt64},
		{time.Unix(0, -1), -1},
		{time.Unix(0, 0), 1},
		{time.Unix(5, 7), 5_000_000_007},
		{time.Date(2261, 12, 31, 23, 59, 59, 0, time.UTC), 9214646399_000_000_000},
		{time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), math.MaxInt64},
	} {
		if got := Nanoseconds(c.t); got != c.want {
			t.Errorf("%s is %d, want %d", c.t, got, c.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for s, want := range map[string]Time{"pushed": Pushed, "created": Created} {
		if got, err := ParseTime(s); got != want || err != nil {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "Pushed", "modified"} {
		if got, err := ParseTime(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
