package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/s3"
	"regfsck/fixtures/bucket"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// front is a bucket in trouble.
type front struct {
	*testing.T
	seed   uint64
	kind   mishap
	how    string
	place  *bucket.Bucket
	proxy  *bucket.Proxy
	keep   bool
	state  string
	policy graph.Policy
}

// open opens the store as a process of its own does, and then lets things go
// wrong.
func (f *front) open(phase uint64, troubled bool) *s3.Store {
	f.Helper()
	f.proxy.Heal()
	s, err := s3.OpenStore(f.Context(), s3.Options{
		Bucket: f.place.Name, Root: "root", Endpoint: f.proxy.Endpoint, Region: f.proxy.Region, Workers: 4,
		AccessKey: f.proxy.AccessKey, SecretKey: f.proxy.SecretKey, Attempts: 3, Backoff: time.Millisecond,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	if troubled {
		percent := []int{2, 10, 30}[(f.seed+phase)%3]
		f.proxy.Inject(f.kind.faults(newDice(10*f.seed+phase, percent))...)
	}
	return s
}

// dump is what stands in the bucket, past the proxy: bytes by key.
func (f *front) dump() map[string]string {
	f.Helper()
	all := map[string]string{}
	for _, key := range f.place.Keys(f.T, "root/docker/") {
		body, ok := f.place.Get(f.T, key)
		if !ok {
			f.Fatalf("%s: %s is listed and isn't there", f.how, key)
		}
		all[strings.TrimPrefix(key, "root/")] = " " + string(body)
	}
	return all
}

// options are those of a check at this moment.
func (f *front) options() graph.Options {
	o := options(f.policy)
	o.Now, o.Grace, o.Workers, o.Again = time.Now(), 0, 4, true
	return o
}

// everything is what a check says, a line each.
func everything(r *graph.Result) (all []string) {
	for f := range r.Findings {
		all = append(all, fmt.Sprint(f.ID, " ", f.Path, " ", f.Detail, f.Affects))
	}
	slices.Sort(all)
	return all
}

// tryFix plans and applies, as regfsck fix --apply does.
func (f *front) tryFix(s backend.Store, state string) (*Outcome, error) {
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, err
	}
	result, _, err := graph.Check(context.Background(), s, f.options())
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, f.policy), f.policy)
	in.Scan, in.Now, in.Workers, in.Found, in.Made = f.options(), time.Now, 4, result, true
	in.Run.Keep, in.Limits.NoUndoOK, in.Limits.MaxDelete = f.keep, !f.keep, 1
	if reasons := Refusals(result, in.Plan, in.Limits, in.Facts); len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	return Run(context.Background(), in)
}

// fixAll fixes until nothing is left to be done, and nothing may go wrong.
func (f *front) fixAll(s backend.Store, state string) {
	f.Helper()
	for range maxRuns {
		if out, err := f.tryFix(s, state); err != nil || len(out.NotDone) > 0 {
			f.Fatalf("%s: %v, %+v", f.how, err, out)
		}
	}
}

// unlocked opens the store once more without trouble, and breaks the lease that
// an operator sees there.
func (f *front) unlocked() *s3.Store {
	f.Helper()
	s := f.open(0, false)
	if body, ok := f.place.Get(f.T, "root/.regfsck/lock"); ok {
		var by struct{ Run string }
		if err := json.Unmarshal(body, &by); err != nil {
			f.Fatalf("%s: the lease holds %q: %v", f.how, body, err)
		}
		if err := s.BreakLease(f.Context(), by.Run); err != nil {
			f.Fatalf("%s: %v", f.how, err)
		}
	}
	return s
}
