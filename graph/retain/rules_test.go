package retain

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestKeepWithin(t *testing.T) {
	for _, g := range []golden{
		{name: "counts from the newest tag, however old", rules: Rules{Within: Duration{Days: 30}}, lines: `
			v3 c 2019-03-31T00:00        = keep-within 30d; newest
			v2 b 2019-03-01T00:00:00.1Z  = keep-within 30d
			v1 a 2019-03-01T00:00        = - not kept by keep-within 30d (after 2019-03-01 00:00)`},
		{name: "a month before the 31st is the last day of a shorter one", rules: Rules{Within: Duration{Months: 1}}, lines: `
			v3 c 2025-03-31T10:00 = keep-within 1mo; newest
			v2 b 2025-02-28T10:01 = keep-within 1mo
			v1 a 2025-02-28T10:00 = - not kept by keep-within 1mo (after 2025-02-28 10:00)`},
		{name: "each tag of a digest by its own date", rules: Rules{Within: Duration{Weeks: 1}}, lines: `
			v2 a 2025-01-10 = keep-within 1w; newest
			v1 a 2025-01-01 = - not kept by keep-within 1w (after 2025-01-03 00:00)`},
		{name: "longer than the calendar", rules: Rules{Within: Duration{Years: 999_999, Months: 999_999, Weeks: 999_999, Hours: 999_999}}, lines: `
			v2 b 2025-01-10 = keep-within 999999y999999mo999999w999999h; newest
			v1 a 2013-01-01 = keep-within 999999y999999mo999999w999999h`},
	} {
		g.run(t)
	}
}

func TestKeepNewerThan(t *testing.T) {
	for _, g := range []golden{ // now is 2025-06-01 12:00
		{name: "counts from today, and the newest stays all the same", rules: Rules{NewerThan: Duration{Days: 90}}, lines: `
			v3 c 2019-03-31T00:00 = newest
			v2 b 2019-03-30T00:00 = - not kept by keep-newer-than 90d (pushed 2019-03-30 00:00)
			v1 a 2019-03-01T00:00 = - not kept by keep-newer-than 90d (pushed 2019-03-01 00:00)`},
		{name: "to the moment", rules: Rules{NewerThan: Duration{Months: 3}}, lines: `
			v3 c 2025-05-31T00:00       = keep-newer-than 3mo; newest
			v2 b 2025-03-01T12:00:00.1Z = keep-newer-than 3mo
			v1 a 2025-03-01T12:00       = - not kept by keep-newer-than 3mo (pushed 2025-03-01 12:00)`},
		{name: "a dead project goes whole where its newest may be removed", rules: Rules{NewerThan: Duration{Weeks: 1}, MayRemove: globs(t, "*")}, lines: `
			latest b 2024-01-02 = - not kept by keep-newer-than 1w (pushed 2024-01-02 00:00)
			v1     a 2024-01-01 = - not kept by keep-newer-than 1w (pushed 2024-01-01 00:00)`},
		{name: "by the calendar of a place, whose clocks were changed", rules: Rules{NewerThan: Duration{Days: 90}}, zone: "Europe/Berlin", lines: `
			v3 c 2025-06-01T10:00 = keep-newer-than 90d; newest
			v2 b 2025-03-03T13:01 = keep-newer-than 90d
			v1 a 2025-03-03T13:00 = - not kept by keep-newer-than 90d (pushed 2025-03-03 14:00)`},
		{name: "by when the image was made", rules: Rules{NewerThan: Duration{Days: 30}, By: Created}, lines: `
			v3 c 2025-05-31 2025-05-01 = - not kept by keep-newer-than 30d (created 2025-05-01 00:00)
			v2 b 2025-05-31 2024-05-01 = - not kept by keep-newer-than 30d (created 2024-05-01 00:00)
			v1 a 2025-05-31 ?          = keep-newer-than 30d; newest`},
	} {
		g.run(t)
	}
}

