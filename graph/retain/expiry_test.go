package retain

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"regfsck/walker/layout"
)

func TestParseExpiry(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "10m": 10 * time.Minute, "36h": 36 * time.Hour, "2d": 48 * time.Hour, "3w": 21 * 24 * time.Hour, " 1h ": time.Hour, "007d": 7 * 24 * time.Hour,
		"": 0, "0h": 0, "-1d": 0, "2": 0, "d": 0, "1y": 0, "2 d": 0, "1.5h": 0, "2d12h": 0, "never": 0, "9999999999s": 0, "999999999w": 0, "2D": 0, "٢d": 0, "1e3h": 0, "+1h": 0,
	} {
		if got, ok := parseExpiry(text); got != int64(want) || ok != (want != 0) {
			t.Errorf("%q: %v, %v", text, time.Duration(got), ok)
		}
	}
}

// TestHonourExpiry: now is 2025-06-01 12:00. Text before = is as for other rules, but the
// last word is the image's expiry.
func TestHonourExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		rules Rules
		lines string
	}{
		"alone it takes nothing else": {Rules{Expiry: true}, `
			v5     e 2025-05-31T12:00 1d  = newest
			v4     d 2025-05-31T11:59 1d  = - expired 2025-06-01 11:59 (quay.expires-after 1d)
			v3     c 2025-05-31T00:00 2w  = honour-expiry (2025-06-14 00:00)
			v2     b 2024-05-30       -   = honour-expiry (no date)
			v1     a 2024-05-30       1y  = honour-expiry (no date)
			v0     a 2024-05-30       5d,1w = - expired 2024-06-06 00:00 (quay.expires-after 1w)
			u      f 2024-05-30       5d,x = honour-expiry (no date)
			latest g 2024-05-30       5d  = latest`},
		"what has expired takes no slot": {Rules{Expiry: true, Last: 2}, `
			pr-9 e 2025-05-20 1d = newest
			pr-8 d 2025-05-19 1d = - expired 2025-05-20 00:00 (quay.expires-after 1d)
			pr-7 c 2025-05-18 9w = keep-last 2 (1st)
			v2   b 2024-05-30 -  = keep-last 2 (2nd)
			v1   a 2024-05-29 -  = - not kept by keep-last 2 (3rd)`},
		"what is named stays": {Rules{Expiry: true, Last: 9, Tags: expressions("^v")}, `
			pr-9 e 2025-05-20 1d = newest
			v1   d 2025-05-19 1d = keep-tags ^v
			w1   d 2025-05-19 1d = - expired 2025-05-20 00:00 (quay.expires-after 1d)`},
		"without it nobody asks": {Rules{Last: 9}, `
			v1 e 2025-05-20 1d = keep-last 9 (1st); newest
			v0 d 2025-05-19 1d = keep-last 9 (2nd)`},
		"the newest may be removed": {Rules{Expiry: true, MayRemove: globs(t, "pr-*")}, `
			pr-9 e 2025-05-20 1d = - expired 2025-05-21 00:00 (quay.expires-after 1d)
			v1   d 2025-05-19 1d = newest`},
	} {
		lines := strings.Split(strings.TrimSpace(c.lines), "\n")
		var expires [][]string
		for i, line := range lines {
			fields := strings.Fields(line)
			texts := strings.Split(fields[3], ",")
			if fields[3] == "-" {
				texts = nil
			}
			expires = append(expires, texts)
			lines[i] = strings.Join(append(fields[:3:3], fields[4:]...), " ")
		}
		tags, want := read(t, strings.Join(lines, "\n"))
		for i := range tags {
			tags[i].Expires = expires[i]
		}
		for i, v := range judge(t, tags, c.rules) {
			got := join(v.Rules)
			if !v.Keep {
				got = "- " + v.Why
			}
			if got != want[i] {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, tags[i].Name, got, want[i])
			}
		}
	}
	tags := []Tag{
		{Name: "v2", Digest: digest("b"), Pushed: at(t, "2025-05-01")},
		{Name: "doubt", Digest: digest("a"), Pushed: at(t, "2025-01-01"), Doubt: "?", Expires: []string{"1d"}},
		{Name: "ageless", Digest: digest("a"), Expires: []string{"1d"}},
		{Name: "made", Digest: digest("a"), Created: at(t, "2025-01-01"), Expires: []string{"1d"}},
		{Name: "used", Digest: digest("a"), Pushed: at(t, "2025-01-01"), Listed: "prod (x)", Expires: []string{"1d"}},
	}
	for _, rules := range []Rules{{Expiry: true, Lists: []string{"prod"}}, {Expiry: true, Lists: []string{"prod"}, Last: 1, By: Created, Within: Duration{Years: 10}}} {
		for i, v := range judge(t, tags, rules) {
			if !v.Keep {
				t.Errorf("%+v: %s goes: %s", rules, tags[i].Name, v.Why)
			}
		}
	}
}

// TestExpiryTakesOnlyWhatHasExpired: with it, all is kept that is kept without it and hasn't
// expired, and nothing else is removed.
func TestExpiryTakesOnlyWhatHasExpired(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	gone := 0
	for range rounds {
		tags, rules := world(r), someRules(r)
		made := map[layout.Digest]int64{} // an image has one creation time, whatever its tags
		for i, t := range tags {
			if _, known := made[t.Digest]; !known {
				made[t.Digest] = t.Created
			}
			tags[i].Created = made[t.Digest]
		}
		without := judge(t, tags, rules)
		rules.Expiry = true
		for i, v := range judge(t, tags, rules) {
			if v.Keep || !without[i].Keep {
				continue
			}
			at, _ := tags[i].expiry()
			if gone++; at == 0 || at > Nanoseconds(now) || !strings.HasPrefix(v.Why, "expired ") {
				t.Fatalf("%+v\n%+v: %+v, and without %+v", rules, tags[i], v, without[i])
			}
			if without[i].Signature || tags[i].Name == "latest" || tags[i].Listed != "" && len(rules.Lists) > 0 {
				t.Fatalf("%+v: %+v goes", rules, tags[i])
			}
			if rules.PulledWithin != (Duration{}) && tags[i].Pulled > Nanoseconds(rules.PulledWithin.Before(now)) {
				t.Fatalf("%+v: %+v goes, though it was pulled", rules, tags[i])
			}
		}
	}
	if gone < 100 {
		t.Errorf("only %d have expired", gone)
	}
}

func TestExpiryOfACopyIsRefused(t *testing.T) {
	var tags []Tag
	for i := range 60 {
		tags = append(tags, Tag{Name: "v", Digest: digest("a"), Pushed: Nanoseconds(now.Add(-time.Duration(i) * time.Second)), Created: Nanoseconds(now.AddDate(-5, 0, i))})
	}
	for by := Pushed; by <= Created; by++ {
		if _, err := Judge(tags, Rules{Expiry: true, By: by}, Options{Now: now}); !errors.Is(err, ErrCopied) {
			t.Errorf("by %v: %v", by, err)
		}
	}
}
