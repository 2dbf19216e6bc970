package apply

import (
	"context"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// stopped begins a run and stops it at its first removal.
func stopped(t *testing.T, m *fixtures.Memory, state string, p graph.Policy) string {
	t.Helper()
	result, _, err := graph.Check(context.Background(), m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	out, err := Run(ctx, input(f, state, plan.New(result, p), p))
	if err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	return out.Run
}

// What a run left that was interrupted is finished too where a later one was
// interrupted, and undone or given up, after it.
func TestARunBehindOneThatWasUndoneIsFinished(t *testing.T) {
	for name, away := range map[string]func(t *testing.T, m *fixtures.Memory, state, run string){
		"undone": func(t *testing.T, m *fixtures.Memory, state, run string) { undone(t, m, state, run) },
		"purged": purged,
	} {
		t.Run(name, func(t *testing.T) {
			b := messy()
			more, _, _ := leftovers()
			m, state := b.Memory(), t.TempDir()
			first := stopped(t, m, state, messyPolicy())
			more.Into(m.Put, m.Mkdir)
			second := stopped(t, m, state, graph.Policy{Untagged: true})
			if first == second {
				t.Fatal("there is one run")
			}
			away(t, m, state, second)
			facts, err := Look(context.Background(), m, state, Facts{})
			if err != nil || facts.Unfinished != first {
				t.Errorf("%v, %q is unfinished, want %s", err, facts.Unfinished, first)
			}
			p, err := readPast(state, first)
			if err != nil {
				t.Fatal(err)
			}
			if began, err := UnfinishedSince(state); err != nil || !began.Equal(p.begin.Time.Add(-lag)) {
				t.Errorf("broken off at %v, %v, want %v", began, err, p.begin.Time.Add(-lag))
			}
			mustFix(t, m.Store(), state, graph.Policy{Untagged: true})
			if facts, err = Look(context.Background(), m, state, Facts{}); err != nil || facts.Unfinished != "" {
				t.Errorf("%v, %q is unfinished", err, facts.Unfinished)
			}
			if began, err := UnfinishedSince(state); err != nil || !began.IsZero() {
				t.Errorf("broken off at %v, %v", began, err)
			}
		})
	}
}