func TestKeepTags(t *testing.T) {
	for _, g := range []golden{
		{name: "by name, anywhere in it", rules: Rules{Tags: expressions(`^v\d`, `rc$`)}, lines: `
			v1      a 2025-01-01 = keep-tags ^v\d
			v2-rc   b 2025-01-02 = keep-tags ^v\d; keep-tags rc$
			dev-rc  c 2025-01-03 = keep-tags rc$
			dev-v1  a 2025-01-04 = - not kept by keep-tags ^v\d; keep-tags rc$
			pr-1    d 2025-01-05 = newest`},
		{name: "a kept tag keeps no other on its digest", rules: Rules{Tags: expressions(`^v1$`)}, lines: `
			v1    a 2025-01-01 = keep-tags ^v1$
			build a 2025-01-01 = - not kept by keep-tags ^v1$
			v10   b 2025-01-02 = newest`},
	} {
		g.run(t)
	}
}

func TestKeepListed(t *testing.T) {
	tags, _ := read(t, `
		v4 d 2025-01-04 = x
		v3 c 2025-01-03 = x
		v2 b 2025-01-02 = x
		v1 a 2025-01-01 = x`)
	tags[2].Listed = "prod.txt (reg/app:v2)"
	for _, c := range []struct {
		rules Rules
		want  []string
	}{
		{Rules{Lists: []string{"prod.txt", "-"}}, []string{"newest", "not kept by keep-list prod.txt, -", "keep-list prod.txt (reg/app:v2)", "not kept by keep-list prod.txt, -"}},
		{Rules{Last: 2, Lists: []string{"prod.txt"}}, []string{"keep-last 2 (1st); newest", "keep-last 2 (2nd)", "keep-list prod.txt (reg/app:v2)", "not kept by keep-last 2 (4th); keep-list prod.txt"}},
		{Rules{Last: 1, MayRemove: globs(t, "*")}, []string{"keep-last 1 (1st)", "not kept by keep-last 1 (2nd)", "not kept by keep-last 1 (3rd)", "not kept by keep-last 1 (4th)"}},
		{Rules{Lists: []string{"prod.txt"}, MayRemove: globs(t, "*")}, []string{"not kept by keep-list prod.txt", "not kept by keep-list prod.txt", "keep-list prod.txt (reg/app:v2)", "not kept by keep-list prod.txt"}},
	} {
		for i, v := range judge(t, tags, c.rules) {
			if got := join(append(v.Rules, v.Why)[:max(1, len(v.Rules))]); got != c.want[i] || v.Keep == strings.HasPrefix(got, "not") {
				t.Errorf("%+v, %s: %q, want %q", c.rules, tags[i].Name, got, c.want[i])
			}
		}
	}
	manifests := []Tag{{Digest: digest("a"), Pushed: tags[0].Pushed, Listed: "prod.txt (x)"}, {Digest: digest("b"), Pushed: tags[0].Pushed}}
	verdicts, err := JudgeUntagged(manifests, Rules{Lists: []string{"prod.txt"}, UntaggedWithin: Duration{Days: 1}}, Options{Now: now})
	if err != nil || !verdicts[0].Keep || join(verdicts[0].Rules) != "keep-list prod.txt (x)" || verdicts[1].Keep {
		t.Errorf("%+v, %v", verdicts, err)
	}
	if err := (Rules{Last: 1, ListAge: Duration{Days: 2}}).Check(); err == nil {
		t.Error("the age of no list is taken")
	}
}

