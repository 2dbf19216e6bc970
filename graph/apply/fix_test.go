package apply

import (
	"context"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph"
)

// golden are the stores that every damage makes of a standard one.
func golden() map[string]*fixtures.Builder {
	all := map[string]*fixtures.Builder{}
	for _, d := range fixtures.Damages() {
		if d.Disk == nil {
			b := fixtures.Standard()
			d.Apply(b)
			all[d.ID+", "+d.Name] = b
		}
	}
	return all
}

// After a fix there is nothing left to fix, nothing that a tag needs is gone,
// and an undo gives back the store as it was; then all again. What is given up
// on request may bring more to light, which takes another run.
func TestFixComesToItsEndAndCanBeUndone(t *testing.T) {
	for name, b := range golden() {
		for asked, policy := range policies() {
			t.Run(name+", "+asked, func(t *testing.T) {
				m, state := b.Memory(), t.TempDir()
				was := dump(m)
				for range 2 {
					runs := fixAll(t, m, state, policy)
					if !policy.Also[0] && len(runs) > 1 {
						t.Fatalf("it took %d runs", len(runs))
					}
					if l := lost(needs(was), was, dump(m)); l != "" && !policy.Also[0] {
						t.Fatalf("a tag's needs:\n%s", l)
					}
					undoAll(t, m, state, runs)
					if d := diff(was, dump(m)); d != "" {
						t.Fatalf("after the undo:\n%s", d)
					}
				}
			})
		}
	}
}

// fixAll fixes until there is nothing to do, and returns the runs.
func fixAll(t *testing.T, m *fixtures.Memory, state string, policy graph.Policy) (runs []string) {
	t.Helper()
	for len(runs) < 5 {
		was := dump(m)
		out := mustFix(t, m.Store(), state, policy)
		if out.Run == "" {
			if d := diff(was, dump(m)); d != "" {
				t.Fatalf("nothing was to be done, and:\n%s", d)
			}
			return runs
		}
		runs = append(runs, out.Run)
	}
	t.Fatal("no run is the last")
	return nil
}

// undoAll undoes runs, the newest first, each twice.
func undoAll(t *testing.T, m *fixtures.Memory, state string, runs []string) {
	t.Helper()
	for i := range runs {
		for range 2 {
			back, err := Undo(context.Background(), m.Store(), state, runs[len(runs)-1-i])
			if err != nil || len(back.NotDone) > 0 {
				t.Fatalf("undo: %v, %+v", err, back)
			}
		}
	}
}

// What was cured isn't found again.
func TestWhatIsCuredIsCured(t *testing.T) {
	for name, b := range golden() {
		m := b.Memory()
		before, _, err := graph.Check(context.Background(), m, options(graph.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		mustFix(t, m.Store(), t.TempDir(), graph.Policy{})
		after, _, err := graph.Check(context.Background(), m, options(graph.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for f := range after.Findings {
			if f.Cure == graph.CureRebuild || f.Cure == graph.CureRemove && !f.Young {
				left = append(left, f.ID.String()+" "+f.Path)
			}
		}
		for f := range after.Findings {
			known := slices.Collect(func(yield func(string) bool) {
				for g := range before.Findings {
					if !yield(g.ID.String() + g.Path) {
						return
					}
				}
			})
			if !slices.Contains(known, f.ID.String()+f.Path) {
				left = append(left, "new: "+f.ID.String()+" "+f.Path)
			}
		}
		if len(left) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(left, "\n"))
		}
	}
}
