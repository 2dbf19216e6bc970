package retain

import (
	"testing"
)

func TestKeepLast(t *testing.T) {
	for _, g := range []golden{
		{name: "newest first", rules: Rules{Last: 2}, lines: `
			v1 a 2025-01-01 = - not kept by keep-last 2 (3rd)
			v3 c 2025-01-03 = keep-last 2 (1st); newest
			v2 b 2025-01-02 = keep-last 2 (2nd)`},
		{name: "two tags on a digest take one slot, the older one stays too", rules: Rules{Last: 2}, lines: `
			v3     c 2025-01-03       = keep-last 2 (1st)
			stable c 2025-01-04       = keep-last 2 (1st); newest
			v2     b 2025-01-02       = keep-last 2 (2nd)
			v1     a 2025-01-01       = - not kept by keep-last 2 (3rd)
			v0     c 2020-01-01       = keep-last 2 (1st)`},
		{name: "a tag moved back brings its digest to the front", rules: Rules{Last: 1}, lines: `
			prod a 2025-01-04 = keep-last 1 (1st); newest
			v1   a 2025-01-01 = keep-last 1 (1st)
			v2   b 2025-01-02 = - not kept by keep-last 1 (3rd)
			v3   c 2025-01-03 = - not kept by keep-last 1 (2nd)`},
		{name: "more slots than digests", rules: Rules{Last: 5}, lines: `
			v1 a 2025-01-01 = keep-last 5 (2nd)
			v2 b 2025-01-02 = keep-last 5 (1st); newest`},
		{name: "a slot for everything", rules: Rules{Last: All}, lines: `
			v1 a 2025-01-01 = keep-last all (2nd)
			v2 b 2025-01-02 = keep-last all (1st); newest`},
		{name: "a tie over the last slot stays whole", rules: Rules{Last: 2}, lines: `
			v4 d 2025-01-03 = keep-last 2 (1st); newest
			v3 c 2025-01-02 = keep-last 2 (2nd)
			v2 b 2025-01-02 = keep-last 2 (2nd)
			v1 a 2025-01-01 = - not kept by keep-last 2 (4th)`},
		{name: "a tie before it counts as many as it is", rules: Rules{Last: 2}, lines: `
			v3 c 2025-01-02 = keep-last 2 (1st); newest
			v2 b 2025-01-02 = keep-last 2 (1st); newest
			v1 a 2025-01-01 = - not kept by keep-last 2 (3rd)`},
		{name: "a nanosecond is no tie", rules: Rules{Last: 1}, lines: `
			v2 b 2025-01-01T00:00:00.000000001Z = keep-last 1 (1st); newest
			v1 a 2025-01-01T00:00:00Z           = - not kept by keep-last 1 (2nd)`},
		{name: "images created at once, told apart by their pushes", rules: Rules{Last: 1, By: Created}, lines: `
			v1 a 2025-01-02 2024-05-05 = - not kept by keep-last 1 (2nd)
			v2 b 2025-01-03 2024-05-05 = keep-last 1 (1st); newest`},
		{name: "and not where a push isn't known", rules: Rules{Last: 1, By: Created}, lines: `
			v1 a 2025-01-02 2024-05-05 = keep-last 1 (1st); newest
			v2 b 2025-01-03 2024-05-05 = keep-last 1 (1st); newest
			v3 c ?          2024-05-05 = keep-last 1 (1st); newest
			v0 d 2025-02-02 2024-05-04 = - not kept by keep-last 1 (4th)`},
		{name: "0 of one rule beside another", rules: Rules{Last: None, Daily: 1}, lines: `
			v1 a 2025-01-01 = - not kept by keep-daily 1 (2025-01-01 is too far back)
			v2 b 2025-01-02 = keep-daily 1 (1st: 2025-01-02); newest`},
		{name: "a single tag", rules: Rules{Last: 3, Daily: 3, Within: Duration{Days: 1}}, lines: `
			v1 a 2025-01-01 = keep-last 3 (1st); keep-daily 3 (1st: 2025-01-01); keep-within 1d; newest`},
	} {
		g.run(t)
	}
	if v, err := Judge(nil, Rules{Last: 3, Daily: 3, Within: Duration{Days: 1}}, Options{Now: now}); len(v) > 0 || err != nil {
		t.Errorf("no tags have the verdicts %v, %v", v, err)
	}
}

