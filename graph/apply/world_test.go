package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// now is long after all objects were built.
var now = fixtures.Epoch.AddDate(1, 0, 0)

// options have one worker, so that the order of operations is fixed.
func options(p gc.Policy) check.Options {
	return check.Options{Options: graph.Options{Workers: 1, Grace: time.Hour, UploadsOlderThan: time.Hour, Now: now, Thorough: true}, Policy: p}
}

func input(s backend.Store, state string, p *plan.Plan, policy gc.Policy) Input {
	return Input{
		Store: s, State: state, Scan: options(policy), Run: backend.Run{Keep: true}, Plan: p,
		Limits: Limits{MaxDelete: DefaultMaxDelete, MinObjects: 3 * batchSize, AllowTagless: true},
		Now:    func() time.Time { return clockOf(s) }, Workers: 1,
	}
}

// clockOf returns now, or for a disk a time after its own, since the change times of files
// are real.
func clockOf(s backend.Store) time.Time {
	switch s := s.(type) {
	case *file.Store:
		return now.AddDate(100, 0, 0)
	case interface{ inner() backend.Store }:
		return clockOf(s.inner())
	}
	return now
}

// fix plans and applies, as regfsck fix --apply.
func fix(s backend.Store, state string, policy gc.Policy) (*Outcome, error) {
	return fixBy(1, s, state, policy)
}

// fixBy is fix with so many workers.
func fixBy(workers int, s backend.Store, state string, policy gc.Policy) (*Outcome, error) {
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, err
	}
	o := options(policy)
	o.Fingerprint, o.Workers = true, workers
	result, _, err := check.Store(context.Background(), s, o)
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, policy), policy)
	in.Found, in.Made, in.Scan.Workers, in.Workers = result, true, workers, workers
	if reasons := Refusals(result, in.Plan, in.Limits, Facts{Given: in.Given}); len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	return Run(context.Background(), in)
}

// mustFix is fix without failures.
func mustFix(t *testing.T, s backend.Store, state string, policy gc.Policy) *Outcome {
	t.Helper()
	out, err := fix(s, state, policy)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.NotDone) > 0 {
		t.Fatalf("left: %+v", out.NotDone)
	}
	return out
}

