package check

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestCacheStates: what 2.8 and 3.1 decode is valid, what makes them panic isn't.
func TestCacheStates(t *testing.T) {
	const entry = `{"Key":"a@sha256:1","ExpiryData":"2026-01-02T15:04:05Z","EntryType":1}`
	for _, good := range []string{`{}`, `null`, ` {"a": ` + entry + `} `, `{"a":` + entry + `,"b":{}}`, `{"a":{"Other":[1,{}]}}`} {
		if err := graph.CacheStateError(strings.NewReader(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "  ": "empty", `{`: "cut off", `{"a":{"Key":"a`: "cut off", `{"a":` + entry: "cut off", `[]`: "no JSON object", `7`: "no JSON object",
		`{"a":null}`: "null", `{"a":{"ExpiryData":"soon"}}`: "no valid JSON", `{"a":{"EntryType":"x"}}`: "no valid JSON", `{} {}`: "follows", "\x00\x00": "no valid JSON",
	} {
		if err := graph.CacheStateError(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestAChangingCacheState: a file that is being written is no damage, and an unreadable one
// is unknown.
func TestAChangingCacheState(t *testing.T) {
	b := fixtures.Standard()
	b.PutAt(layout.SchedulerKey, nil, fixtures.Epoch.AddDate(1, 0, 0).Add(-graph.PushTime/2))
	r := examine(t, b.Memory(), nil)
	if r.Counts[finding.CacheStateInvalid].Count != 0 || r.Counts[finding.StoreChanged].Count != 1 {
		t.Errorf("in motion: %+v", r.Counts)
	}
	b.PutAt(layout.SchedulerKey, nil, fixtures.Epoch.AddDate(1, 0, 0).Add(-time.Hour))
	if r = examine(t, b.Memory(), nil); r.Counts[finding.CacheStateInvalid].Count != 1 || !r.Complete {
		t.Errorf("at rest: %+v", r.Counts)
	}
	r = examine(t, fixtures.NewFaulty(b.Memory(), once(layout.SchedulerKey, fixtures.OpOpen, fixtures.Fail)), nil)
	if r.Complete || r.Counts[finding.CacheStateInvalid].Count != 0 {
		t.Errorf("unreadable: complete %v, %+v", r.Complete, r.Counts)
	}
}
