package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// savedPlan returns the plan of the messy store, as read from a file.
func savedPlan(t *testing.T) *plan.Plan {
	t.Helper()
	p := messyPolicy()
	result, _, err := check.Store(context.Background(), messy().Memory(), options(p))
	if err != nil {
		t.Fatal(err)
	}
	return plan.New(result, p)
}

// TestAPlanIsResumed: a run that crashed anywhere is resumed by its plan, with its id, and
// can be undone as one.
func TestAPlanIsResumed(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	clean := messy().Memory()
	was := dump(clean)
	done, err := Run(context.Background(), input(clean.Store(), t.TempDir(), saved, policy))
	if err != nil {
		t.Fatal(err)
	}
	want := dump(clean)
	for _, w := range []fixtures.Wrong{fixtures.Crash, fixtures.CrashAfter} {
		resumed := 0
		for n := 1; ; n++ {
			m, state := messy().Memory(), t.TempDir()
			tr := makeTrouble(t, m, state, w, n, func(f *fixtures.FaultyStore) {
				Run(context.Background(), input(f, state, saved, policy))
			})
			if !tr.fired {
				break
			}
			before, err := journal.Summaries(state)
			if err != nil {
				t.Fatal(err)
			}
			if len(before) > 0 && before[0].Status == journal.Done {
				continue
			}
			out, err := Run(context.Background(), input(m.Store(), state, saved, policy))
			if err != nil || len(out.NotDone) > 0 {
				t.Fatalf("%d: %v, %+v", n, err, out)
			}
			if len(before) > 0 {
				resumed++
				if !out.Resumed || out.Run != before[0].ID {
					t.Fatalf("%d: it was begun anew: %+v", n, out)
				}
			}
			if d := diff(want, dump(m)); d != "" {
				t.Fatalf("%d: after it was taken up again:\n%s", n, d)
			}
			if out.Steps.Done != done.Steps.Done {
				t.Fatalf("%d: %d steps are done, want %d", n, out.Steps.Done, done.Steps.Done)
			}
			undoRest(t, m, state)
			if d := diff(was, dump(m)); d != "" {
				t.Fatalf("%d: after the undo:\n%s", n, d)
			}
		}
		if resumed < 30 {
			t.Errorf("only %d runs were taken up again", resumed)
		}
	}
}

// TestAStepThatCanNotBeLookedAtIsNotDone: a resumed run counts nothing as done that it can't
// see.
func TestAStepThatCanNotBeLookedAtIsNotDone(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	m, state := messy().Memory(), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	first, err := Run(ctx, input(f, state, saved, policy))
	if err != nil || !first.Interrupted {
		t.Fatalf("%v, %+v", err, first)
	}
	p, err := journal.Read(state, first.Run, journal.Whole)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.Intents, func(i journal.Intent) bool { return i.Op == plan.Remove && i.Step == "" && p.Receipts[i.Key].Err == "" })
	f = fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpStat && key == p.Intents[at].Key {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	if out, err := Run(context.Background(), input(f, state, saved, policy)); err == nil {
		t.Errorf("%s counts as removed: %+v", p.Intents[at].Key, out)
	}
	if out, err := Run(context.Background(), input(m.Store(), state, saved, policy)); err != nil || !out.Resumed || len(out.NotDone) > 0 {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestAPlanThatIsDoneIsStale: a plan can't be carried out twice.
func TestAPlanThatIsDoneIsStale(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	m, state := messy().Memory(), t.TempDir()
	if _, err := Run(context.Background(), input(m.Store(), state, saved, policy)); err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if _, err := Run(context.Background(), input(m.Store(), state, saved, policy)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "stale") {
		t.Errorf("it ran again: %v", err)
	}
}

// TestAPlanIsNotResumedWithAnotherQuarantine: a run whose removals can be undone isn't resumed by
// one whose removals can't: that one finishes it.
func TestAPlanIsNotResumedWithAnotherQuarantine(t *testing.T) {
	for _, keep := range []bool{true, false} {
		saved, policy := savedPlan(t), messyPolicy()
		m, state := messy().Memory(), t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		in := input(fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpPut, cancel)), state, saved, policy)
		in.Run.Keep = !keep
		first, err := Run(ctx, in)
		if err != nil || !first.Interrupted {
			t.Fatalf("%v, %+v", err, first)
		}
		in = input(m.Store(), state, saved, policy)
		in.Run.Keep = keep
		if out, err := Run(context.Background(), in); err == nil && (out.Resumed || out.Run == first.Run || out.Keep != keep) {
			t.Errorf("keep %v: %+v", keep, out)
		} else if err != nil && !isRefused(err) {
			t.Error(err)
		}
	}
}

