//go:build unix

package apply

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// Whatever lines of a journal a hole takes, all that the run had kept comes back:
// what the journal doesn't know any more, by its name. Only then is the run undone.
func TestWhatOnlyTheQuarantineKnowsComesBack(t *testing.T) {
	was, brought := dump(messy().Memory()), 0
	for from := 0; ; from += 300 {
		w := writtenRun(t)
		end := bytes.LastIndex(w.whole, []byte(`{"end"`))
		if from+sector >= end {
			break
		}
		holed := bytes.Clone(w.whole)
		clear(holed[from : from+sector])
		if d := w.damage(t, holed); d == "" {
			t.Fatalf("a hole at %d isn't seen", from)
		}
		if _, err := Purge(context.Background(), w.m.Store(), w.state, w.id); !isRefused(err) || len(w.m.Store().KeptKeys(backend.Run{ID: w.id})) == 0 {
			t.Fatalf("a hole at %d: purged: %v", from, err)
		}
		if _, err := Undo(context.Background(), w.m.Store(), w.state, ""); !isRefused(err) {
			t.Fatalf("a hole at %d: undone without its name: %v", from, err)
		}
		out, err := Undo(context.Background(), w.m.Store(), w.state, w.id)
		if err != nil || out.Damage == "" || slices.ContainsFunc(out.NotDone, notWrittenOver) {
			t.Fatalf("a hole at %d: %v, %+v", from, err, out)
		}
		brought += len(out.Strays)
		if l := lostKeys(was, dump(w.m)); l != "" {
			t.Errorf("a hole at %d: not back:\n%s", from, l)
		}
		if kept := w.m.Store().KeptKeys(backend.Run{ID: w.id}); len(kept) != len(out.NotDone) {
			t.Errorf("a hole at %d: still kept: %q", from, kept)
		}
		if runs, err := Runs(w.state); err != nil || (runs[0].Status == Undone) != (len(out.NotDone) == 0) {
			t.Errorf("a hole at %d: %v, %+v", from, err, runs)
		}
	}
	if brought < 10 {
		t.Errorf("only %d things were known by the quarantine alone", brought)
	}
}

// notWrittenOver reports whether something was skipped other than what the run had
// written over: the link that it wrote stands there, and nobody knows that it did; and
// the bytes of a blob that it wrote anew are not those of its digest.
func notWrittenOver(l NotDone) bool {
	if l.Step.Key == layout.BlobKey(layout.Empty) {
		return !strings.Contains(l.Reason, "don't hash to the digest")
	}
	return !strings.HasSuffix(l.Step.Key, "/link") || !strings.Contains(l.Reason, "something else stands there now")
}

// lostKeys says what isn't there; what a run wrote and nobody knows of may stand.
func lostKeys(was, is map[string]string) string {
	var lines []string
	for key, content := range was {
		if strings.HasSuffix(key, "/") { // a link may stand in it that a run wrote
			continue
		}
		healed := key == layout.BlobKey(layout.Empty)
		if got, ok := is[key]; !ok || strings.HasSuffix(key, "/data") && got != content && !healed {
			lines = append(lines, key)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func isRefused(err error) bool {
	var no *Refused
	return errors.As(err, &no)
}

// odd is a store that keeps what no name proves the place of, and a blob with
// other bytes.
type odd struct {
	*fixtures.MemoryStore
	more []backend.Quarantined
}

func (o *odd) Quarantined(ctx context.Context, run backend.Run) ([]backend.Quarantined, error) {
	all, err := o.MemoryStore.Quarantined(ctx, run)
	return append(all, o.more...), err
}

func (o *odd) OpenQuarantined(context.Context, backend.Run, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("other bytes")), nil
}

// What has no place is named, and keeps the run from being undone, and from being
// purged without its own word.
func TestWhatHasNoPlaceIsNamed(t *testing.T) {
	w := writtenRun(t)
	blob := "docker/registry/v2/blobs/sha256/ab/" + "ab" + strings.Repeat("0", 62) + "/data"
	s := &odd{w.m.Store(), []backend.Quarantined{{Path: "kept/x"}, {Key: blob, Path: "kept/blob"}}}
	for range 2 {
		out, err := Undo(context.Background(), s, w.state, w.id)
		if err != nil || len(out.NotDone) != 2 || out.NotDone[0].Reason == out.NotDone[1].Reason || len(out.Strays) > 0 {
			t.Fatalf("%v, %+v", err, out)
		}
		if runs, err := Runs(w.state); err != nil || runs[0].Status != Undoing {
			t.Fatalf("%v, %+v", err, runs)
		}
	}
	if _, err := Purge(context.Background(), s, w.state, w.id); !isRefused(err) {
		t.Errorf("purged: %v", err)
	}
	s.more = nil
	if out, err := Undo(context.Background(), s, w.state, w.id); err != nil || len(out.NotDone) > 0 {
		t.Errorf("%v, %+v", err, out)
	}
	if d := diff(dump(messy().Memory()), dump(w.m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// A run whose journal is gone is damaged. What it kept comes back by its name, or
// is given up by its own word, and nothing else touches it.
func TestARunWithoutItsJournal(t *testing.T) {
	for _, purged := range []bool{false, true} {
		s, root, state := onDisk(t, messy(), true)
		was := picture(t, root)
		out := mustFix(t, s, state, messyPolicy())
		if err := os.Remove(runDir(state, out.Run) + "/" + journalName); err != nil {
			t.Fatal(err)
		}
		runs, err := Runs(state)
		if err != nil || len(runs) != 1 || runs[0].ID != out.Run || runs[0].Damage == "" || !runs[0].CanUndo() {
			t.Fatalf("%v, %+v", err, runs)
		}
		if facts, err := Look(context.Background(), s, state, Facts{}); err != nil || len(facts.Damaged) != 1 {
			t.Errorf("%v, %+v", err, facts)
		}
		if again := mustFix(t, s, state, messyPolicy()); again.Run != "" {
			t.Errorf("%+v", again)
		}
		if _, err := Purge(context.Background(), s, state, out.Run); !isRefused(err) {
			t.Errorf("purged: %v", err)
		}
		if purged {
			freed, err := PurgeDamaged(context.Background(), s, state, out.Run)
			if err != nil || freed == 0 {
				t.Errorf("%d, %v", freed, err)
			}
			if runs, err := Runs(state); err != nil || runs[0].Status != Purged {
				t.Errorf("%v, %+v", err, runs)
			}
			continue
		}
		back, err := Undo(context.Background(), s, state, out.Run)
		if err != nil || len(back.NotDone) != 2 || slices.ContainsFunc(back.NotDone, notWrittenOver) || back.Damage == "" || len(back.Strays) < 10 {
			t.Errorf("%v, %+v", err, back)
		}
		is := picture(t, root)
		for key, e := range was {
			healed := strings.HasSuffix(layout.BlobKey(layout.Empty), key)
			if got, ok := is[key]; !ok || strings.HasSuffix(key, "/data") && got != e && !healed {
				t.Errorf("%s: %+v, was %+v", key, got, e)
			}
		}
		if runs, err := Runs(state); err != nil || runs[0].Status != Undoing { // a link and a blob are left
			t.Errorf("%v, %+v", err, runs)
		}
	}
}
