package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// sector is the least that a disk writes.
const sector = 512

// written is a completed run with its journal.
type written struct {
	m         *fixtures.Memory
	state, id string
	name      string
	whole     []byte
}

func writtenRun(t *testing.T) *written {
	t.Helper()
	w := &written{m: messy().Memory(), state: t.TempDir()}
	w.id = mustFix(t, w.m.Store(), w.state, messyPolicy()).Run
	w.name = filepath.Join(journal.Dir(w.state, w.id), journal.FileName)
	var err error
	if w.whole, err = os.ReadFile(w.name); err != nil {
		t.Fatal(err)
	}
	return w
}

// damage returns the damage of the journal with other content.
func (w *written) damage(t *testing.T, content []byte) string {
	t.Helper()
	if err := os.WriteFile(w.name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := journal.Read(w.state, w.id, journal.Whole)
	if err != nil {
		t.Fatal(err)
	}
	return p.Damage
}

// TestDamageOfAJournalIsSeen: a changed bit, a missing or repeated line, or zeros in place of
// synced lines are reported with their place; all other lines count.
func TestDamageOfAJournalIsSeen(t *testing.T) {
	w := writtenRun(t)
	if d := w.damage(t, w.whole); d != "" {
		t.Fatalf("nothing is wrong with it: %s", d)
	}
	lines := bytes.SplitAfter(w.whole, []byte("\n"))
	lines = lines[:len(lines)-1]
	at := 0
	for i, line := range lines {
		for _, within := range []int{0, len(line) / 3, len(line) / 2, len(line) - 3} {
			flipped := bytes.Clone(w.whole)
			flipped[at+within] ^= 1
			if d := w.damage(t, flipped); d == "" {
				t.Errorf("line %d, byte %d was flipped: %q", i+1, within, flipped[at:at+len(line)])
			}
		}
		last := i == len(lines)-1
		without := append(bytes.Clone(w.whole[:at]), w.whole[at+len(line):]...)
		if d := w.damage(t, without); !last && d == "" {
			t.Errorf("line %d is missing", i+1)
		}
		twice := append(bytes.Clone(w.whole[:at+len(line)]), w.whole[at:]...)
		if d := w.damage(t, twice); d == "" {
			t.Errorf("line %d stands there twice", i+1)
		}
		holed := append(bytes.Clone(w.whole[:at]), make([]byte, 2*sector)...)
		if d := w.damage(t, append(holed, w.whole[min(len(w.whole), at+2*sector):]...)); d == "" && at+2*sector < len(w.whole) {
			t.Errorf("there is a hole instead of line %d", i+1)
		}
		at += len(line)
	}
	middle := len(lines) / 2
	spoilt := bytes.Replace(w.whole, lines[middle], append(bytes.Repeat([]byte("x"), len(lines[middle])-1), '\n'), 1)
	if d := w.damage(t, spoilt); !strings.Contains(d, "line ") {
		t.Errorf("it says %q", d)
	}
	before, err := journal.Read(w.state, w.id, journal.Whole)
	if err != nil || before.End == nil || len(before.Intents)+len(before.Receipts) < len(lines)-6 {
		t.Errorf("%v, %+v", err, before)
	}
}

// TestAJournalOfAnEarlierVersion: a journal without numbers and checksums is read and
// continued, and damage to the new lines is found.
func TestAJournalOfAnEarlierVersion(t *testing.T) {
	w := writtenRun(t)
	old := regexp.MustCompile(`,"n":\d+(,"synced":\d+)?,"crc":\d+}`).ReplaceAll(w.whole, []byte("}"))
	if bytes.Contains(old, []byte("crc")) {
		t.Fatal("it isn't old")
	}
	if d := w.damage(t, old); d != "" {
		t.Fatal(d)
	}
	was := dump(messy().Memory())
	undoRest(t, w.m, w.state)
	if d := diff(was, dump(w.m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
	carried, err := os.ReadFile(w.name)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.damage(t, carried); d != "" {
		t.Errorf("carried on: %s", d)
	}
	for _, flip := range []int{len(old) / 2, len(old) + 10} {
		flipped := bytes.Clone(carried)
		flipped[flip] = 0
		if d := w.damage(t, flipped); d == "" {
			t.Errorf("byte %d was flipped", flip)
		}
	}
}

// TestAJournalIsLocked: an open journal can't be written by another process, and nothing is
// written if the file was replaced.
func TestAJournalIsLocked(t *testing.T) {
	w := writtenRun(t)
	p, err := journal.Read(w.state, w.id, journal.Whole)
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(context.Background(), p, w.m.Store())
	if err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if _, err := openJournal(context.Background(), p, w.m.Store()); !errors.As(err, &refused) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := Undo(context.Background(), w.m.Store(), w.state, ""); !errors.As(err, &refused) {
		t.Errorf("undone by another: %v", err)
	}
	if err := os.Rename(w.name, w.name+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.name, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Finish(journal.Record{Undone: &journal.Mark{Time: now}}), j.Close()); err == nil {
		t.Error("it was written to")
	}
	for name, want := range map[string]string{w.name: "another's", w.name + ".old": string(w.whole)} {
		if is, err := os.ReadFile(name); err != nil || string(is) != want {
			t.Errorf("%s: %v, %d bytes", name, err, len(is))
		}
	}
}

// TestADamagedJournal: it prevents neither another run nor the list, and the newest run can
// be undone.
func TestADamagedJournal(t *testing.T) {
	w := writtenRun(t)
	for name, spoil := range map[string]func() error{
		"flipped": func() error {
			flipped := bytes.Clone(w.whole)
			flipped[len(flipped)/2] ^= 1
			return os.WriteFile(w.name, flipped, 0o600)
		},
		"a directory":  func() error { return errors.Join(os.Remove(w.name), os.Mkdir(w.name, 0o700)) },
		"no beginning": func() error { return errors.Join(os.Remove(w.name), os.WriteFile(w.name, w.whole[40:], 0o600)) },
		"no end": func() error {
			cut := bytes.LastIndex(w.whole, []byte(`{"end"`))
			return os.WriteFile(w.name, append([]byte("x"), w.whole[:cut]...), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			runs, err := journal.Summaries(w.state)
			if err != nil || len(runs) == 0 {
				t.Fatalf("%v, %+v", err, runs)
			}
			if r := runs[len(runs)-1]; r.ID != w.id || r.Damage == "" || r.Began.IsZero() || !r.CanUndo() {
				t.Errorf("%+v", r)
			}
			w.m.Put(layout.BlobKey(layout.Sum([]byte("one more"))), []byte("one more"), fixtures.Epoch)
			was := dump(w.m)
			facts, err := FindFacts(context.Background(), w.m, w.state, Given{})
			if err != nil || facts.Undoing != "" || facts.Unfinished != "" {
				t.Errorf("%v, %+v", err, facts)
			}
			if _, err := journal.UnfinishedSince(w.state); err != nil {
				t.Error(err)
			}
			out := mustFix(t, w.m.Store(), w.state, gc.Policy{})
			if out.Run == "" || out.Resumed {
				t.Fatalf("%+v", out)
			}
			if back, err := Undo(context.Background(), w.m.Store(), w.state, ""); err != nil || back.Run != out.Run || len(back.NotDone) > 0 {
				t.Errorf("%v, %+v", err, back)
			}
			if d := diff(was, dump(w.m)); d != "" {
				t.Errorf("after the undo:\n%s", d)
			}
			if _, err := Purge(context.Background(), w.m.Store(), w.state, out.Run); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestADamagedRunMustBeNamed: the newest run isn't undone unnamed if its journal is damaged
// anywhere, however long it is.
func TestADamagedRunMustBeNamed(t *testing.T) {
	m, state := messy().Memory(), t.TempDir()
	for n := range 200 {
		body := fmt.Appendf(nil, "garbage %d", n)
		m.Put(layout.BlobKey(layout.Sum(body)), body, fixtures.Epoch)
	}
	id := mustFix(t, m.Store(), state, messyPolicy()).Run
	name, fixed := filepath.Join(journal.Dir(state, id), journal.FileName), dump(m)
	damaged, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(name, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Undo(context.Background(), m.Store(), state, ""); !isRefused(err) || diff(fixed, dump(m)) != "" {
		t.Errorf("a damaged journal of %d bytes: %v", len(damaged), err)
	}
	if out, err := Undo(context.Background(), m.Store(), state, id); err != nil || out.Damage == "" {
		t.Errorf("named: %v, %+v", err, out)
	}
}

// TestAHoleBeforeAReceipt: all before a receipt was synced, so a hole there is damage, also
// if the run was interrupted before a line said how far all was synced.
func TestAHoleBeforeAReceipt(t *testing.T) {
	w := writtenRun(t)
	whole, err := journal.Read(w.state, w.id, journal.Whole)
	if err != nil {
		t.Fatal(err)
	}
	for target := range whole.Receipts {
		if !whole.Intended(plan.Remove, target) && !whole.Intended(plan.Write, target) {
			t.Fatalf("a receipt of a whole journal has no intent: %s", target)
		}
	}
	for end := range w.whole {
		if w.whole[end] != '\n' {
			continue
		}
		for at := range max(0, end+1-sector) {
			if at > 0 && w.whole[at-1] != '\n' {
				continue
			}
			holed := bytes.Clone(w.whole[:end+1])
			clear(holed[at : at+sector])
			damage := w.damage(t, holed)
			p, err := journal.Read(w.state, w.id, journal.Whole)
			if err != nil {
				t.Fatal(err)
			}
			for target := range p.Receipts {
				if damage == "" && !p.Intended(plan.Remove, target) && !p.Intended(plan.Write, target) {
					t.Fatalf("of %d bytes %d from %d on are a hole: nothing is said of %s, which was changed", end+1, sector, at, target)
				}
			}
		}
	}
}