// TestARunStopsAtASafePoint: a stopped run ends before the next batch, says so, and can be
// resumed.
func TestARunStopsAtASafePoint(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	clean := messy().Memory()
	if _, err := Run(context.Background(), input(clean.Store(), t.TempDir(), saved, policy)); err != nil {
		t.Fatal(err)
	}
	want := dump(clean)
	for _, op := range []fixtures.Op{fixtures.OpLock, fixtures.OpPut, fixtures.OpRemove} {
		m, state := messy().Memory(), t.TempDir()
		was := dump(m)
		ctx, cancel := context.WithCancel(context.Background())
		f := fixtures.NewFaultyStore(m.Store(), atFirst(op, cancel))
		out, err := Run(ctx, input(f, state, saved, policy))
		if op == fixtures.OpLock {
			if !errors.Is(err, context.Canceled) || out != nil || diff(was, dump(m)) != "" {
				t.Fatalf("%v: %v, %+v", op, err, out)
			}
			continue
		}
		if err != nil || !out.Interrupted || len(out.NotDone) > 0 || out.Steps.Done == 0 {
			t.Fatalf("%v: %v, %+v", op, err, out)
		}
		if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Interrupted || runs[0].Done == 0 {
			t.Fatalf("%v: %v, %+v", op, err, runs)
		}
		again, err := Run(context.Background(), input(m.Store(), state, saved, policy))
		if err != nil || !again.Resumed || again.Interrupted || again.Run != out.Run {
			t.Fatalf("%v: %v, %+v", op, err, again)
		}
		if d := diff(want, dump(m)); d != "" {
			t.Errorf("%v: after it was taken up again:\n%s", op, d)
		}
	}
}

// TestAnUndoStopsAtASafePoint: a stopped undo continues where it stopped.
func TestAnUndoStopsAtASafePoint(t *testing.T) {
	m, state := messy().Memory(), t.TempDir()
	was := dump(m)
	mustFix(t, m.Store(), state, messyPolicy())
	ctx, cancel := context.WithCancel(context.Background())
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRestore, cancel))
	out, err := Undo(ctx, f, state, "")
	if err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Undoing {
		t.Fatalf("%v, %+v", err, runs)
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestAJournalMayEndAnywhere: a journal that ends within a line is read up to it; one with
// damage in the middle says so, and prevents nothing.
func TestAJournalMayEndAnywhere(t *testing.T) {
	m, state := messy().Memory(), t.TempDir()
	id := mustFix(t, m.Store(), state, messyPolicy()).Run
	name := filepath.Join(journal.Dir(state, id), journal.FileName)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := journal.Read(state, id, journal.Whole)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		lines := strings.Count(string(whole[:n]), "\n")
		got := len(p.Intents) + len(p.Receipts)
		if !p.Begin.Time.IsZero() {
			got++
		}
		if got != lines || p.End != nil {
			t.Fatalf("cut at %d: %d of %d lines", n, got, lines)
		}
	}
	broken := slices.Clone(whole)
	broken[len(broken)/2] = 0
	if err := os.WriteFile(name, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if runs, err := journal.Summaries(state); err != nil || len(runs) != 1 || !strings.Contains(runs[0].Damage, "is damaged") {
		t.Errorf("a broken journal: %v, %+v", err, runs)
	}
}

// TestAJournalWithoutALineIsNoRun: a run without a line in its journal changed nothing: it
// isn't finished or damaged.
func TestAJournalWithoutALineIsNoRun(t *testing.T) {
	for _, begun := range []string{"", `{"begin":{"plan":`} {
		m, state := messy().Memory(), t.TempDir()
		was := dump(m)
		const id = "20250101-000000-000000"
		name := filepath.Join(journal.Dir(state, id), journal.FileName)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(begun), 0o600)); err != nil {
			t.Fatal(err)
		}
		mustFix(t, m.Store(), state, messyPolicy())
		if body, err := os.ReadFile(name); err != nil || string(body) != begun {
			t.Errorf("%v, its journal is %q", err, body)
		}
		undoRest(t, m, state)
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("undone:\n%s", d)
		}
	}
}

