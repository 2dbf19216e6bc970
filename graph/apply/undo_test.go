package apply

import (
	"context"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
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
			case !pushed && (len(out.Left) > 0 || diff(was, dump(m)) != ""):
				t.Errorf("%s: it isn't undone: %+v\n%s", name, out, diff(was, dump(m)))
			case pushed && (len(out.Left) != 1 || out.Left[0].Reason != errAgain.Error() || out.Left[0].Failed):
				t.Errorf("%s: it isn't named: %+v", name, out)
			case pushed && diff(is, dump(m)) != "":
				t.Errorf("%s: it isn't left:\n%s", name, diff(is, dump(m)))
			}
		}
	}
}
