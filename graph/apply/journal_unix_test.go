//go:build unix

package apply

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// robbed is a store in which something happens after the first removal or restoration.
type robbed struct {
	*file.Store
	then func()
}

func (r *robbed) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	defer r.then()
	return r.Store.Remove(ctx, run, keys)
}

func (r *robbed) inner() backend.Store { return r.Store }

func (r *robbed) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	defer r.then()
	return r.Store.Restore(ctx, run, receipts)
}

// TestARunEndsOnceItsLockIsLost: a run or undo whose lock or journal is taken ends after its
// batch, and writes nothing more to the journal. The next run knows what it did.
func TestARunEndsOnceItsLockIsLost(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, state string){
		"the lock": func(t *testing.T, state string) {
			if err := os.Remove(filepath.Join(state, "lock")); err != nil {
				t.Fatal(err)
			}
		},
		"the journal": func(t *testing.T, state string) {
			name := journalOf(t, state)
			all, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name+".copy", all, 0o600)
			}
			if err == nil {
				err = os.Rename(name+".copy", name)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, undo := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", undo"}[undo], func(t *testing.T) {
				w, root, state := onDisk(t, messy(), true)
				was := picture(t, root)
				if undo {
					mustFix(t, w, state, messyPolicy())
				}
				var journal string
				once := sync.OnceFunc(func() {
					take(t, state)
					journal = text(t, journalOf(t, state))
				})
				s := &robbed{w, once}
				var err error
				if undo {
					_, err = Undo(context.Background(), s, state, "")
				} else {
					_, err = fix(s, state, messyPolicy())
				}
				if err == nil || !strings.Contains(err.Error(), "nothing more") {
					t.Errorf("it ended with %v", err)
				}
				if is := text(t, journalOf(t, state)); journal == "" || is != journal {
					t.Errorf("%d bytes were added to the journal", len(is)-len(journal))
				}
				if is := picture(t, root); undo && len(was.Diff(is)) == 0 {
					t.Error("the undo went on")
				}
				if !undo {
					if out, err := fix(w, state, messyPolicy()); err != nil || out.Steps.Failed > 0 {
						t.Fatalf("taken up: %v, %+v", err, out)
					}
				}
				undoRestOf(t, w, state)
				if d := was.Diff(picture(t, root)); len(d) > 0 {
					t.Errorf("after the undo:\n%s", strings.Join(d, "\n"))
				}
			})
		}
	}
}

// journalOf returns the path of the only journal in a state directory.
func journalOf(t *testing.T, state string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(state, journal.RunsName, "*", journal.FileName))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

// text returns the content of a file.
func text(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// TestAJournalThatHasGrown: lines that another run has added are never cut off.
func TestAJournalThatHasGrown(t *testing.T) {
	w, _, state := onDisk(t, messy(), true)
	mustFix(t, w, state, gc.Policy{})
	name := journalOf(t, state)
	p, err := journal.Read(state, filepath.Base(filepath.Dir(name)), journal.Whole)
	if err != nil {
		t.Fatal(err)
	}
	undoRestOf(t, w, state)
	was := text(t, name)
	if _, err := openJournal(context.Background(), p, w); err == nil || !strings.Contains(err.Error(), "another run has written to it") {
		t.Errorf("it was carried on: %v", err)
	}
	if is := text(t, name); is != was {
		t.Errorf("%d bytes of %d are left", len(is), len(was))
	}
}

// TestAHardLinkedCopyOfAStore: what is done in a store doesn't change a copy whose files are the
// same, the journal among them: the copy is undone completely.
func TestAHardLinkedCopyOfAStore(t *testing.T) {
	for name, do := range map[string]func(s backend.Store, state, run string) error{
		"undone": func(s backend.Store, state, run string) error {
			_, err := Undo(context.Background(), s, state, run)
			return err
		},
		"purged": func(s backend.Store, state, run string) error {
			_, err := Purge(context.Background(), s, state, run)
			return err
		},
	} {
		w, root, state := onDisk(t, messy(), true)
		was := picture(t, root)
		run := mustFix(t, w, state, messyPolicy()).Run
		copied := root + "-copied"
		if out, err := exec.Command("cp", "-al", root, copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := do(w, state, run); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		state = filepath.Join(copied, ".regfsck")
		c, err := file.OpenStore(copied, file.Options{}, state)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := Undo(context.Background(), c, state, run); err != nil || out.Steps.Done == 0 || len(out.NotDone) > 0 {
			t.Errorf("%s in the original: %v, %+v", name, err, out)
			continue
		}
		if d := was.Diff(picture(t, copied)); len(d) > 0 {
			t.Errorf("%s in the original: after the undo:\n%s", name, strings.Join(d, "\n"))
		}
	}
}

// TestSummariesOfRuns: the list has the same counts and bytes as a run's own report; after a
// crash, from the store.
func TestSummariesOfRuns(t *testing.T) {
	policy := gc.Policy{Untagged: true}
	stores := oneOfEach()
	stores["messy"] = messy()
	for name, b := range stores {
		t.Run(name, func(t *testing.T) {
			w, _, state := onDisk(t, b, true)
			out := mustFix(t, w, state, policy)
			if out.Run == "" {
				return
			}
			did := out.Steps
			listed := func(want, unsure int, bytes int64, runs []journal.Summary, err error) {
				t.Helper()
				if err != nil || len(runs) != 1 || runs[0].Done != want || runs[0].Unconfirmed != unsure || runs[0].Bytes != bytes {
					t.Errorf("%d steps done, %d unsure, %d bytes freed; %v, %+v", want, unsure, bytes, err, runs)
				}
			}
			runs, err := journal.Summaries(state)
			listed(did.Done, 0, did.Bytes, runs, err)
			forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
			runs, err = journal.Summaries(state)
			listed(0, did.Done, 0, runs, err)
			runs, err = ConfirmedRuns(context.Background(), w, state)
			listed(did.Done, 0, did.Bytes, runs, err)

			p, err := journal.Read(state, out.Run, journal.Whole)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.Intents { // as if it had intended this and hadn't done it
				if i.Op == plan.Remove && i.Kind == plan.Blob && i.Step == "" {
					if err := w.Restore(context.Background(), backend.Run{ID: out.Run, Keep: true}, []backend.Receipt{{Key: i.Key}})[0]; err != nil {
						t.Fatal(err)
					}
					runs, err = ConfirmedRuns(context.Background(), w, state)
					listed(did.Done-1, 0, did.Bytes-i.Bytes, runs, err)
					break
				}
			}
		})
	}
}