// dump returns all that a store contains: files with bytes and times, and empty directories,
// with a slash.
func dump(r backend.Reader) map[string]string {
	all := map[string]string{}
	none := func(string) backend.Hint { return backend.Hint{} }
	err := r.List(context.Background(), "docker", none, func(b backend.Batch) error {
		for _, it := range b.Items {
			key := strings.Clone(b.Dir + "/" + it.Name)
			all[key] = fmt.Sprint(it.Modified)
			if strings.HasSuffix(key, "/") {
				all[key] = ""
			}
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	for key, modified := range all {
		if !strings.HasSuffix(key, "/") {
			all[key] = modified + " " + string(body(r, key))
		}
	}
	return all
}

func body(r backend.Reader, key string) []byte {
	f, err := r.Open(context.Background(), key)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	return b
}

// diff returns the differences, a line each.
func diff(was, is map[string]string) string {
	var lines []string
	for key, old := range was {
		if new, ok := is[key]; !ok {
			lines = append(lines, "- "+key)
		} else if new != old {
			lines = append(lines, fmt.Sprintf("~ %s: %.120q, was %.120q", key, new, old))
		}
	}
	for key := range is {
		if _, ok := was[key]; !ok {
			lines = append(lines, "+ "+key)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// judged returns a dump as the oracle reads it.
func judged(files map[string]string) *oracle.Store {
	return oracle.Read(oracle.Map(bodies(files)), time.Time{})
}

// needs returns the keys that tags of a store need and have.
func needs(files map[string]string) map[string]bool { return judged(files).Needed() }

// pulls returns the tags ("repo:tag") that can be pulled.
func pulls(files map[string]string) map[string]bool { return judged(files).Pulls() }

// lost returns which of the needed keys are gone or changed; links and blobs may have been
// repaired.
func lost(needed map[string]bool, was, is map[string]string) string {
	var lines []string
	for key := range needed {
		new, ok := is[key]
		switch {
		case !ok:
			lines = append(lines, "gone: "+key)
		case new != was[key] && strings.HasSuffix(key, "/data") && !healed(key, was[key], new):
			lines = append(lines, "other bytes: "+key)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// healed reports whether a blob's bytes hash to its digest now, and didn't before.
func healed(key, was, is string) bool {
	_, was, _ = strings.Cut(was, " ")
	_, is, _ = strings.Cut(is, " ")
	return hashesTo(key, is) && !hashesTo(key, was)
}

// deleted returns the keys that are gone.
func deleted(was, is map[string]string) []string {
	var gone []string
	for key := range was {
		if _, ok := is[key]; !ok && !strings.HasSuffix(key, "/") {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	return gone
}

// policies returns the policies of fixes, by name.
func policies() map[string]gc.Policy {
	var also gc.Policy
	for id := range finding.Kinds {
		also.Also[id] = true
	}
	both := also
	both.Untagged = true
	return map[string]gc.Policy{"": {}, "untagged": {Untagged: true}, "also": also, "untagged and also": both}
}

// stillPulls fails if a tag can't be pulled any more, or if something is gone that a tag
// needs.
func stillPulls(t *testing.T, was, is map[string]string) {
	t.Helper()
	if l := lost(needs(was), was, is); l != "" {
		t.Errorf("a tag's needs:\n%s", l)
	}
	can := pulls(is)
	for ref := range pulls(was) {
		if !can[ref] {
			t.Errorf("%s can't be pulled any more", ref)
		}
	}
}

// parts returns the keys of a manifest in its repository.
func parts(m fixtures.Manifest) []string {
	keys := []string{m.RevisionKey(), m.Key()}
	for i := range m.Blobs {
		keys = append(keys, m.LayerKey(i), m.Blobs[i].Key())
	}
	return keys
}

// stay fails unless all keys are unchanged.
func stay(t *testing.T, was, is map[string]string, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := was[key]; !ok {
			t.Errorf("%s was never there", key)
		} else if is[key] != was[key] {
			t.Errorf("%s isn't what it was: %.100q, was %.100q", key, is[key], was[key])
		}
	}
}

// onlyGone fails unless just these files are gone, and all others are unchanged.
func onlyGone(t *testing.T, was, is map[string]string, keys ...string) {
	t.Helper()
	want := map[string]string{}
	for key, content := range was {
		if !strings.HasSuffix(key, "/") {
			want[key] = content
		}
	}
	for _, key := range keys {
		delete(want, key)
	}
	got := map[string]string{}
	for key, content := range is {
		if !strings.HasSuffix(key, "/") {
			got[key] = content
		}
	}
	if d := diff(want, got); d != "" {
		t.Errorf("not just %q went:\n%s", keys, d)
	}
}

// refusedFix expects a refusal with the word.
func refusedFix(t *testing.T, m *fixtures.Memory, policy gc.Policy, word string) {
	t.Helper()
	was := dump(m)
	out, err := fix(m.Store(), t.TempDir(), policy)
	var r *Refused
	if !errors.As(err, &r) || out != nil || !strings.Contains(err.Error(), word) {
		t.Errorf("want a refusal for %q: %v, %+v", word, err, out)
	}
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("the store was touched:\n%s", d)
	}
}

// waste adds an old orphan, which a fix removes, and returns its key.
func waste(b *fixtures.Builder) string {
	body := []byte("nobody needs this")
	b.Put(layout.BlobKey(layout.Sum(body)), body)
	return layout.BlobKey(layout.Sum(body))
}

// plain returns the policies that remove nothing on request.
func plain() map[string]gc.Policy {
	return map[string]gc.Policy{"": {}, "untagged": {Untagged: true}}
}

// withLostName is the name of withLost in oneOfEach.
const withLostName = "manifest-lost"

// policyOf returns the policy for a store of oneOfEach.
func policyOf(name string) gc.Policy {
	if name == withLostName {
		return reviving()
	}
	return gc.Policy{Untagged: true}
}

// oneOfEach returns stores with the first damage of each id, the messy one, and one with a
// lost image.
func oneOfEach() map[string]*fixtures.Builder {
	all := map[string]*fixtures.Builder{"messy": messy()}
	all[withLostName], _ = withLost()
	for _, d := range fixtures.Damages() {
		if d.Disk == nil && all[d.ID] == nil {
			all[d.ID] = fixtures.Standard()
			d.Apply(all[d.ID])
		}
	}
	return all
}

func isRefused(err error) bool {
	var no *Refused
	return errors.As(err, &no)
}