func TestKeepPulled(t *testing.T) {
	tags, _ := read(t, `
		v6 f 2025-05-31 = x
		v5 e 2025-05-10 = x
		v4 d 2025-01-04 = x
		v3 c 2025-01-03 = x
		v2 b 2025-01-02 = x
		v1 a 2025-01-01 = x`)
	tags[2].Pulled, tags[3].Pulled, tags[1].Pulled = at(t, "2025-05-30"), at(t, "2025-03-01"), at(t, "2025-05-05")
	tags[4].Expires, tags[1].Expires = []string{"1d"}, []string{"1d"}
	tags[5].Expires, tags[5].Pulled = []string{"1d"}, at(t, "2025-05-20")
	rules := Rules{PulledWithin: duration(t, "30d"), PulledLogs: []string{"log"}, MayRemove: globs(t, "*")}
	for expiry, want := range map[bool][]string{
		false: {
			"keep-pulled-within 30d (pushed 2025-05-31 00:00)", "keep-pulled-within 30d (pushed 2025-05-10 00:00)", "keep-pulled-within 30d (pulled 2025-05-30 00:00)",
			"not kept by keep-pulled-within 30d (pulled 2025-03-01 00:00)", "not kept by keep-pulled-within 30d (pushed 2025-01-02 00:00)", "keep-pulled-within 30d (pulled 2025-05-20 00:00)",
		},
		true: { // an expired tag is kept only by a pull
			"keep-pulled-within 30d (pushed 2025-05-31 00:00)", "keep-pulled-within 30d (pulled 2025-05-05 00:00)", "keep-pulled-within 30d (pulled 2025-05-30 00:00)",
			"not kept by keep-pulled-within 30d (pulled 2025-03-01 00:00)", "expired 2025-01-03 00:00 (quay.expires-after 1d)", "keep-pulled-within 30d (pulled 2025-05-20 00:00)",
		},
	} {
		rules.Expiry = expiry
		for i, v := range judge(t, tags, rules) {
			if got := strings.Trim(join(v.Rules)+"; "+v.Why, "; "); got != want[i] || v.Keep != strings.HasPrefix(got, "keep") {
				t.Errorf("expiry %v, %s: %q, want %q", expiry, tags[i].Name, got, want[i])
			}
		}
	}
	manifests := []Tag{{Digest: digest("a"), Pushed: tags[5].Pushed, Pulled: at(t, "2025-05-20")}, {Digest: digest("b"), Pushed: tags[5].Pushed}}
	rules.UntaggedWithin = Duration{Days: 1}
	verdicts, err := JudgeUntagged(manifests, rules, Options{Now: now})
	if err != nil || join(verdicts[0].Rules) != "keep-pulled-within 30d (pulled 2025-05-20 00:00)" || verdicts[1].Keep {
		t.Errorf("%+v, %v", verdicts, err)
	}
	for _, wrong := range []Rules{
		{Last: 1, PulledWithin: Duration{Days: 1}}, {Last: 1, PulledLogs: []string{"log"}}, {Last: 1, PulledGap: Duration{Days: 1}},
	} {
		if wrong.Check() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

func TestLatestAndNewest(t *testing.T) {
	none := expressions(`^$`)
	for _, g := range []golden{
		{name: "both stay", rules: Rules{Tags: none}, lines: `
			latest a 2024-01-01 = latest
			v2     b 2025-01-02 = newest
			v1     a 2025-01-01 = - not kept by keep-tags ^$`},
		{name: "all that are the newest", rules: Rules{Tags: none}, lines: `
			v3 c 2025-01-02 = newest
			v2 b 2025-01-02 = newest
			v1 a 2025-01-01 = - not kept by keep-tags ^$`},
		{name: "latest is a name and no part of one", rules: Rules{Tags: none}, lines: `
			v2            b 2025-01-02 = newest
			latest-alpine a 2025-01-01 = - not kept by keep-tags ^$
			Latest        a 2025-01-01 = - not kept by keep-tags ^$`},
		{name: "latest may be removed, the newest of the others stays", rules: Rules{Tags: none, MayRemove: globs(t, "latest")}, lines: `
			latest a 2025-01-03 = - not kept by keep-tags ^$
			v2     b 2025-01-02 = newest
			v1     a 2025-01-01 = - not kept by keep-tags ^$`},
		{name: "by pattern", rules: Rules{Tags: none, MayRemove: globs(t, "pr-*")}, lines: `
			pr-3   c 2025-01-05 = - not kept by keep-tags ^$
			pr-2   d 2025-01-04 = - not kept by keep-tags ^$
			latest a 2025-01-03 = latest; newest
			v1     a 2025-01-01 = - not kept by keep-tags ^$`},
		{name: "what may be removed needn't", rules: Rules{Last: 1, MayRemove: globs(t, "*")}, lines: `
			latest a 2025-01-01 = - not kept by keep-last 1 (2nd)
			v2     b 2025-01-02 = keep-last 1 (1st)`},
		{name: "all of them", rules: Rules{Tags: none, MayRemove: globs(t, "*")}, lines: `
			latest a 2025-01-01 = - not kept by keep-tags ^$
			v2     b 2025-01-02 = - not kept by keep-tags ^$`},
	} {
		g.run(t)
	}
}

func TestDoubtfulTagsAreKept(t *testing.T) {
	tags := []Tag{
		{Name: "v4", Digest: digest("d"), Doubt: "its link is cut", Pushed: at(t, "2025-01-04")},
		{Name: "v3", Pushed: at(t, "2025-01-03")},
		{Name: "v2", Digest: digest("b"), Pushed: at(t, "2025-01-02")},
		{Name: "v1", Digest: digest("a"), Pushed: at(t, "2025-01-01")},
	}
	verdicts, err := Judge(tags, Rules{Last: 1}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"in doubt (its link is cut)", "in doubt (its digest is unknown)", // and neither takes the slot
		"keep-last 1 (1st); newest", "",
	}
	for i, v := range verdicts {
		if got := join(v.Rules); got != want[i] || v.Keep != (want[i] != "") {
			t.Errorf("%s: %v, %q, want %q", tags[i].Name, v.Keep, got, want[i])
		}
	}
}

func TestSignaturesAreOutsideOfAllRules(t *testing.T) {
	name := "sha256-" + digest("subject").Hex()
	tags := []Tag{
		{Name: name, Digest: digest("i"), Pushed: at(t, "2025-03-03")},
		{Name: name + ".sig", Digest: digest("s"), Pushed: at(t, "2025-03-02")},
		{Name: "v2", Digest: digest("b"), Pushed: at(t, "2025-01-02")},
		{Name: "v1", Digest: digest("a"), Pushed: at(t, "2025-01-01")},
	}
	for _, rules := range []Rules{{}, {Last: 1}, {Tags: expressions("x")}, {Tags: expressions("sha256")}, {Within: Duration{Hours: 1}}} {
		verdicts, err := Judge(tags, rules, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range verdicts {
			if v.Signature != (i < 2) || v.Signature != (v.Subject == digest("subject")) {
				t.Errorf("%s is taken for a signature or not: %+v", tags[i].Name, v)
			}
			if v.Signature && (!v.Keep || len(v.Rules) > 0 || v.Why != "it is kept as long as "+digest("subject").String()) {
				t.Errorf("%s isn't left to its subject: %+v", tags[i].Name, v)
			}
		}
		if newest := verdicts[2]; rules.Active() && (len(newest.Rules) == 0 || newest.Rules[len(newest.Rules)-1] != "newest") {
			t.Errorf("a signature is newer than %s: %+v", tags[2].Name, newest)
		}
		if verdicts[3].Keep == rules.Active() {
			t.Errorf("%+v: %+v", rules, verdicts[3])
		}
	}
}

func TestWithoutRulesTagsAreKept(t *testing.T) {
	tags := []Tag{{Name: "v1", Digest: digest("a"), Pushed: 1}, {Name: "v2"}}
	verdicts, err := Judge(tags, Rules{UntaggedWithin: Duration{Days: 1}, MayRemove: globs(t, "**")}, Options{Now: now})
	for i, v := range verdicts {
		if !v.Keep || !strings.HasPrefix(v.Why, "no rule") {
			t.Errorf("%s: %+v", tags[i].Name, v)
		}
	}
	if len(verdicts) != 2 || err != nil {
		t.Errorf("%d verdicts, %v", len(verdicts), err)
	}
}

func expressions(all ...string) (compiled []*regexp.Regexp) {
	for _, s := range all {
		compiled = append(compiled, regexp.MustCompile(s))
	}
	return compiled
}

// TestInvalidPushedTimes: the push is unknown, and may be recent.
func TestInvalidPushedTimes(t *testing.T) {
	made, ago := Nanoseconds(now.AddDate(-1, 0, 0)), func(days int) int64 { return Nanoseconds(now.AddDate(0, 0, -days)) }
	rules := Rules{PulledWithin: Duration{Days: 90}, PulledLogs: []string{"log"}, By: Created, MayRemove: globs(t, "*")}
	for what, c := range map[string]struct {
		tag  Tag
		want string
	}{
		"pushed at the beginning of time": {Tag{Pushed: 1}, "keep-pulled-within 90d (in doubt: pushed 1970-01-01 is before 2013)"},
		"pushed in the future":            {Tag{Pushed: ago(-40)}, "keep-pulled-within 90d (in doubt: pushed " + now.AddDate(0, 0, 40).Format(time.DateOnly) + " is in the future)"},
		"pushed nobody knows when":        {Tag{}, "keep-pulled-within 90d (in doubt: pushed isn't known)"},
		"pulled long ago":                 {Tag{Pushed: 1, Pulled: ago(100)}, "keep-pulled-within 90d (in doubt: pushed 1970-01-01 is before 2013)"},
		"pulled of late":                  {Tag{Pushed: 1, Pulled: ago(5)}, "keep-pulled-within 90d (pulled " + now.AddDate(0, 0, -5).Format("2006-01-02 15:04") + ")"},
		"pushed long ago":                 {Tag{Pushed: ago(100)}, "not kept by keep-pulled-within 90d (pushed " + now.AddDate(0, 0, -100).Format("2006-01-02 15:04") + ")"},
	} {
		c.tag.Name, c.tag.Digest, c.tag.Created = "v1", digest("v1"), made
		verdicts, err := Judge([]Tag{c.tag}, rules, Options{Now: now})
		if err != nil || join(verdicts[0].Rules)+verdicts[0].Why != c.want || verdicts[0].Keep == strings.HasPrefix(c.want, "not") {
			t.Errorf("%s: %+v, %v, want %s", what, verdicts, err, c.want)
		}
	}
	missed := rules.pulled(0, "pulled", Options{Now: now})
	if want := "keep-pulled-within 90d (no pull in the logs)"; missed != want {
		t.Errorf("%s, want %s", missed, want)
	}
}

// TestReasonsDoNotChangeWithTheClock: reasons are a part of a plan's id. A plan made again a
// little later is the same.
func TestReasonsDoNotChangeWithTheClock(t *testing.T) {
	tags, _ := read(t, `
		v3 c 2025-05-31T00:00 2025-05-30 = x
		v2 b 2019-03-30T00:00 2019-03-29 = x
		v1 a 2019-03-01T00:00 ? = x`)
	for i := range tags {
		tags[i].Pulled = at(t, "2025-01-01T00:00")
		tags[i].Expires = []string{"5d"}
	}
	for name, rules := range map[string]Rules{
		"newer than":  {NewerThan: Duration{Days: 90}},
		"by creation": {NewerThan: Duration{Days: 90}, By: Created},
		"pulled":      {PulledWithin: Duration{Days: 90}, PulledLogs: []string{"log"}},
		"expiry":      {Expiry: true},
		"untagged":    {UntaggedWithin: Duration{Days: 90}},
		"within":      {Within: Duration{Days: 90}},
	} {
		var said [2]string
		for i := range said {
			o := Options{Now: now.Add(time.Duration(i) * 61 * time.Second), Zone: time.UTC}
			verdicts, err := Judge(tags, rules, o)
			if err != nil {
				t.Fatal(err)
			}
			untagged, err := JudgeUntagged(tags, rules, o)
			if err != nil {
				t.Fatal(err)
			}
			said[i] = fmt.Sprintf("%+v %+v", verdicts, untagged)
		}
		if said[0] != said[1] {
			t.Errorf("%s: a minute later\n%s\nis\n%s", name, said[0], said[1])
		}
	}
}
