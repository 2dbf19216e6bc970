package retain

import (
	"strings"
	"testing"
)

func levels(t *testing.T, s string) Levels {
	t.Helper()
	l, err := ParseLevels(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKeepSemver(t *testing.T) {
	none := globs(t, "*") // the newest tag may be removed
	for _, g := range []golden{
		{name: "majors, minors of each, patches of each", rules: Rules{Semver: levels(t, "major:2,minor:2,patch:1"), MayRemove: none}, lines: `
			v3.0.0  a 2025-01-01 = keep-semver major:2,minor:2,patch:1 (1st major, 1st minor, 1st patch)
			v2.10.0 b 2025-01-02 = keep-semver major:2,minor:2,patch:1 (2nd major, 1st minor, 1st patch)
			v2.9.7  c 2025-01-03 = keep-semver major:2,minor:2,patch:1 (2nd major, 2nd minor, 1st patch)
			v2.9.6  d 2025-01-04 = - not kept by keep-semver major:2,minor:2,patch:1 (2nd major, 2nd minor, 2nd patch)
			v2.8.9  e 2025-01-05 = - not kept by keep-semver major:2,minor:2,patch:1 (2nd major, 3rd minor)
			v1.9.9  f 2025-01-06 = - not kept by keep-semver major:2,minor:2,patch:1 (3rd major)`},
		{name: "what doesn't parse stays", rules: Rules{Semver: levels(t, "major:1"), MayRemove: none}, lines: `
			v2.0.0       a 2025-01-01 = keep-semver major:1 (1st major, 1st minor, 1st patch)
			v1.0.0       b 2025-01-02 = - not kept by keep-semver major:1 (2nd major)
			pr-12        c 2025-01-02 = keep-semver major:1 (no version)
			release-1.0  d 2025-01-02 = keep-semver major:1 (no version)
			1.0.0.1      e 2025-01-02 = keep-semver major:1 (no version)
			1.0.0_12     f 2025-01-02 = keep-semver major:1 (no version)
			latest       g 2025-01-02 = keep-semver major:1 (no version)
			deadbeef     h 2025-01-02 = keep-semver major:1 (no version)
			99999999999999999999999.0 i 2025-01-02 = keep-semver major:1 (no version)`},
		{name: "pre-releases apart, and by their numbers", rules: Rules{Semver: levels(t, "minor:1,patch:1"), MayRemove: none}, lines: `
			1.0.0       a 2025-01-01 = keep-semver minor:1,patch:1 (1st major, 1st minor, 1st patch)
			1.1.0-rc10  b 2025-01-02 = keep-semver minor:1,patch:1 (1st major, 1st minor, 1st patch)
			1.1.0-rc9   c 2025-01-03 = - not kept by keep-semver minor:1,patch:1 (1st major, 1st minor, 2nd patch)
			1.1.0-rc.8  d 2025-01-04 = - not kept by keep-semver minor:1,patch:1 (1st major, 1st minor, 3rd patch)
			1.1.0-beta2 e 2025-01-04 = - not kept by keep-semver minor:1,patch:1 (1st major, 1st minor, 4th patch)
			1.0.0-rc1   f 2025-01-05 = - not kept by keep-semver minor:1,patch:1 (1st major, 2nd minor)`},
		{name: "variants are groups of their own", rules: Rules{Semver: levels(t, "major:1,minor:1,patch:1"), MayRemove: none}, lines: `
			17.0.2           a 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			17.0.1           b 2025-01-01 = - not kept by keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 2nd patch)
			17.0.1-alpine    c 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			16.0.9-alpine    d 2025-01-01 = - not kept by keep-semver major:1,minor:1,patch:1 (2nd major)
			3.9.1-jdk21      e 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			3.8.7-jdk17      f 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			3.8.7-rc1-jdk17  g 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)`},
		{name: "tags that move along stay with what they name", rules: Rules{Semver: levels(t, "major:1,minor:1,patch:1"), MayRemove: none}, lines: `
			2     a 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major)
			2.1   a 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor)
			2.1.3 a 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			v2.1.3 a 2025-01-01 = keep-semver major:1,minor:1,patch:1 (1st major, 1st minor, 1st patch)
			2.0   b 2025-01-01 = - not kept by keep-semver major:1,minor:1,patch:1 (1st major, 2nd minor)
			1     c 2025-01-01 = - not kept by keep-semver major:1,minor:1,patch:1 (2nd major)
			1.9.9 c 2025-01-01 = - not kept by keep-semver major:1,minor:1,patch:1 (2nd major)`},
		{name: "numbers of builds push no release out", rules: Rules{Semver: levels(t, "major:1"), MayRemove: none}, lines: `
			1.2.0    a 2025-01-01 = keep-semver major:1 (1st major, 1st minor, 1st patch)
			4711     b 2025-01-01 = keep-semver major:1 (no version of it)
			20250101 c 2025-01-01 = keep-semver major:1 (no version of it)`},
		{name: "majors alone", rules: Rules{Semver: levels(t, "major:2"), MayRemove: none}, lines: `
			3 a 2025-01-01 = keep-semver major:2 (1st major)
			2 b 2025-01-01 = keep-semver major:2 (2nd major)
			1 c 2025-01-01 = - not kept by keep-semver major:2 (3rd major)`},
		{name: "of the calendar, with zeros", rules: Rules{Semver: levels(t, "major:1,minor:1"), MayRemove: none}, lines: `
			2024.10   a 2025-01-01 = keep-semver major:1,minor:1 (1st major, 1st minor)
			2024.09.2 b 2025-01-01 = - not kept by keep-semver major:1,minor:1 (1st major, 2nd minor)`},
		{name: "beside other rules, and the newest stays", rules: Rules{Semver: levels(t, "major:1"), Tags: expressions("lts")}, lines: `
			2.0.0     a 2025-01-01 = keep-semver major:1 (1st major, 1st minor, 1st patch)
			1.0.0-lts b 2025-01-01 = keep-tags lts; keep-semver major:1 (1st major, 1st minor, 1st patch)
			1.0.0     c 2025-01-02 = newest`},
		{name: "builds between releases", rules: Rules{Semver: levels(t, "patch:1"), MayRemove: none}, lines: `
			1.2.3-10-gdeadbee a 2025-01-01 = keep-semver patch:1 (1st major, 1st minor, 1st patch)
			1.2.3-9-gabcdef0  b 2025-01-01 = - not kept by keep-semver patch:1 (1st major, 1st minor, 2nd patch)`},
	} {
		g.run(t)
	}
}

func TestParseLevels(t *testing.T) {
	for text, want := range map[string]string{
		"major:3,minor:2,patch:1": "major:3,minor:2,patch:1", "patch:all": "patch:all", "minor:1,major:2": "major:2,minor:1", "major:unlimited": "major:all",
	} {
		if l, err := ParseLevels(text); err != nil || l.String() != want {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
	for text, want := range map[string]string{
		"": "none of", "3": "none of", "major": "none of", "major:": "neither a number", "major:0": "1 at least", "major:1,major:2": "twice",
		"build:1": "none of", "major:1,": "none of", "major:-1": "neither a number", "major:1 ,minor:1": "neither a number",
	} {
		if l, err := ParseLevels(text); err == nil || !strings.Contains(err.Error(), want) || l != (Levels{}) {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
	if err := (Rules{Semver: Levels{Minor: None}}).Check(); err == nil {
		t.Error("no minor at all is taken")
	}
}

// TestDatedBuildsAreNoReleases: a date isn't a major version among releases.
func TestDatedBuildsAreNoReleases(t *testing.T) {
	var tags []Tag
	for i, name := range []string{"1.0.0", "2.0.0", "20260101.1", "20260102.1", "v20260103.1.0", "260104.1", "20260105.1-rc1", "77"} {
		tags = append(tags, Tag{Name: name, Digest: digest(name), Pushed: Nanoseconds(now.AddDate(0, 0, i-100))})
	}
	verdicts, err := Judge(tags, Rules{Semver: Levels{Major: 2}, MayRemove: globs(t, "*")}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for i, v := range verdicts {
		if v.Keep {
			kept = append(kept, tags[i].Name)
		}
	}
	if want := "1.0.0 2.0.0 20260102.1 v20260103.1.0 20260105.1-rc1 77"; strings.Join(kept, " ") != want {
		t.Errorf("%q is kept, want %q", kept, want)
	}
}
