package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// brokenOff makes the last run look as if it had been killed before its last
// line.
func (f *fake) brokenOff(t *testing.T) {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(f.store, stateName, "runs", "*", "journal.jsonl"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("%v, %v", journals, err)
	}
	all, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journals[0], all[:bytes.LastIndex(all, []byte(`{"end"`))], 0o600); err != nil {
		t.Fatal(err)
	}
}

// emptied is where a run that was killed has left an empty folder.
func (f *fake) emptied(t *testing.T) string {
	t.Helper()
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	f.brokenOff(t)
	orphan := layout.BlobKey(layout.Sum([]byte("nobody's")))
	kept, err := filepath.Glob(filepath.Join(f.store, stateName, "runs", "*", "kept", "*sha256", filepath.Base(filepath.Dir(filepath.Dir(orphan)))))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	left := filepath.Join(f.store, filepath.Dir(filepath.Dir(orphan)))
	if err := os.Rename(kept[0], left); err != nil {
		t.Fatal(err)
	}
	return left
}

// What a run that was killed has emptied is part of the store that a plan was
// saved of: taking it away first would make the plan stale.
func TestASavedPlanIsNotMadeStaleByFinishing(t *testing.T) {
	f := newFix(t, littered())
	f.emptied(t)
	body := []byte("nobody's, too")
	more := fixtures.New(9)
	more.Put(layout.BlobKey(layout.Sum(body)), body)
	if err := more.WriteDir(f.store); err != nil {
		t.Fatal(err)
	}
	f.run("fix", "STORE", "--save-plan", "DIR/p")
	if exit := f.run("apply", "DIR/p", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// A link doesn't lead the state folder in among the registry's files.
func TestTheStateIsNotAmongTheFilesByALink(t *testing.T) {
	f := newFix(t, littered())
	if err := os.Symlink(f.store, filepath.Join(f.dir, "away")); err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	for _, state := range []string{"DIR/away/docker/registry/v2/repositories/st", "DIR/away/docker/st"} {
		if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", state); exit != 16 || !strings.Contains(f.errs.String(), "registry's own files") {
			t.Errorf("%s: exit %d, %s", state, exit, f.errs.String())
		}
		f.untouched(t, state, before)
	}
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", "DIR/away/st"); exit != 0 {
		t.Errorf("beside them: exit %d, %s", exit, f.errs.String())
	}
}

// The command that a run ends with takes it back, what was followed included.
func TestTheUndoThatIsShownFollows(t *testing.T) {
	b := small()
	b.Push("away/b", fixtures.OCILayer, []byte("loose"))
	f := newFix(t, b)
	at, elsewhere := filepath.Join(f.store, layout.RepositoryKey("away")), filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Rename(at, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, at); err != nil {
		t.Fatal(err)
	}
	was := snapshot(t, elsewhere)
	key := layout.RepositoryKey("away")
	if exit := f.run("fix", "STORE", "--follow", key, "--apply", "--yes", "--only", "layer-link-unreferenced"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	_, command, _ := strings.Cut(f.out.String(), "To undo:  regfsck ")
	command, _, _ = strings.Cut(command, "\n")
	if exit := f.run(strings.Fields(command)...); exit != 0 {
		t.Errorf("%s: exit %d, %s", command, exit, f.errs.String())
	}
	is := snapshot(t, elsewhere)
	for key := range was {
		if _, ok := is[key]; !ok {
			t.Errorf("%s didn't come back", key)
		}
	}
}

// Two stores with one state folder: neither run's undo is the other's, and a dry
// run says so.
func TestAnotherStoresStateIsRefused(t *testing.T) {
	f := newFix(t, littered())
	other := newFix(t, littered())
	if exit := other.run("fix", "STORE", "--apply", "--yes", "--state", f.dir+"/state"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, other.errs.String())
	}
	before := f.content(t)
	for _, args := range []string{"fix STORE --apply --yes", "fix STORE --apply --yes --undo none", "undo STORE"} {
		if exit := f.run(append(strings.Fields(args), "--state", "DIR/state")...); exit != 64 || !strings.Contains(f.errs.String(), "belongs to another store") {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
		f.untouched(t, args, before)
	}
	if f.run("fix", "STORE", "--state", "DIR/state"); !strings.Contains(f.out.String(), "--apply would be refused") {
		t.Errorf("the dry run says nothing of it:\n%s", f.out.String())
	}
	if exit := other.run("undo", "STORE", "--state", f.dir+"/state"); exit != 0 {
		t.Errorf("exit %d, %s", exit, other.errs.String())
	}
}