// TestARunForAnUnknownKindIsUndone: a run of another version, with an unknown kind of
// finding, is listed, undone and purged.
func TestARunForAnUnknownKindIsUndone(t *testing.T) {
	for _, purged := range []bool{false, true} {
		m, state := messy().Memory(), t.TempDir()
		was := dump(m)
		out := mustFix(t, m.Store(), state, messyPolicy())
		name := filepath.Join(journal.Dir(state, out.Run), journal.FileName)
		all, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var unknown []byte
		for line := range bytes.Lines(all) {
			text := bytes.ReplaceAll(line, []byte(`"finding":"blob-orphan"`), []byte(`"finding":"blob-unheard-of"`))
			at := bytes.LastIndex(text, []byte(`,"crc":`))
			unknown = append(unknown, fmt.Appendf(nil, "%s,\"crc\":%d}\n", text[:at], crc32.Checksum(text[:at], crc32.MakeTable(crc32.Castagnoli)))...)
		}
		if bytes.Equal(all, unknown) {
			t.Fatal("the run took no orphan")
		}
		if err := os.WriteFile(name, unknown, 0o600); err != nil {
			t.Fatal(err)
		}
		runs, err := journal.Summaries(state)
		if err != nil || len(runs) != 1 || runs[0].Damage != "" || runs[0].Status != journal.Done {
			t.Fatalf("%v, %+v", err, runs)
		}
		if purged {
			if freed, err := Purge(context.Background(), m.Store(), state, out.Run); err != nil || freed != out.Kept {
				t.Errorf("%d of %d bytes freed, %v", freed, out.Kept, err)
			}
			continue
		}
		undone, err := Undo(context.Background(), m.Store(), state, out.Run)
		if err != nil || len(undone.NotDone) > 0 || undone.Counts[finding.None].Done == 0 {
			t.Errorf("%v, %+v", err, undone)
		}
		if d := diff(was, dump(m)); d != "" {
			t.Errorf("after the undo:\n%s", d)
		}
	}
}

