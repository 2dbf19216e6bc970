//go:build unix

package apply

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// What a run emptied before it was stopped isn't too young for the next one,
// which comes in the same second, on a disk that keeps no more than seconds.
func TestWhatAStoppedRunEmptiedIsNotYoung(t *testing.T) {
	b, _, _ := leftovers()
	b.Unpush(b.Image("e", "gone", fixtures.Image{}))
	b.Upload("u", 30)
	w, root, state := onDisk(t, b, false)
	settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
	if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	want := picture(t, root)
	for n := 1; ; n++ {
		w, root, state := onDisk(t, b, false)
		settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
		out := fixStopped(t, w, state, n)
		if !out.Interrupted {
			if n < 10 {
				t.Errorf("only %d runs were stopped", n-1)
			}
			return
		}
		settle(t, root, func(is time.Time) time.Time { return is.Truncate(2 * time.Second) })
		if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
			t.Fatalf("%d: %v, %+v", n, err, out)
		}
		if d := want.Diff(picture(t, root)); len(d) > 0 {
			t.Errorf("%d: it wasn't finished:\n%s", n, strings.Join(d, "\n"))
		}
	}
}

// What a run that was stopped has emptied isn't young either once another run that
// finished it was undone: the directories stand there again.
func TestWhatAStoppedRunEmptiedIsNotYoungAfterAnUndo(t *testing.T) {
	b, _, _ := leftovers()
	b.Unpush(b.Image("e", "gone", fixtures.Image{}))
	w, root, state := onDisk(t, b, false)
	settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
	if out, err := fixNow(context.Background(), w, state); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	want, undone := picture(t, root), 0
	for n := 1; ; n += 2 {
		w, root, state := onDisk(t, b, false)
		settle(t, root, func(time.Time) time.Time { return fixtures.Epoch })
		before := picture(t, root)
		first := fixStopped(t, w, state, n)
		if !first.Interrupted {
			break
		}
		for range 2 { // what reopened the first run once does so again
			second, err := fixNow(context.Background(), w, state)
			if err != nil || len(second.NotDone) > 0 {
				t.Fatalf("%d: %v, %+v", n, err, second)
			}
			if d := want.Diff(picture(t, root)); len(d) > 0 {
				t.Fatalf("%d: it wasn't finished:\n%s", n, strings.Join(d, "\n"))
			}
			if second.Run != first.Run {
				undone++
			}
			if out, err := Undo(context.Background(), w, state, ""); err != nil || len(out.NotDone) > 0 {
				t.Fatalf("%d: %v, %+v", n, err, out)
			}
			if second.Run == first.Run {
				break
			}
		}
		undoRestOf(t, w, state)
		if d := before.Diff(picture(t, root)); len(d) > 0 {
			t.Errorf("%d: after the undo:\n%s", n, strings.Join(d, "\n"))
		}
	}
	if undone < 5 {
		t.Errorf("only %d runs that had finished another were undone", undone)
	}
}

// fixStopped is fixNow that is stopped once it removes for the n-th time.
func fixStopped(t *testing.T, w backend.Store, state string, n int) *Outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, err := fixNow(ctx, fixtures.NewFaultyStore(w, func(_ int, op fixtures.Op, _ string) fixtures.Wrong {
		if op == fixtures.OpRemove {
			if n--; n == 0 {
				cancel()
			}
		}
		return fixtures.Right
	}), state)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fixNow is fix at the present time, as the command does it.
func fixNow(ctx context.Context, s backend.Store, state string) (*Outcome, error) {
	if _, err := Finish(ctx, s, state); err != nil {
		return nil, err
	}
	since, err := UnfinishedSince(state)
	if err != nil {
		return nil, err
	}
	o := options(graph.Policy{})
	o.Now, o.OwnSince = time.Now(), since
	result, _, err := graph.Check(ctx, s, o)
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, o.Policy), o.Policy)
	in.Scan, in.Now = o, time.Now
	return Run(ctx, in)
}

// settle gives everything in a store's directory another time.
func settle(t *testing.T, root string, then func(time.Time) time.Time) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "docker"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		at := then(info.ModTime())
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}
