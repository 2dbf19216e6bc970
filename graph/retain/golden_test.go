package retain

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"regfsck/walker/layout"
)

var now = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// golden is a repository and what is to become of it, in lines of
//
//	tag digest pushed created = verdict
//
// of which created may be missing. A verdict is the rules that keep the tag, or
// "-" and the reason that it goes.
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
		verdicts, err := Judge(tags, g.rules, Setting{Now: now, Zone: zone})
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

// at reads a day, a minute or a moment; "?" isn't known.
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
