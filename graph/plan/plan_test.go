package plan_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
)

func made(t *testing.T, b *fixtures.Builder, p gc.Policy) *plan.Plan {
	t.Helper()
	m := &fixtures.Memory{}
	b.Into(m.Put, m.Mkdir)
	o := check.Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: time.Hour, Now: fixtures.Epoch.AddDate(1, 0, 0)}, Policy: p}
	r, _, err := check.Store(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan.New(r, p)
}

// damaged returns a store with one damage of each id, as far as they are compatible.
func damaged() *fixtures.Builder {
	b := fixtures.Standard()
	b.Image("lone", "", fixtures.Image{})
	done := map[string]bool{"store-unreadable": true}
	for _, d := range fixtures.Damages() {
		if !done[d.ID] && !d.Thorough && !strings.HasPrefix(d.ID, "manifest-") {
			func() {
				defer func() { recover() }() // an earlier damage may have removed what it needs
				d.Apply(b)
			}()
			done[d.ID] = true
		}
	}
	return b
}

func TestAPlanFileHoldsThePlan(t *testing.T) {
	p := made(t, damaged(), gc.Policy{Untagged: true})
	if len(p.Steps) < 8 {
		t.Fatalf("only %d steps to save", len(p.Steps))
	}
	p.Steps[0].Content = "\xff\x00 no text"
	p.Steps[1].Content = "base64:looks like it"
	var file bytes.Buffer
	if err := p.Save(&file, plan.Header{Command: "fix", Made: fixtures.Epoch, Untagged: true}); err != nil {
		t.Fatal(err)
	}
	got, h, err := plan.Load(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, p) || got.ID() != p.ID() || !h.Untagged || h.Command != "fix" {
		t.Error("what was read back isn't what was saved")
	}
}

