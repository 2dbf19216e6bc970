package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// slow is a store whose removals last only once it has settled.
type slow struct {
	backend.Store
	mu   sync.Mutex
	went []string // keys, and "" where it settled
	errs []error  // of each time
}

func (s *slow) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	s.mu.Lock()
	s.went = append(s.went, keys...)
	s.mu.Unlock()
	return s.Store.Remove(ctx, run, keys)
}

func (s *slow) Settle(context.Context) (err error) {
	s.went = append(s.went, "")
	if len(s.errs) > 0 {
		err, s.errs = s.errs[0], s.errs[1:]
	}
	return err
}

// That links are gone lasts before their blobs go, and all lasts before the run
// says that it is done.
func TestLinksAreGoneForGoodBeforeBlobsGo(t *testing.T) {
	for _, keep := range []bool{true, false} {
		m, state := garbage().Memory(), t.TempDir()
		s := &slow{Store: m.Store()}
		out := kept(t, s, state, keep)
		if len(out.NotDone) > 0 || s.went[len(s.went)-1] != "" {
			t.Errorf("it ended with %q, %+v", s.went[len(s.went)-1], out.NotDone)
		}
		blob := slices.IndexFunc(s.went, isBlob)
		link := slices.IndexFunc(s.went, func(key string) bool { return strings.HasSuffix(key, "/link") })
		if at := slices.Index(s.went, ""); link < 0 || at < link || blob < at || slices.ContainsFunc(s.went[at:], func(key string) bool { return strings.HasSuffix(key, "/link") }) {
			t.Errorf("%q", s.went)
		}
	}
}

// Where that can't be had, no blob goes; and where it can't in the end, the run
// isn't done.
func TestWithoutThatNoBlobGoes(t *testing.T) {
	broken := errors.New("input/output error")
	m, state := garbage().Memory(), t.TempDir()
	s := &slow{Store: m.Store(), errs: []error{broken}}
	out := kept(t, s, state, true)
	if len(out.NotDone) == 0 || slices.ContainsFunc(s.went, isBlob) {
		t.Errorf("%q, %+v", s.went, out.NotDone)
	}
	s.errs = []error{broken} // the links are gone already
	policy := graph.Policy{Untagged: true}
	if _, err := fix(s, state, policy); !errors.Is(err, broken) {
		t.Errorf("the end: %v", err)
	}
	if runs, err := Runs(state); err != nil || runs[0].Status != Unfinished {
		t.Errorf("%v, %+v", err, runs)
	}
	was := dump(m)
	s.errs = []error{broken}
	if _, err := Undo(context.Background(), s, state, ""); !errors.Is(err, broken) {
		t.Errorf("the end of an undo: %v", err)
	}
	if d := diff(was, dump(m)); d == "" {
		t.Error("nothing was undone")
	}
	if runs, err := Runs(state); err != nil || runs[0].Status != Undoing {
		t.Errorf("%v, %+v", err, runs)
	}
}

func isBlob(key string) bool {
	return strings.HasPrefix(key, layout.Blobs) && strings.HasSuffix(key, "/data")
}

// kept fixes a store, and keeps what goes or doesn't.
func kept(t *testing.T, s backend.Store, state string, keep bool) *Outcome {
	t.Helper()
	policy := graph.Policy{Untagged: true}
	result, _, err := graph.Check(context.Background(), s, options(policy))
	if err != nil {
		t.Fatal(err)
	}
	in := input(s, state, plan.New(result, policy), policy)
	in.Run.Keep = keep
	out, err := Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
