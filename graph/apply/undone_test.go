package apply

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// A run that crashed is finished by the next one, though another came between
// them that was interrupted too, and taken back.
func TestWhatWasBrokenOffBeforeAnUndoneRunIsFinished(t *testing.T) {
	clean := messy().Memory()
	mustFix(t, clean.Store(), t.TempDir(), messyPolicy())
	want := dump(clean)
	was := dump(messy().Memory())
	for n, undone := 1, 0; ; n++ {
		m, state := messy().Memory(), t.TempDir()
		tr := makeTrouble(t, m, state, fixtures.CrashAfter, n, func(f *fixtures.FaultyStore) {
			fix(f, state, messyPolicy())
		})
		if !tr.fired {
			if undone < 10 {
				t.Errorf("only %d runs were undone between", undone)
			}
			break
		}
		if breakOff(t, m, state) {
			undone++
		}
		if _, err := fix(m.Store(), state, messyPolicy()); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		if d := diff(want, dump(m)); d != "" {
			t.Errorf("%d: it wasn't finished:\n%s", n, d)
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("%d: after the undo:\n%s", n, d)
		}
	}
}

// A run that was killed before its journal had a line did nothing, and says
// nothing of when another one began.
func TestARunWithoutALineHidesNoOther(t *testing.T) {
	m, state := messy().Memory(), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	p := messyPolicy()
	result, _, err := graph.Check(ctx, m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	stopped := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	if out, err := Run(ctx, input(stopped, state, plan.New(result, p), p)); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	want, err := UnfinishedSince(state)
	if err != nil || want.IsZero() {
		t.Fatalf("%v, %v", want, err)
	}
	if err := os.MkdirAll(runDir(state, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runDir(state, "empty"), journalName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := UnfinishedSince(state); err != nil || !got.Equal(want) {
		t.Errorf("%v, %v; not %v", got, err, want)
	}
}

// breakOff plans anew, without finishing anything before, breaks that run off
// and undoes it. It reports whether there was anything to do.
func breakOff(t *testing.T, m *fixtures.Memory, state string) bool {
	t.Helper()
	p := messyPolicy()
	ctx, cancel := context.WithCancel(context.Background())
	result, _, err := graph.Check(ctx, m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	steps := plan.New(result, p)
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	out, err := Run(ctx, input(f, state, steps, p))
	if err != nil || len(steps.Steps) == 0 || !out.Interrupted {
		return false
	}
	if back, err := Undo(context.Background(), m.Store(), state, out.Run); err != nil || len(back.NotDone) > 0 {
		t.Fatalf("undo: %v, %+v", err, back)
	}
	return true
}