func TestKeepPeriods(t *testing.T) {
	for _, g := range []golden{
		{name: "hours", rules: Rules{Hourly: 2}, lines: `
			v5 e 2025-01-01T12:30    = keep-hourly 2 (1st: 2025-01-01 12h); newest
			v4 d 2025-01-01T12:00    = - not kept by keep-hourly 2 (2025-01-01 12h has a newer one)
			v3 c 2025-01-01T11:59    = keep-hourly 2 (2nd: 2025-01-01 11h)
			v2 b 2025-01-01T11:00    = - not kept by keep-hourly 2 (2025-01-01 11h has a newer one)
			v1 a 2025-01-01T10:59    = - not kept by keep-hourly 2 (2025-01-01 10h is too far back)`},
		{name: "empty days take no slot", rules: Rules{Daily: 3}, lines: `
			v5 e 2025-03-01T08:00 = keep-daily 3 (1st: 2025-03-01); newest
			v4 d 2025-02-28T23:59 = keep-daily 3 (2nd: 2025-02-28)
			v3 c 2024-07-04T12:00 = keep-daily 3 (3rd: 2024-07-04)
			v2 b 2024-07-04T11:00 = - not kept by keep-daily 3 (2024-07-04 has a newer one)
			v1 a 2024-07-03T11:00 = - not kept by keep-daily 3 (2024-07-03 is too far back)`},
		{name: "weeks begin on Monday and cross the year", rules: Rules{Weekly: 2}, lines: `
			v5 e 2025-01-05T23:59 = keep-weekly 2 (1st: 2025-W01); newest
			v4 d 2024-12-30T00:00 = - not kept by keep-weekly 2 (2025-W01 has a newer one)
			v3 c 2024-12-29T23:59 = keep-weekly 2 (2nd: 2024-W52)
			v2 b 2024-12-23T00:00 = - not kept by keep-weekly 2 (2024-W52 has a newer one)
			v1 a 2024-12-22T23:59 = - not kept by keep-weekly 2 (2024-W51 is too far back)`},
		{name: "months", rules: Rules{Monthly: 2}, lines: `
			v4 d 2025-01-01T00:00 = keep-monthly 2 (1st: 2025-01); newest
			v3 c 2024-12-31T23:59 = keep-monthly 2 (2nd: 2024-12)
			v2 b 2024-12-01T00:00 = - not kept by keep-monthly 2 (2024-12 has a newer one)
			v1 a 2024-01-01T00:00 = - not kept by keep-monthly 2 (2024-01 is too far back)`},
		{name: "years, with a slot left for the oldest", rules: Rules{Yearly: 3}, lines: `
			v5 e 2025-01-01T00:00 = keep-yearly 3 (1st: 2025); newest
			v4 d 2023-12-31T23:59 = keep-yearly 3 (2nd: 2023)
			v3 c 2023-06-01T00:00 = - not kept by keep-yearly 3 (2023 has a newer one)
			v1 a 2023-01-01T00:00 = keep-yearly 3 (the oldest)`},
		{name: "without a slot left, not", rules: Rules{Yearly: 2}, lines: `
			v5 e 2025-01-01T00:00 = keep-yearly 2 (1st: 2025); newest
			v4 d 2023-12-31T23:59 = keep-yearly 2 (2nd: 2023)
			v1 a 2023-01-01T00:00 = - not kept by keep-yearly 2 (2023 has a newer one)`},
		{name: "two oldest", rules: Rules{Monthly: All}, lines: `
			v3 e 2025-01-03 = keep-monthly all (1st: 2025-01); newest
			v2 b 2025-01-01 = keep-monthly all (the oldest)
			v1 a 2025-01-01 = keep-monthly all (the oldest)`},
		{name: "a tie in a period stays whole and takes one slot", rules: Rules{Daily: 2}, lines: `
			v4 d 2025-01-02T10:00 = keep-daily 2 (1st: 2025-01-02); newest
			v3 c 2025-01-02T10:00 = keep-daily 2 (1st: 2025-01-02); newest
			v2 b 2025-01-01T10:00 = keep-daily 2 (2nd: 2025-01-01)
			v1 a 2025-01-01T09:00 = - not kept by keep-daily 2 (2025-01-01 has a newer one)`},
		{name: "the winner's other tags of that period stay, those of others don't", rules: Rules{Daily: 1}, lines: `
			v3   c 2025-01-02T10:00 = keep-daily 1 (1st: 2025-01-02); newest
			v3.0 c 2025-01-02T08:00 = keep-daily 1 (1st: 2025-01-02)
			v2   b 2025-01-02T09:00 = - not kept by keep-daily 1 (2025-01-02 has a newer one)
			rc   c 2025-01-01T10:00 = - not kept by keep-daily 1 (2025-01-01 is too far back)`},
		{name: "a digest stands for two months", rules: Rules{Monthly: 2}, lines: `
			stable a 2025-02-07 = keep-monthly 2 (1st: 2025-02); newest
			v1     a 2025-01-05 = keep-monthly 2 (2nd: 2025-01)
			v0     b 2025-01-03 = - not kept by keep-monthly 2 (2025-01 has a newer one)
			vx     c 2024-12-03 = - not kept by keep-monthly 2 (2024-12 is too far back)`},
		{name: "rules are joined by or", rules: Rules{Last: 1, Daily: 2, Monthly: 2}, lines: `
			v4 d 2025-03-02T10:00 = keep-last 1 (1st); keep-daily 2 (1st: 2025-03-02); keep-monthly 2 (1st: 2025-03); newest
			v3 c 2025-03-02T09:00 = - not kept by keep-last 1 (2nd); keep-daily 2 (2025-03-02 has a newer one); keep-monthly 2 (2025-03 has a newer one)
			v2 b 2025-03-01T09:00 = keep-daily 2 (2nd: 2025-03-01)
			v1 a 2025-02-01T09:00 = keep-monthly 2 (2nd: 2025-02)`},
	} {
		g.run(t)
	}
}

