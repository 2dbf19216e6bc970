package plan_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// restoreLost is a judgement that found multipart uploads, by their ids, at one key.
func restoreLost(key string, ids ...string) *graph.Result {
	var all []graph.Finding
	for _, id := range ids {
		all = append(all, graph.Finding{
			ID: graph.MultipartStale, Path: key, Repository: "a", Upload: id, Detail: "upload id " + id,
			Modified: fixtures.Epoch, Cure: graph.CureAbort,
		})
	}
	return &graph.Result{Findings: slices.Values(all)}
}

// Each multipart upload is a step of its own, in an order that doesn't hang on
// that of the findings, and any id comes back from a file.
func TestEachMultipartUploadIsAStep(t *testing.T) {
	key := "docker/registry/v2/repositories/a/_uploads/u/data"
	ids := []string{"2", "1", strings.Repeat("long/+=", 999), "\x01\"\\<&>\n", "ünïcode \u2028", "base64:x", "1"}
	p := plan.New(restoreLost(key, ids...), graph.Policy{})
	slices.Reverse(ids)
	if other := plan.New(restoreLost(key, ids...), graph.Policy{}); !reflect.DeepEqual(p, other) {
		t.Errorf("the order of findings makes another plan: %+v", other)
	}
	if len(p.Steps) != len(ids)-1 {
		t.Fatalf("%d steps for %d multipart uploads", len(p.Steps), len(ids)-1)
	}
	for _, s := range p.Steps {
		if s.Op != plan.Abort || s.Kind != plan.Upload || s.Key != key || !slices.Contains(ids, s.Upload) || s.Modified != fixtures.Epoch.Unix() {
			t.Errorf("%+v", s)
		}
	}
	var file bytes.Buffer
	if err := p.Save(&file, plan.Header{}); err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(file.String(), `"upload":"1"`, `"upload":"0"`, 1)
	if got, _, err := plan.Load(&file); err != nil || !reflect.DeepEqual(got, p) || got.ID() != p.ID() {
		t.Errorf("what was read back isn't what was saved: %v", err)
	}
	if _, _, err := plan.Load(strings.NewReader(edited)); err == nil {
		t.Error("another upload may be aborted")
	}
	p.Steps[0].Upload += "x"
	if p.ID() == plan.New(restoreLost(key, ids...), graph.Policy{}).ID() {
		t.Error("the plan's id doesn't tell which uploads are aborted")
	}
}

// What is kept is one multipart upload, not all at its key, nor what stands there.
func TestWhichMultipartUploadsAreNoSteps(t *testing.T) {
	key := "docker/registry/v2/repositories/a/_uploads/u/data"
	uploads := func(r *graph.Result, p graph.Policy) (ids string) {
		for _, s := range plan.New(r, p).Steps {
			ids += s.Upload
		}
		return ids
	}
	var left graph.Policy
	left.Left[graph.MultipartStale] = true
	for name, c := range map[string]struct {
		r    *graph.Result
		p    graph.Policy
		want string
	}{
		"left out":        {restoreLost(key, "1", "2"), left, ""},
		"one is kept":     {restoreLost(key, "1", "2"), graph.Policy{Keep: map[string]bool{plan.FullKey(key, "1"): true}}, "2"},
		"its key is kept": {restoreLost(key, "1", "2"), graph.Policy{Keep: map[string]bool{key: true}}, "12"},
		"no UTF-8":        {restoreLost(key, "1", "\xff"), graph.Policy{}, "1"},
	} {
		if got := uploads(c.r, c.p); got != c.want {
			t.Errorf("%s: aborted are %q, want %q", name, got, c.want)
		}
	}
}