func TestAnEditedPlanFileIsRefused(t *testing.T) {
	p := made(t, damaged(), gc.Policy{})
	var file bytes.Buffer
	if err := p.Save(&file, plan.Header{}); err != nil {
		t.Fatal(err)
	}
	whole := file.String()
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	for name, edited := range map[string]string{
		"empty":             "",
		"a step left out":   strings.Join(append([]string{lines[0]}, lines[2:]...), ""),
		"a step twice":      lines[0] + lines[1] + strings.Join(lines[1:], ""),
		"cut":               strings.Join(lines[:len(lines)-1], ""),
		"another key":       strings.Replace(whole, "blobs/sha256/", "blobs/sha257/", 1),
		"another header":    strings.Replace(whole, `"tool":""`, `"tool":"x"`, 1),
		"something behind":  whole + "{}\n",
		"half of its bytes": whole[:len(whole)/2],
		"not a plan":        "hello\n",
	} {
		if edited == whole {
			t.Fatalf("%s: nothing was edited", name)
		}
		if _, _, err := plan.Load(strings.NewReader(edited)); err == nil || name != "empty" && name != "not a plan" && !errors.Is(err, plan.ErrEdited) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPlanOfAnUnknownKind: a plan of another version isn't called edited.
func TestAPlanOfAnUnknownKind(t *testing.T) {
	p := made(t, damaged(), gc.Policy{})
	var file bytes.Buffer
	if err := p.Save(&file, plan.Header{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(file.String(), "\n")
	lines[1] = strings.Replace(lines[1], `"`+p.Steps[0].Finding.String()+`"`, `"blob-unheard-of"`, 1)
	last := len(lines) - 1
	if lines[last] == "" {
		last--
	}
	sum := sha256.Sum256([]byte(strings.Join(lines[:last], "")))
	var end struct {
		Digest string `json:"sha256"`
	}
	if err := json.Unmarshal([]byte(lines[last]), &end); err != nil {
		t.Fatal(err)
	}
	lines[last] = strings.Replace(lines[last], end.Digest, hex.EncodeToString(sum[:]), 1)
	_, _, err := plan.Load(strings.NewReader(strings.Join(lines, "")))
	if !errors.Is(err, finding.ErrUnknown) || errors.Is(err, plan.ErrEdited) || !strings.Contains(err.Error(), `step 1: "blob-unheard-of"`) {
		t.Error(err)
	}
}

func TestStepsAreInASafeOrder(t *testing.T) {
	p := made(t, damaged(), gc.Policy{Untagged: true})
	for i := 1; i < len(p.Steps); i++ {
		a, b := &p.Steps[i-1], &p.Steps[i]
		if a.Kind.Stage() > b.Kind.Stage() || a.Kind == b.Kind && a.Key >= b.Key || a.Kind.Stage() < 0 {
			t.Errorf("%s %s before %s %s", a.Kind, a.Key, b.Kind, b.Key)
		}
	}
}

func TestTheSameStoreHasTheSamePlan(t *testing.T) {
	b := damaged()
	if a, c := made(t, b, gc.Policy{}), made(t, b, gc.Policy{}); a.ID() != c.ID() || a.ID() == made(t, b, gc.Policy{Untagged: true}).ID() {
		t.Error("ids don't tell plans apart by their steps")
	}
}

// TestSkippedFindingsAreRoots: what a skipped id would have removed is a root.
func TestSkippedFindingsAreRoots(t *testing.T) {
	b := damaged()
	for id := range finding.Kinds {
		if id.Severity() != finding.Garbage {
			continue
		}
		var p gc.Policy
		p.Untagged = true
		all := made(t, b, p)
		p.Skip[id] = true
		left := made(t, b, p)
		blobs := map[string]bool{}
		for _, s := range left.Steps {
			if s.Finding == id {
				t.Errorf("%v was left out and has a step", id)
			}
			blobs[s.Digest] = blobs[s.Digest] || s.Kind == plan.Blob
		}
		for _, s := range all.Steps {
			if s.Finding == id && s.Kind != plan.Blob && blobs[s.Digest] && s.Digest != "" {
				t.Errorf("%v: %s stays and its blob is removed", id, s.Key)
			}
		}
	}
}

// TestADirectoryThatIsFilledIsKept: a tag's current link is rebuilt in an empty directory,
// which is kept.
func TestADirectoryThatIsFilledIsKept(t *testing.T) {
	for _, d := range fixtures.Damages() {
		if d.ID != "tag-without-current" || d.Name != "an empty current" {
			continue
		}
		b := fixtures.Standard()
		d.Apply(b)
		p := made(t, b, gc.Policy{})
		if len(p.Steps) != 1 || p.Steps[0].Op != plan.Write {
			t.Errorf("the steps are %+v, want one that writes", p.Steps)
		}
		return
	}
	t.Fatal("no such damage")
}

// restoreLost returns a result with multipart uploads at one key.
func restoreLost(key string, ids ...string) *check.Result {
	var all []finding.Finding
	for _, id := range ids {
		all = append(all, finding.Finding{
			Kind: finding.MultipartStale, Path: key, Repository: "a", Upload: id, Detail: "upload id " + id,
			Modified: fixtures.Epoch, Cure: finding.CureAbort,
		})
	}
	return &check.Result{Findings: slices.Values(all)}
}

// TestEachMultipartUploadIsAStep: each has its step, in an order that doesn't depend on that
// of findings, and any id can be saved.
func TestEachMultipartUploadIsAStep(t *testing.T) {
	key := "docker/registry/v2/repositories/a/_uploads/u/data"
	ids := []string{"2", "1", strings.Repeat("long/+=", 999), "\x01\"\\<&>\n", "ünïcode \u2028", "base64:x", "1"}
	p := plan.New(restoreLost(key, ids...), gc.Policy{})
	slices.Reverse(ids)
	if other := plan.New(restoreLost(key, ids...), gc.Policy{}); !reflect.DeepEqual(p, other) {
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
	if p.ID() == plan.New(restoreLost(key, ids...), gc.Policy{}).ID() {
		t.Error("the plan's id doesn't tell which uploads are aborted")
	}
}

// TestWhichMultipartUploadsAreNoSteps: one multipart upload is kept, not all at its key, nor
// the object there.
func TestWhichMultipartUploadsAreNoSteps(t *testing.T) {
	key := "docker/registry/v2/repositories/a/_uploads/u/data"
	uploads := func(r *check.Result, p gc.Policy) (ids string) {
		for _, s := range plan.New(r, p).Steps {
			ids += s.Upload
		}
		return ids
	}
	var left gc.Policy
	left.Skip[finding.MultipartStale] = true
	for name, c := range map[string]struct {
		r    *check.Result
		p    gc.Policy
		want string
	}{
		"left out":        {restoreLost(key, "1", "2"), left, ""},
		"one is kept":     {restoreLost(key, "1", "2"), gc.Policy{Keep: map[string]bool{plan.FullKey(key, "1"): true}}, "2"},
		"its key is kept": {restoreLost(key, "1", "2"), gc.Policy{Keep: map[string]bool{key: true}}, "12"},
		"no UTF-8":        {restoreLost(key, "1", "\xff"), gc.Policy{}, "1"},
	} {
		if got := uploads(c.r, c.p); got != c.want {
			t.Errorf("%s: aborted are %q, want %q", name, got, c.want)
		}
	}
}
