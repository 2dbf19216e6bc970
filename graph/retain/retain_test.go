package retain

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"regfsck/walker/layout"
)

var now = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// golden is a repository with the expected verdicts, in lines of
//
//	tag digest pushed created = verdict
//
// where created is optional. A verdict is the rules that keep the tag, or "-" and the reason
// of its removal.
type golden struct {
	name  string
	rules Rules
	zone  string
	lines string
}

func (g golden) run(t *testing.T) {
	t.Run(g.name, func(t *testing.T) {
		tags, want := read(t, g.lines)
		zone, err := time.LoadLocation(g.zone)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := Judge(tags, g.rules, Options{Now: now, Zone: zone})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range verdicts {
			got := join(v.Rules)
			if !v.Keep {
				got = join(append([]string{"- " + v.Why}, v.Rules...))
			}
			if got != want[i] {
				t.Errorf("%s\n got: %s\nwant: %s", tags[i].Name, got, want[i])
			}
		}
	})
}

func read(t *testing.T, lines string) (tags []Tag, want []string) {
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		before, verdict, ok := strings.Cut(strings.TrimSpace(line), " = ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 3 {
			t.Fatalf("not a line of a golden table: %q", line)
		}
		tag := Tag{Name: fields[0], Digest: digest(fields[1]), Pushed: at(t, fields[2])}
		if len(fields) > 3 {
			tag.Created = at(t, fields[3])
		}
		tags, want = append(tags, tag), append(want, verdict)
	}
	return tags, want
}

func digest(s string) layout.Digest { return layout.Sum([]byte(s)) }

// at parses a day, a minute or a time; "?" is unknown.
func at(t *testing.T, s string) int64 {
	if s == "?" {
		return 0
	}
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339Nano} {
		if moment, err := time.Parse(form, s); err == nil {
			return Nanoseconds(moment)
		}
	}
	t.Fatalf("not a date: %q", s)
	return 0
}

func duration(t *testing.T, s string) Duration {
	d, err := ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func globs(t *testing.T, patterns ...string) (all []Glob) {
	for _, p := range patterns {
		g, err := ParseGlob(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

func TestJudgeUntagged(t *testing.T) {
	manifests := []struct {
		m    Tag
		want string
	}{
		{Tag{Digest: digest("a"), Pushed: at(t, "2025-05-02T12:00:00.1Z")}, "keep-untagged-within 30d"},
		{Tag{Digest: digest("b"), Pushed: at(t, "2025-05-02T12:00")}, ""},
		{Tag{Digest: digest("c"), Pushed: at(t, "2019-01-01")}, ""},
		{Tag{Digest: digest("d")}, "of unknown age (pushed isn't known)"},
		{Tag{Digest: digest("e"), Pushed: at(t, "2031-01-01")}, "of unknown age (pushed 2031-01-01 is in the future)"},
		{Tag{Digest: digest("f"), Pushed: at(t, "2019-01-01"), Doubt: "it can't be read"}, "in doubt (it can't be read)"},
		{Tag{Pushed: at(t, "2019-01-01")}, "in doubt (its digest is unknown)"},
	}
	var tags []Tag
	for _, m := range manifests {
		tags = append(tags, m.m)
	}
	verdicts, err := JudgeUntagged(tags, Rules{Last: 1, UntaggedWithin: duration(t, "30d")}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		want := manifests[i].want
		if join(v.Rules) != want || v.Keep != (want != "") || !v.Keep && v.Why != "not kept by keep-untagged-within 30d" {
			t.Errorf("%+v: %+v, want %q", tags[i], v, want)
		}
	}
	all, err := JudgeUntagged(tags, Rules{Last: 1}, Options{Now: now})
	for i, v := range all {
		if !v.Keep || v.Why != "no rule is about manifests without a tag" {
			t.Errorf("without the rule, %+v: %+v", tags[i], v)
		}
	}
	if len(all) != len(tags) || err != nil {
		t.Errorf("%d verdicts, %v", len(all), err)
	}
}

// BenchmarkJudge measures judging by the number of tags: it grows as sorting does. Each
// digest has two tags.
func BenchmarkJudge(b *testing.B) {
	rules := Rules{
		Last: 10, Hourly: 24, Daily: 30, Weekly: 8, Monthly: 12, Yearly: 10,
		Within: Duration{Months: 2}, Tags: expressions(`^v\d+$`, `^release-`),
	}
	for _, n := range []int{10_000, 30_000, 100_000} {
		r := rand.New(rand.NewPCG(5, 5))
		tags := make([]Tag, n)
		for i := range tags {
			age := time.Duration(r.Int64N(int64(10 * 365 * 24 * time.Hour)))
			tags[i] = Tag{Name: fmt.Sprintf("build-%d", i), Digest: digest(fmt.Sprint(i / 2)), Pushed: Nanoseconds(now.Add(-age))}
		}
		b.Run(fmt.Sprintf("tags=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Judge(tags, rules, Options{Now: now}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/tag")
		})
	}
}

// join joins the parts of a verdict.
func join(parts []string) string { return strings.Join(parts, "; ") }
