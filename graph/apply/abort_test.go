package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Stale parts go, after one more listing; what stands at their keys stays. An
// undo brings back all else, names them, and comes to its end.
func TestMultipartUploadsAreGivenUpForGood(t *testing.T) {
	p, data := partly()
	was, state := dump(p.m), t.TempDir()
	out := mustFix(t, p, state, graph.Policy{})
	if !slices.Equal(p.ids(), []string{"young"}) || out.Counts["multipart-stale"].Done != 3 || p.listings != 2 {
		t.Fatalf("left are %q after %d listings: %+v", p.ids(), p.listings, out)
	}
	if d := deleted(was, dump(p.m)); slices.Contains(d, p.blob) || !slices.Contains(d, layout.UploadKey("a", "u")+"/startedat") {
		t.Errorf("deleted are %q", d)
	}
	for n := range 2 {
		back, err := Undo(context.Background(), p, state, out.Run)
		if err != nil || back.Total().Failed > 0 || diff(was, dump(p.m)) != "" {
			t.Fatalf("%v, %+v\n%s", err, back, diff(was, dump(p.m)))
		}
		var left []string
		for _, l := range back.NotDone {
			left = append(left, string(l.Step.Op)+" "+l.Step.Key+" "+l.Step.Upload)
			if l.Reason != errAborted.Error() {
				t.Errorf("%+v", l)
			}
		}
		slices.Sort(left)
		want := []string{"abort " + p.blob + " copy", "abort " + data + " 1", "abort " + data + " 2"}
		if n > 0 {
			want = nil
		}
		if !slices.Equal(left, want) {
			t.Errorf("left are %q, want %q", left, want)
		}
	}
	if runs, err := Runs(state); err != nil || runs[0].Status != Undone {
		t.Errorf("%v, %+v", err, runs)
	}
}

// A part that isn't what it was, or can't be given up, is left and named, and so
// are those of an upload that stays. All else is done.
func TestMultipartUploadsThatAreLeft(t *testing.T) {
	denied := fmt.Errorf("abort: %w: it needs s3:AbortMultipartUpload", fs.ErrPermission)
	at := func(n int, do func()) func(int) error {
		return func(is int) error {
			if is == n {
				do()
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		spoil  func(p *parted)
		left   map[string]string // by id: a word of the reason
		failed bool
		stay   []string
	}{
		"gone meanwhile": {
			func(p *parted) { p.list = at(2, func() { p.drop("1") }) },
			map[string]string{"1": "it is gone"}, false, []string{"young"},
		},
		"gone at the last moment": {
			func(p *parted) {
				p.abort = func(u backend.Upload) (bool, error) { p.drop("1"); return true, nil }
			},
			map[string]string{"1": "it is gone"}, false, []string{"young"},
		},
		"another by its id": {
			func(p *parted) { p.list = at(2, func() { p.drop("copy"); p.add(p.blob, "copy", now) }) },
			map[string]string{"copy": "another one has its id now"}, false, []string{"copy", "young"},
		},
		"denied": {
			func(p *parted) {
				p.abort = func(backend.Upload) (bool, error) { return false, denied }
			},
			map[string]string{"1": "for the same reason as", "2": "for the same reason as", "copy": "s3:AbortMultipartUpload"},
			true, []string{"1", "2", "copy", "young"},
		},
		"not to be listed": {
			func(p *parted) {
				p.list = func(n int) error {
					if n > 1 {
						return fixtures.ErrFaulty
					}
					return nil
				}
			},
			map[string]string{"1": "for the same reason as", "2": "for the same reason as", "copy": fixtures.ErrFaulty.Error()},
			true, []string{"1", "2", "copy", "young"},
		},
		"an answer is lost": {
			func(p *parted) {
				p.abort = func(u backend.Upload) (bool, error) {
					if u.ID == "2" {
						return true, fixtures.ErrFaulty
					}
					return true, nil
				}
			},
			map[string]string{"2": fixtures.ErrFaulty.Error()}, true, []string{"young"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := partly()
			c.spoil(p)
			out, err := fix(p, t.TempDir(), graph.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, l := range out.NotDone {
				if got[l.Step.Upload] = l.Reason; l.Failed != c.failed {
					t.Errorf("%+v", l)
				}
			}
			for id, word := range c.left {
				if !strings.Contains(got[id], word) || len(got) != len(c.left) {
					t.Errorf("left are %q, want %q", got, c.left)
				}
			}
			ids := p.ids()
			slices.Sort(ids)
			if !slices.Equal(ids, c.stay) || out.Total().Done == 0 {
				t.Errorf("%q are there, want %q; %+v", ids, c.stay, out.Counts)
			}
		})
	}
}

// The parts of an upload that somebody went on with stay with it.
func TestPartsOfAnUploadThatStaysStay(t *testing.T) {
	p, data := partly()
	dir := layout.UploadKey("a", "u") + "/"
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), atFirst(fixtures.OpRemove, func() { // of a link
		p.m.Put(dir+"startedat", []byte("once more"), fixtures.Epoch.Add(time.Minute))
	}))
	out, err := fix(p, t.TempDir(), graph.Policy{Untagged: true})
	if err != nil || len(p.ids()) != 3 || slices.Contains(p.ids(), "copy") {
		t.Fatalf("%v, %q are there, %+v", err, p.ids(), out)
	}
	left := reasons(out)
	if len(out.NotDone) != 3 || left[dir] != "somebody wrote to it" || left[data] != "the upload stays that it is a part of" {
		t.Errorf("left are %q", left)
	}
}

// What somebody went on with since the plan was made refuses it.
func TestAPartThatIsYoungByNow(t *testing.T) {
	p, data := partly()
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), atFirst(fixtures.OpLock, func() {
		p.m.Put(layout.UploadKey("a", "u")+"/startedat", []byte("once more"), now)
	}))
	_, err := fix(p, t.TempDir(), graph.Policy{})
	if no, ok := errors.AsType[*Refused](err); !ok || !slices.Contains(no.Reasons[0].Keys, data) || len(p.ids()) != 4 {
		t.Errorf("%v, %q are there", err, p.ids())
	}
}