// In Berlin clocks changed at 2024-10-27T01:00Z, from 03:00 to 02:00, and at
// 2025-03-30T01:00Z, from 02:00 to 03:00.
func TestDaylightSaving(t *testing.T) {
	for _, g := range []golden{
		{name: "the hour that a clock shows twice is two", zone: "Europe/Berlin", rules: Rules{Hourly: 2}, lines: `
			v4 d 2024-10-27T01:45 = keep-hourly 2 (1st: 2024-10-27 02h); newest
			v3 c 2024-10-27T01:15 = - not kept by keep-hourly 2 (2024-10-27 02h has a newer one)
			v2 b 2024-10-27T00:30 = keep-hourly 2 (2nd: 2024-10-27 02h)
			v1 a 2024-10-26T23:59 = - not kept by keep-hourly 2 (2024-10-27 01h is too far back)`},
		{name: "the hour that isn't there takes no slot", zone: "Europe/Berlin", rules: Rules{Hourly: 2}, lines: `
			v2 b 2025-03-30T01:00 = keep-hourly 2 (1st: 2025-03-30 03h); newest
			v1 a 2025-03-30T00:59 = keep-hourly 2 (2nd: 2025-03-30 01h)
			v0 c 2025-03-30T00:10 = - not kept by keep-hourly 2 (2025-03-30 01h has a newer one)`},
		{name: "a day of 25 hours", zone: "Europe/Berlin", rules: Rules{Daily: 1}, lines: `
			v3 c 2024-10-27T22:59 = keep-daily 1 (1st: 2024-10-27); newest
			v2 b 2024-10-26T22:00 = - not kept by keep-daily 1 (2024-10-27 has a newer one)
			v1 a 2024-10-26T21:59 = - not kept by keep-daily 1 (2024-10-26 is too far back)`},
		{name: "the same in UTC", rules: Rules{Daily: 1}, lines: `
			v3 c 2024-10-27T22:59 = keep-daily 1 (1st: 2024-10-27); newest
			v2 b 2024-10-26T22:00 = - not kept by keep-daily 1 (2024-10-26 is too far back)
			v1 a 2024-10-26T21:59 = - not kept by keep-daily 1 (2024-10-26 is too far back)`},
		{name: "a year that begins elsewhere earlier", zone: "Europe/Berlin", rules: Rules{Yearly: 1}, lines: `
			v2 b 2024-12-31T23:30 = keep-yearly 1 (1st: 2025); newest
			v1 a 2024-12-31T22:30 = - not kept by keep-yearly 1 (2024 is too far back)`},
		{name: "hours of a zone that is half an hour off", zone: "Asia/Kolkata", rules: Rules{Hourly: 1}, lines: `
			v3 c 2025-01-01T11:29 = keep-hourly 1 (1st: 2025-01-01 16h); newest
			v2 b 2025-01-01T10:30 = - not kept by keep-hourly 1 (2025-01-01 16h has a newer one)
			v1 a 2025-01-01T10:29 = - not kept by keep-hourly 1 (2025-01-01 15h is too far back)`},
		{name: "a day before is 25 hours before", zone: "Europe/Berlin", rules: Rules{Within: Duration{Days: 1}}, lines: `
			v3 c 2024-10-27T12:00 = keep-within 1d; newest
			v2 b 2024-10-26T11:01 = keep-within 1d
			v1 a 2024-10-26T11:00 = - not kept by keep-within 1d (after 2024-10-26 13:00)`},
		{name: "24 hours before are 24", zone: "Europe/Berlin", rules: Rules{Within: Duration{Hours: 24}}, lines: `
			v3 c 2024-10-27T12:00 = keep-within 24h; newest
			v2 b 2024-10-26T12:01 = keep-within 24h
			v1 a 2024-10-26T12:00 = - not kept by keep-within 24h (after 2024-10-26 14:00)`},
		{name: "an hour before the second 02:30", zone: "Europe/Berlin", rules: Rules{Within: Duration{Hours: 1}}, lines: `
			v3 c 2024-10-27T01:30 = keep-within 1h; newest
			v2 b 2024-10-27T00:31 = keep-within 1h
			v1 a 2024-10-27T00:30 = - not kept by keep-within 1h (after 2024-10-27 02:30)`},
	} {
		g.run(t)
	}
}

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
