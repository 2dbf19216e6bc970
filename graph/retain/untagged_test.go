package retain

import "testing"

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
		{Tag{Pushed: at(t, "2019-01-01")}, "in doubt (its digest isn't known)"},
	}
	var tags []Tag
	for _, m := range manifests {
		tags = append(tags, m.m)
	}
	verdicts, err := JudgeUntagged(tags, Rules{Last: 1, UntaggedWithin: duration(t, "30d")}, Setting{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		want := manifests[i].want
		if join(v.Rules) != want || v.Keep != (want != "") || !v.Keep && v.Why != "not kept by keep-untagged-within 30d" {
			t.Errorf("%+v: %+v, want %q", tags[i], v, want)
		}
	}
	all, err := JudgeUntagged(tags, Rules{Last: 1}, Setting{Now: now})
	for i, v := range all {
		if !v.Keep || v.Why != "no rule is about manifests without a tag" {
			t.Errorf("without the rule, %+v: %+v", tags[i], v)
		}
	}
	if len(all) != len(tags) || err != nil {
		t.Errorf("%d verdicts, %v", len(all), err)
	}
}
