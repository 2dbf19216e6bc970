package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// A registry that takes a push writes links again that it has, and relies on
// them: an undo leaves such a one, whatever wrote it first.
func TestAnUndoLeavesALinkThatWasWrittenAgain(t *testing.T) {
	for name, how := range map[string]func(m *fixtures.Memory, key string){
		"missing": func(m *fixtures.Memory, key string) { m.Delete(key) },
		"empty":   func(m *fixtures.Memory, key string) { m.Put(key, nil, fixtures.Epoch) },
	} {
		for _, pushed := range []bool{false, true} {
			b := fixtures.New(1)
			key := b.Image("a", "v1", fixtures.Image{}).LayerKey(1)
			m, state := b.Memory(), t.TempDir()
			link := body(m, key)
			how(m, key)
			was := dump(m)
			mustFix(t, m.Store(), state, graph.Policy{})
			if pushed {
				m.Put(key, link, now.Add(time.Hour))
			}
			is := dump(m)
			out, err := Undo(context.Background(), m.Store(), state, "")
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case !pushed && (len(out.NotDone) > 0 || diff(was, dump(m)) != ""):
				t.Errorf("%s: it isn't undone: %+v\n%s", name, out, diff(was, dump(m)))
			case pushed && (len(out.NotDone) != 1 || out.NotDone[0].Reason != errRewritten.Error() || out.NotDone[0].Failed):
				t.Errorf("%s: it isn't named: %+v", name, out)
			case pushed && diff(is, dump(m)) != "":
				t.Errorf("%s: it isn't left:\n%s", name, diff(is, dump(m)))
			}
		}
	}
}

// What came back may need what a later run took away for good: that isn't undone
// and nothing more said.
func TestAnUndoNamesWhatIsGoneForGood(t *testing.T) {
	for name, c := range map[string]struct {
		keep  bool
		after func(t *testing.T, m *fixtures.Memory, state, run string)
		gone  bool
	}{
		"purged":          {true, purged, true},
		"without an undo": {false, func(*testing.T, *fixtures.Memory, string, string) {}, true},
		"undone": {true, func(t *testing.T, m *fixtures.Memory, state, run string) {
			undone(t, m, state, run)
		}, false},
		"undone and purged": {true, func(t *testing.T, m *fixtures.Memory, state, run string) {
			undone(t, m, state, run)
			purged(t, m, state, run)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, state := garbage().Memory(), t.TempDir()
			links := graph.Policy{Untagged: true}
			links.Left[graph.BlobOrphan] = true
			first := mustFix(t, m.Store(), state, links).Run
			result, _, err := graph.Check(context.Background(), m, options(graph.Policy{}))
			if err != nil {
				t.Fatal(err)
			}
			in := input(m.Store(), state, plan.New(result, graph.Policy{}), graph.Policy{})
			in.Run.Keep = c.keep
			second, err := Run(context.Background(), in)
			if err != nil || second.Total().Done == 0 {
				t.Fatalf("%v, %+v", err, second)
			}
			if c.keep {
				_, err := Undo(context.Background(), m.Store(), state, first)
				var no *Refused
				if !errors.As(err, &no) || !strings.Contains(no.Reasons[0].How, "for good") {
					t.Errorf("out of order: %v", err)
				}
			}
			c.after(t, m, state, second.Run)
			out := undone(t, m, state, first)
			if got := slices.Equal(out.RemovedLater, []string{second.Run}); got != c.gone || !c.gone && len(out.RemovedLater) > 0 {
				t.Errorf("it names %q", out.RemovedLater)
			}
		})
	}
}

func purged(t *testing.T, m *fixtures.Memory, state, run string) {
	t.Helper()
	if _, err := Purge(context.Background(), m.Store(), state, run); err != nil {
		t.Fatal(err)
	}
}