// TestATornLineIsCutOff: a partial last line is removed before the journal continues.
func TestATornLineIsCutOff(t *testing.T) {
	saved, policy := savedPlan(t), messyPolicy()
	m, state := messy().Memory(), t.TempDir()
	was := dump(m)
	ctx, cancel := context.WithCancel(context.Background())
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	out, err := Run(ctx, input(f, state, saved, policy))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(journal.Dir(state, out.Run), journal.FileName)
	j, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(j, `{"intent":{"op":"rem`)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), input(m.Store(), state, saved, policy)); err != nil {
		t.Fatal(err)
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestInterruptedRunsAreFinished: several interrupted runs are finished by one.
func TestInterruptedRunsAreFinished(t *testing.T) {
	m, both, state := messy().Memory(), messy().Memory(), t.TempDir()
	more, _, _ := leftovers()
	more.Into(both.Put, both.Mkdir)
	was := dump(both)
	dir := layout.TagKey("a", "dangling") + "/"
	f := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && key == dir {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	if out, err := fix(f, state, messyPolicy()); err != nil || len(out.NotDone) != 1 || out.Steps.Failed != 1 {
		t.Fatalf("%v, %+v", err, out)
	}
	more.Into(m.Put, m.Mkdir)
	p := gc.Policy{Untagged: true}
	ctx, cancel := context.WithCancel(context.Background())
	result, _, err := check.Store(ctx, m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	stopped := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	if out, err := Run(ctx, input(stopped, state, plan.New(result, p), p)); err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	mustFix(t, m.Store(), state, p)
	if _, ok := dump(m)[dir]; ok {
		t.Errorf("%s is still there", dir)
	}
	if facts, err := FindFacts(context.Background(), m, state, Given{}); err != nil || facts.Unfinished != "" {
		t.Errorf("%v, %+v", err, facts)
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// TestWithoutAJournalNothingIsChanged: if the journal can't be written any more, the run
// stops.
func TestWithoutAJournalNothingIsChanged(t *testing.T) {
	g := guard(t, garbage(), gc.Policy{})
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	was := dump(g.m)
	g.in.State = filepath.Join(blocked, "state")
	if out, err := Run(context.Background(), g.in); err == nil || out != nil {
		t.Errorf("it ran: %+v", out)
	}
	if d := diff(was, dump(g.m)); d != "" {
		t.Errorf("and changed:\n%s", d)
	}
}

// stopped begins a run and stops it at its first removal.
func stopped(t *testing.T, m *fixtures.Memory, state string, p gc.Policy) string {
	t.Helper()
	result, _, err := check.Store(context.Background(), m, options(p))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpRemove, cancel))
	out, err := Run(ctx, input(f, state, plan.New(result, p), p))
	if err != nil || !out.Interrupted {
		t.Fatalf("%v, %+v", err, out)
	}
	return out.Run
}

// TestAnUndoneRunFinishedNoOther: a run that a later one finished is unfinished again once that
// was undone.
func TestAnUndoneRunFinishedNoOther(t *testing.T) {
	b := messy()
	more, _, _ := leftovers()
	m, state := b.Memory(), t.TempDir()
	first := stopped(t, m, state, messyPolicy())
	more.Into(m.Put, m.Mkdir)
	second := mustFix(t, m.Store(), state, gc.Policy{Untagged: true}).Run
	for _, want := range []string{"", first} {
		if facts, err := FindFacts(context.Background(), m, state, Given{}); err != nil || facts.Unfinished != want {
			t.Errorf("%v, %q is unfinished, want %q", err, facts.Unfinished, want)
		}
		if want == "" {
			undone(t, m, state, second)
		}
	}
}

// TestARunBehindOneThatWasUndoneIsFinished: an interrupted run is finished even if a later
// interrupted one was undone or purged.
func TestARunBehindOneThatWasUndoneIsFinished(t *testing.T) {
	for name, away := range map[string]func(t *testing.T, m *fixtures.Memory, state, run string){
		"undone": func(t *testing.T, m *fixtures.Memory, state, run string) { undone(t, m, state, run) },
		"purged": purged,
	} {
		t.Run(name, func(t *testing.T) {
			b := messy()
			more, _, _ := leftovers()
			m, state := b.Memory(), t.TempDir()
			first := stopped(t, m, state, messyPolicy())
			more.Into(m.Put, m.Mkdir)
			second := stopped(t, m, state, gc.Policy{Untagged: true})
			if first == second {
				t.Fatal("there is one run")
			}
			away(t, m, state, second)
			facts, err := FindFacts(context.Background(), m, state, Given{})
			if err != nil || facts.Unfinished != first {
				t.Errorf("%v, %q is unfinished, want %s", err, facts.Unfinished, first)
			}
			p, err := journal.Read(state, first, journal.Whole)
			if err != nil {
				t.Fatal(err)
			}
			if began, err := journal.UnfinishedSince(state); err != nil || !began.Equal(p.Begin.Time.Add(-3*time.Second)) {
				t.Errorf("broken off at %v, %v, want %v", began, err, p.Begin.Time.Add(-3*time.Second))
			}
			mustFix(t, m.Store(), state, gc.Policy{Untagged: true})
			if facts, err = FindFacts(context.Background(), m, state, Given{}); err != nil || facts.Unfinished != "" {
				t.Errorf("%v, %q is unfinished", err, facts.Unfinished)
			}
			if began, err := journal.UnfinishedSince(state); err != nil || !began.IsZero() {
				t.Errorf("broken off at %v, %v", began, err)
			}
		})
	}
}

// TestARunIsResumedWithAnOlderScan: what a run removed before it crashed counts as done when
// it is resumed, also with a scan from before.
func TestARunIsResumedWithAnOlderScan(t *testing.T) {
	resumed := 0
	for n := 1; ; n++ {
		g := guard(t, garbage(), gc.Policy{Untagged: true})
		g.in.Made = true
		tr := makeTrouble(t, g.m, g.in.State, fixtures.CrashAfter, n, func(f *fixtures.FaultyStore) {
			crashed := g.in
			crashed.Store = f
			Run(context.Background(), crashed)
		})
		if !tr.fired {
			break
		}
		before, err := journal.Summaries(g.in.State)
		if err != nil {
			t.Fatal(err)
		}
		if len(before) == 0 || before[0].Status == journal.Done {
			continue
		}
		resumed++
		out, err := Run(context.Background(), g.in)
		if err != nil || !out.Resumed || len(out.NotDone) > 0 || out.Steps.Done != len(g.in.Plan.Steps) {
			t.Fatalf("%d: %v, %+v", n, err, out)
		}
	}
	if resumed < 4 {
		t.Errorf("only %d runs were taken up again", resumed)
	}
}

// TestAChangeBeforeAStepMakesThePlanStale: what was changed before the run came to it isn't
// counted as done by it.
func TestAChangeBeforeAStepMakesThePlanStale(t *testing.T) {
	_, untagged, upload := leftovers()
	data, blob := upload+"/data", untagged.Blobs[1].Key()
	b, _, _ := leftovers()
	rebuilt := b.Tagged("b", "v1").RevisionKey()
	for name, c := range map[string]struct {
		change func(*fixtures.Memory)
		key    string
		op     plan.Op // it crashes before its first such change
		w      fixtures.Wrong
	}{
		"an upload goes on":           {func(m *fixtures.Memory) { m.Put(data, make([]byte, 31), fixtures.Epoch) }, upload + "/", plan.Remove, fixtures.Crash},
		"a blob is gone":              {func(m *fixtures.Memory) { m.Delete(blob) }, blob, plan.Remove, fixtures.Crash},
		"a blob is another":           {func(m *fixtures.Memory) { m.Put(blob, []byte("x"), fixtures.Epoch) }, blob, plan.Remove, fixtures.Crash},
		"what was written is another": {func(m *fixtures.Memory) { m.Put(rebuilt, []byte(layout.Empty.String()), fixtures.Epoch) }, rebuilt, plan.Write, fixtures.CrashAfter},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, _ := leftovers()
			b.Erase(rebuilt)
			g := guard(t, b, gc.Policy{Untagged: true})
			g.in.Found = nil
			n, tr := 0, (*trouble)(nil)
			for begun := false; !begun; { // until the intent is written
				g = guard(t, b, gc.Policy{Untagged: true})
				g.in.Found = nil
				n++
				tr = makeTrouble(t, g.m, g.in.State, c.w, n, func(f *fixtures.FaultyStore) {
					crashed := g.in
					crashed.Store = f
					Run(context.Background(), crashed)
				})
				if !tr.fired {
					t.Fatal("it changed nothing")
				}
				runs := 0
				for p, err := range journal.Newest(g.in.State, journal.Whole) {
					if err != nil {
						t.Fatal(err)
					}
					runs++
					begun = runs == 1 && slices.ContainsFunc(p.Intents, func(i journal.Intent) bool { return i.Op == c.op })
				}
			}
			c.change(g.m)
			was := dump(g.m)
			var no *Refused
			runs, err := journal.Summaries(g.in.State)
			if err != nil || runs[0].Status != journal.Unfinished {
				t.Fatalf("it didn't crash: %v, %+v", err, runs)
			}
			out, err := Run(context.Background(), g.in)
			if !errors.As(err, &no) || !strings.Contains(err.Error(), "stale") || !slices.Contains(no.Reasons[0].Keys, c.key) {
				t.Errorf("%v, %+v", err, out)
			}
			if d := diff(was, dump(g.m)); d != "" {
				t.Errorf("it went on:\n%s", d)
			}
		})
	}
}
