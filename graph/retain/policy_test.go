package retain

import (
	"strings"
	"testing"
)

func TestFirstMatchWins(t *testing.T) {
	policy := Policy{
		{Repositories: globs(t, "app/**", "web"), Exclude: globs(t, "app/prod/**"), Rules: Rules{Last: 1}},
		{Repositories: globs(t, "app/*/*")}, // not changed
		{Exclude: globs(t, "base"), Rules: Rules{Last: 3}},
	}
	if err := policy.Check(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]Count{
		"app/x": 1, "web": 1, "app/x/y": 1, "app/prod/y": 0, "app/prod/y/z": 3, "app/prod": 1, "app": 3, "web/x": 3,
	} {
		if rules, ok := policy.For(name); !ok || rules.Last != want {
			t.Errorf("%s: keep-last %s, %v, want %s", name, rules.Last, ok, want)
		}
	}
	if rules, ok := policy.For("base"); ok {
		t.Errorf("base has the rules %+v", rules)
	}
	if rules, ok := (Policy{}).For("app"); ok || (Policy{}).Check() != nil {
		t.Errorf("no policy has the rules %+v", rules)
	}
}

func TestPolicyCheckNamesTheRule(t *testing.T) {
	fine := Rule{Repositories: globs(t, "a/**", "b"), Rules: Rules{Daily: 1}}
	for _, c := range []struct {
		policy Policy
		says   string
	}{
		{Policy{fine, {Repositories: globs(t, "c/*"), Rules: Rules{Last: None}}}, "rule 2 (c/*): keep-last 0 alone keeps nothing"},
		{Policy{{Rules: Rules{Yearly: -3}}}, "rule 1 (every repository): keep-yearly is -3"},
		{Policy{{Rules: Rules{Last: 1}}, fine}, "rule 2 (a/**) is never reached: rule 1 (every repository) matches"},
		{Policy{{Repositories: globs(t, "x", "**"), Rules: Rules{Last: 1}}, fine, fine}, "rule 2 (a/**) is never reached: rule 1 (x)"},
	} {
		if err := c.policy.Check(); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
	if err := (Policy{{Exclude: globs(t, "x"), Rules: Rules{Last: 1}}, fine}).Check(); err != nil {
		t.Error(err)
	}
}

func TestRulesCheck(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		says  string
	}{
		{Rules{Last: None}, "keep-last 0 alone keeps nothing"},
		{Rules{Weekly: None, Yearly: None, UntaggedWithin: Duration{Days: 1}}, "keep-weekly 0 alone keeps nothing"},
		{Rules{Daily: -3, Last: 1}, "keep-daily is -3"},
		{Rules{Within: Duration{Years: 1, Days: -1}}, "keep-within is below nothing"},
		{Rules{UntaggedWithin: Duration{Hours: -1}}, "keep-untagged-within is below nothing"},
		{Rules{By: 2}, "no time number 2"},
	} {
		err := c.rules.Check()
		if err == nil || !strings.HasPrefix(err.Error(), c.says) && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.rules, err, c.says)
			continue
		}
		if _, judged := Judge(nil, c.rules, Options{Now: now}); judged == nil || judged.Error() != err.Error() {
			t.Errorf("%+v are judged by: %v", c.rules, judged)
		}
		if _, judged := JudgeUntagged(nil, c.rules, Options{Now: now}); judged == nil || judged.Error() != err.Error() {
			t.Errorf("%+v are judged by: %v", c.rules, judged)
		}
	}
	for _, rules := range []Rules{
		{}, {MayRemove: globs(t, "latest")}, {Last: None, Daily: 1}, {Last: None, Tags: expressions("x")},
		{Last: All}, {Hourly: None, Within: Duration{Hours: 1}}, {UntaggedWithin: Duration{Days: 1}},
	} {
		if err := rules.Check(); err != nil {
			t.Errorf("%+v: %v", rules, err)
		}
	}
}