// A plan that names one part of several at a key takes that one alone.
func TestAPlanOfOnePart(t *testing.T) {
	p, _ := partly()
	p.add(p.blob, "another", fixtures.Epoch)
	result, _, err := graph.Check(context.Background(), p, options(graph.Policy{}))
	if err != nil {
		t.Fatal(err)
	}
	one, state := plan.New(result, graph.Policy{}), t.TempDir()
	one.Steps = slices.DeleteFunc(one.Steps, func(s plan.Step) bool { return s.Upload != "copy" })
	out, err := Run(context.Background(), input(p, state, one, graph.Policy{}))
	if err != nil || out.Total().Done != 1 || len(out.NotDone) > 0 || !slices.Equal(p.ids(), []string{"2", "1", "young", "another"}) {
		t.Fatalf("%v, %q are there, %+v", err, p.ids(), out)
	}
	forget(t, filepath.Join(state, "runs", out.Run, journalName))
	run, err := readPast(state, out.Run)
	if err != nil || !run.meant(plan.Abort, plan.FullKey(p.blob, "copy")) || run.meant(plan.Abort, plan.FullKey(p.blob, "another")) {
		t.Errorf("%v, %+v", err, run)
	}
	if kept, err := run.purgeReceipts(state); err != nil || len(kept) > 0 { // what stands at its key was never the run's
		t.Errorf("%v, kept are %+v", err, kept)
	}
}

// nothingParted hides that uploads can be given up.
type nothingParted struct {
	backend.Store
	backend.Multiparter
}

// A store that can only tell of multipart uploads keeps them, and says why.
func TestAStoreThatCanNotGiveUpUploads(t *testing.T) {
	p, _ := partly()
	out, err := fix(nothingParted{p.m.Store(), p}, t.TempDir(), graph.Policy{})
	if err != nil || len(out.NotDone) != 3 || len(p.ids()) != 4 || out.NotDone[0].Reason != errNoParts.Error() {
		t.Errorf("%v, %+v", err, out)
	}
}

// What was given up before a crash took the receipts is done when the plan is
// resumed, what was only meant to be is done then, and a run that ends
// so keeps what an undo needs.
func TestMultipartUploadsAfterACrash(t *testing.T) {
	for _, meant := range []bool{false, true} {
		p, data := partly()
		result, _, err := graph.Check(context.Background(), p, options(graph.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		was, state, saved := dump(p.m), t.TempDir(), plan.New(result, graph.Policy{})
		first, err := Run(context.Background(), input(p, state, saved, graph.Policy{}))
		if err != nil || len(first.NotDone) > 0 {
			t.Fatalf("%v, %+v", err, first)
		}
		forget(t, filepath.Join(state, "runs", first.Run, journalName))
		if meant {
			p.add(data, "2", fixtures.Epoch)
		}
		out, err := Run(context.Background(), input(p, state, saved, graph.Policy{}))
		if err != nil || !out.Resumed || len(out.NotDone) > 0 || out.Total().Done != first.Total().Done || len(p.ids()) != 1 {
			t.Fatalf("%v, %+v, want %+v", err, out, first)
		}
		if meant {
			p.add(data, "2", fixtures.Epoch)
		}
		back, err := Undo(context.Background(), p, state, "")
		if left := len(back.NotDone); err != nil || meant && left != 2 || !meant && left != 3 || diff(was, dump(p.m)) != "" {
			t.Errorf("%v, %+v\n%s", err, back, diff(was, dump(p.m)))
		}
	}
}
