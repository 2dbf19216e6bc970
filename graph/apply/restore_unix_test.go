//go:build unix

package apply

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/journal"
	"regfsck/walker/layout"
)

// TestStraysAreRestored: whichever lines of a journal are lost, all that was quarantined is
// restored: what isn't in the journal, by its name. Only then is the run undone.
func TestStraysAreRestored(t *testing.T) {
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
		if runs, err := journal.Summaries(w.state); err != nil || (runs[0].Status == journal.Undone) != (len(out.NotDone) == 0) {
			t.Errorf("a hole at %d: %v, %+v", from, err, runs)
		}
	}
	if brought < 10 {
		t.Errorf("only %d things were known by the quarantine alone", brought)
	}
}

// notWrittenOver reports whether something was skipped other than what the run had replaced:
// the link that it wrote exists and the journal doesn't have it, or the bytes of a blob
// aren't those of its digest.
func notWrittenOver(l NotDone) bool {
	if l.Step.Key == layout.BlobKey(layout.Empty) {
		return !strings.Contains(l.Reason, "don't hash to the digest")
	}
	return !strings.HasSuffix(l.Step.Key, "/link") || !strings.Contains(l.Reason, "its key has another file now")
}

// lostKeys returns what is missing; unrecorded writes of the run may exist.
func lostKeys(was, is map[string]string) string {
	var lines []string
	for key, content := range was {
		if strings.HasSuffix(key, "/") { // a link that the run wrote may be in it
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

// odd is a store that quarantines something without a key, and a blob with other bytes.
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

// TestStraysWithoutAKey: they are reported, and prevent the undo of the run, and its purge
// without --damaged.
func TestStraysWithoutAKey(t *testing.T) {
	w := writtenRun(t)
	blob := "docker/registry/v2/blobs/sha256/ab/" + "ab" + strings.Repeat("0", 62) + "/data"
	s := &odd{w.m.Store(), []backend.Quarantined{{Path: "kept/x"}, {Key: blob, Path: "kept/blob"}}}
	for range 2 {
		out, err := Undo(context.Background(), s, w.state, w.id)
		if err != nil || len(out.NotDone) != 2 || out.NotDone[0].Reason == out.NotDone[1].Reason || len(out.Strays) > 0 {
			t.Fatalf("%v, %+v", err, out)
		}
		if runs, err := journal.Summaries(w.state); err != nil || runs[0].Status != journal.Undoing {
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

// TestARunWithoutItsJournal: a run without a journal is damaged. What it kept is restored by
// name, or purged by id, and nothing else touches it.
func TestARunWithoutItsJournal(t *testing.T) {
	for _, purged := range []bool{false, true} {
		s, root, state := onDisk(t, messy(), true)
		was := picture(t, root)
		out := mustFix(t, s, state, messyPolicy())
		if err := os.Remove(journal.Dir(state, out.Run) + "/" + journal.FileName); err != nil {
			t.Fatal(err)
		}
		runs, err := journal.Summaries(state)
		if err != nil || len(runs) != 1 || runs[0].ID != out.Run || runs[0].Damage == "" || !runs[0].CanUndo() {
			t.Fatalf("%v, %+v", err, runs)
		}
		if facts, err := FindFacts(context.Background(), s, state, Given{}); err != nil || len(facts.Damaged) != 1 {
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
			if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Purged {
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
		if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Undoing { // a link and a blob remain
			t.Errorf("%v, %+v", err, runs)
		}
	}
}

// TestAlteredQuarantine: what was changed in the quarantine is reported and kept there, and
// isn't restored if nothing is there. For a replaced link or blob, the journal has the
// content.
func TestAlteredQuarantine(t *testing.T) {
	for name, alter := range map[string]func(body []byte) []byte{
		"cut to nothing":  func([]byte) []byte { return nil },
		"longer":          func(b []byte) []byte { return append(b, '\n') },
		"the same length": func(b []byte) []byte { return bytes.Repeat([]byte{'0'}, len(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, root, state := onDisk(t, messy(), false)
			before := filesOf(t, root)
			out := mustFix(t, w, state, messyPolicy())
			fixed, altered, overwritten := filesOf(t, root), 0, 0
			for path, body := range filesOf(t, filepath.Join(journal.Dir(state, out.Run), "kept")) {
				is := alter([]byte(body))
				if len(is) == len(body) && filepath.Base(path) != "link" { // the content of a blob isn't known
					continue
				}
				altered++
				if _, stands := fixed[strings.ReplaceAll(path, "%2F", "/")]; stands {
					overwritten++
				}
				if err := os.WriteFile(filepath.Join(journal.Dir(state, out.Run), "kept", path), is, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			back, err := Undo(context.Background(), w, state, "")
			if err != nil {
				t.Fatal(err)
			}
			after := filesOf(t, root)
			for _, l := range back.NotDone {
				if !strings.Contains(l.Reason, backend.ErrAltered.Error()) || l.Failed {
					t.Errorf("%s: %s", l.Step.Key, l.Reason)
				}
				if _, ok := after[l.Step.Key]; ok {
					t.Errorf("%s is named, and came back", l.Step.Key)
				}
				delete(before, l.Step.Key)
			}
			if altered < 5 || overwritten == 0 || len(back.NotDone) != altered-overwritten {
				t.Errorf("%d were altered, %d are named", altered, len(back.NotDone))
			}
			for key, body := range before {
				if after[key] != body {
					t.Errorf("%s came back as %q, was %q", key, after[key], body)
				}
			}
			if left := filesOf(t, filepath.Join(journal.Dir(state, out.Run), "kept")); len(left) != altered {
				t.Errorf("%d files were altered, and %d are kept", altered, len(left))
			}
		})
	}
}

// filesOf returns all files below a directory, by relative path.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(dir, path)
		all[rel] = string(body)
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
