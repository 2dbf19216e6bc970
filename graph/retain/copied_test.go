package retain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// copies returns n tags with evenly spread pushed and created times.
func copies(n int, pushed, created time.Duration) (tags []Tag) {
	for i := range n {
		share := func(d time.Duration) int64 {
			return Nanoseconds(now.Add(-d + d/time.Duration(n-1)*time.Duration(i)).Add(-time.Hour))
		}
		tags = append(tags, Tag{Name: fmt.Sprintf("v%d", i), Digest: digest(fmt.Sprint(i)), Pushed: share(pushed), Created: share(created)})
	}
	return tags
}

func spans(tags []Tag) (s Spans) {
	for _, t := range tags {
		s.Add(t, now)
	}
	return s
}

func TestCopied(t *testing.T) {
	for _, c := range []struct {
		name string
		tags []Tag
		want bool
	}{
		{"51 tags", copies(51, 50*time.Second, 5001*time.Second), true},
		{"a hundredth of it", copies(51, 50*time.Second, 5000*time.Second), false},
		{"50 tags", copies(50, 0, 4900*time.Second), false},
		{"all at once, both", copies(80, 0, 0), false},
		{"built and pushed", copies(80, 7900*time.Second, 7900*time.Second), false},
		{"none", nil, false},
	} {
		if got := spans(c.tags).Copied(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestCopiedIgnoresInvalidDates: invalid dates and referrers tags show nothing of a copy.
func TestCopiedIgnoresInvalidDates(t *testing.T) {
	honest := copies(60, 59*time.Hour, 59*time.Hour)
	copied := copies(51, 50*time.Second, 5050*time.Hour)
	odd := func(created, pushed int64, name string) Tag {
		return Tag{Name: name, Digest: digest("o"), Created: created, Pushed: pushed}
	}
	yearAgo := Nanoseconds(now.AddDate(-1, 0, 0))
	for _, tag := range []Tag{
		odd(1, yearAgo, "epoch"), odd(Nanoseconds(now.AddDate(9, 0, 0)), yearAgo, "future"), odd(0, yearAgo, "unknown"),
		odd(yearAgo, 0, "unpushed"), odd(yearAgo, 1, "old"), odd(yearAgo, yearAgo, "sha256-"+digest("x").Hex()),
	} {
		if spans(append(honest, tag)).Copied() {
			t.Errorf("%s makes a copy of an honest store", tag.Name)
		}
		if !spans(append(copied, tag)).Copied() {
			t.Errorf("%s hides a copy", tag.Name)
		}
	}
}

func TestRulesByPushRefuseACopy(t *testing.T) {
	copied, few := copies(60, 59*time.Second, 59*time.Hour), copies(3, time.Hour, time.Hour)
	whole := spans(copied)
	days := Duration{Days: 1}
	for _, c := range []struct {
		name    string
		tags    []Tag
		rules   Rules
		store   Spans
		refused bool
	}{
		{"last", few, Rules{Last: 1}, whole, true},
		{"daily", few, Rules{Daily: 1}, whole, true},
		{"within", few, Rules{Within: days}, whole, true},
		{"beside names", few, Rules{Last: 1, Tags: expressions("x")}, whole, true},
		{"names", few, Rules{Tags: expressions("x")}, whole, false},
		{"created", few, Rules{Last: 1, By: Created}, whole, false},
		{"untagged", few, Rules{UntaggedWithin: days}, whole, false}, // not a rule about tags
		{"none", few, Rules{}, whole, false},
		{"an honest store", few, Rules{Last: 1}, Spans{}, false},
		{"a mirror in an honest store", copied, Rules{Last: 1}, spans(few), true},
		{"a mirror by created", copied, Rules{Last: 1, By: Created}, spans(few), false},
	} {
		_, err := Judge(c.tags, c.rules, Options{Now: now, Store: c.store})
		if errors.Is(err, ErrCopied) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	_, err := Judge(few, Rules{Last: 1}, Options{Now: now, Store: whole})
	want := "the 60 tags of the store were pushed within 59s and created within 2 days: " + ErrCopied.Error()
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := JudgeUntagged(few, Rules{UntaggedWithin: days}, Options{Now: now, Store: whole}); !errors.Is(err, ErrCopied) {
		t.Errorf("untagged: %v", err)
	}
}

// TestInACopyThePushedTimeReplacesNothing: a pushed time doesn't replace a missing created
// time: the tag would be the newest.
func TestInACopyThePushedTimeReplacesNothing(t *testing.T) {
	tags := copies(60, 59*time.Second, 59*time.Hour)
	tags[0].Created = 1
	for _, store := range []Spans{spans(tags), {}} {
		verdicts, err := Judge(tags, Rules{Last: 1, By: Created}, Options{Now: now, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		want := "of unknown age (created 1970-01-01 is before 2013; pushed is when it was copied)"
		if got := join(verdicts[0].Rules); got != want || verdicts[0].Date != 0 {
			t.Errorf("it is kept for %q, date %d", got, verdicts[0].Date)
		}
		if got := join(verdicts[59].Rules); got != "keep-last 1 (1st); newest" || verdicts[58].Keep {
			t.Errorf("the newest stays for %q, the next one: %+v", got, verdicts[58])
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

// TestMayBeCopied: what may be a copy by its pushed times includes all that is one with
// created times.
func TestMayBeCopied(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, c := range []struct {
		tags []Tag
		want bool
	}{
		{nil, false},
		{copies(50, time.Minute, year), false},
		{copies(51, time.Minute, year), true},
		{copies(51, time.Minute, time.Minute), true}, // not known yet
		{copies(60, year, year), false},
	} {
		if got := MayBeCopied(now, c.tags); got != c.want {
			t.Errorf("%d tags: %v", len(c.tags), got)
		}
		half := len(c.tags) / 2
		if got := MayBeCopied(now, c.tags[:half], c.tags[half:]); got != c.want {
			t.Errorf("%d tags in two repositories: %v", len(c.tags), got)
		}
		if spans(c.tags).Copied() && !c.want {
			t.Errorf("%d tags were copied", len(c.tags))
		}
	}
	tags := copies(60, time.Minute, year)
	for i := range tags {
		tags[i].Created = 0
	}
	tags = append(tags, Tag{Name: "sha256-" + strings.Repeat("0a", 32), Digest: digest("signature"), Pushed: at(t, "2024-01-01")})
	if !MayBeCopied(now, tags) {
		t.Error("a signature that was pushed apart hides a copy")
	}
}
