package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// newFix returns a world for changes: its clock is a year ahead, and no registry answers.
func newFix(t *testing.T, b *fixtures.Builder) *fake {
	t.Helper()
	f := newWhole(t, b)
	clock := time.Now().AddDate(1, 0, 0)
	f.now = func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	f.asks = func() bool { return false }
	f.answers = func(context.Context, location.Server) registry.State { return registry.Absent }
	return f
}

// littered returns a small store with an orphaned blob.
func littered() *fixtures.Builder {
	b := small()
	body := []byte("nobody's")
	b.Put(layout.BlobKey(layout.Sum(body)), body)
	return b
}

// planned is a part of the document of a plan.
type planned struct {
	Schema   string
	Plan     string
	Complete bool
	Refusals []struct{ Why, How string }
	Steps    []planStep
	Sums     []struct {
		Sign, Finding string
		Count         int
	}
	Exit struct{ Code int }
}

// planStep is a step of a plan.
type planStep struct {
	Op, Kind, Key, Finding string
	Size                   int64
}

// applied is a part of the document of a run.
type applied struct {
	Schema, Run, Plan string
	Totals            struct{ Done, Skipped, Failed int }
	Left              []struct{ Key, Reason string }
	Freed             int64 `json:"freed_bytes"`
	Kept              int64 `json:"kept_bytes"`
	Exit              struct{ Code int }
}

// document runs a command with --json, decodes the document, and returns the exit code, which
// must be in it.
func (f *fake) document(t *testing.T, into any, args ...string) int {
	t.Helper()
	exit := f.run(append(args, "--json", "--no-progress")...)
	if err := json.Unmarshal(f.out.Bytes(), into); err != nil {
		t.Fatalf("%q: exit %d, %v in\n%s\n%s", args, exit, err, f.out.String(), f.errs.String())
	}
	var said struct{ Exit struct{ Code int } }
	if err := json.Unmarshal(f.out.Bytes(), &said); err != nil || said.Exit.Code != exit {
		t.Errorf("%q: the document says exit %d, and it was %d", args, said.Exit.Code, exit)
	}
	return exit
}

func (f *fake) plan(t *testing.T, flags ...string) (p planned) {
	t.Helper()
	f.document(t, &p, append([]string{"fix", "STORE"}, flags...)...)
	return p
}

// content returns a snapshot of the store without the state directory and the times of
// changed directories.
func (f *fake) content(t *testing.T) fixtures.Picture {
	t.Helper()
	p := snapshot(t, f.store)
	for key, e := range p {
		if key == outside.StateName || strings.HasPrefix(key, outside.StateName+"/") {
			delete(p, key)
		} else if e.Mode.IsDir() {
			e.Modified = 0
			p[key] = e
		}
	}
	return p
}

// untouched fails if the store has changed.
func (f *fake) untouched(t *testing.T, what string, before fixtures.Picture) {
	t.Helper()
	if diff := before.Diff(f.content(t)); len(diff) > 0 {
		t.Errorf("%s: the store changed\n%s", what, strings.Join(diff, "\n"))
	}
}

// TestDryRunNeverWrites compares bytes, modes and times before and after dry runs with all
// combinations of flags.
func TestDryRunNeverWrites(t *testing.T) {
	f := newFix(t, rotten())
	choices := [][]string{
		{"--json"}, {"--untagged", "--thorough", "--undo=none"}, {"--also", "tag-dangling,blob-corrupt", "--verify", "all"},
		{"--only=blob-orphan,tag-dangling,blob-corrupt"}, {"--save-plan", "DIR/p"},
	}
	before := snapshot(t, f.store)
	for set := range 1 << len(choices) {
		args := []string{"fix", "STORE"}
		for i, flags := range choices {
			if set>>i&1 == 1 {
				args = append(args, flags...)
			}
		}
		if exit := f.run(args...); exit != 4 {
			t.Errorf("%q: exit %d\n%s", args, exit, f.errs.String())
		}
		if diff := before.Diff(snapshot(t, f.store)); len(diff) > 0 {
			t.Fatalf("%q changed\n%s", args, strings.Join(diff, "\n"))
		}
	}
	if files, err := os.ReadDir(f.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v: not just the plan was written", files, err)
	}
}

// TestEachDamageIsFixed fixes each damage: all that needs no request is cured, a check has
// the same exit code, a second fix has no steps, and undo restores the store.
func TestEachDamageIsFixed(t *testing.T) {
	all := append(healthy(), fixtures.Damages()...)
	const groups = 4 // most of the time is spent waiting for the disk
	for group := range groups {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			f := newFix(t, fixtures.New(1))
			for i := group; i < len(all); i += groups {
				f.fixDamage(t, all[i])
			}
		})
	}
}

// TestTheExitCodeAfterAllCures: after a fix with every cure on request, its exit code says of
// damage what a check says.
func TestTheExitCodeAfterAllCures(t *testing.T) {
	var also []string
	for id := range finding.Kinds {
		if id.OnRequest() && id != finding.TagFromSource { // needs a source
			also = append(also, id.String())
		}
	}
	f := newFix(t, fixtures.New(1))
	for _, d := range fixtures.Damages() {
		if d.Disk != nil {
			continue
		}
		b := fixtures.Standard()
		d.Apply(b)
		f.rewrite(t, b)
		var a applied
		exit := f.document(t, &a, slices.Concat([]string{"fix", "STORE", "--apply", "--yes", "--also", strings.Join(also, ",")}, flagsFor(d))...)
		if after := f.judge(t, flagsFor(d)...); exit&4 != after.Exit.Code&4 {
			t.Errorf("%s/%s: fix ends with %d, a check then with %d: %q", d.ID, d.Name, exit, after.Exit.Code, after.lines())
		}
	}
}

func (f *fake) fixDamage(t *testing.T, d fixtures.Damage) {
	t.Helper()
	b := fixtures.Standard()
	d.Apply(b)
	f.rewrite(t, b)
	if d.Disk != nil {
		if err := d.Disk(f.store, f.aside(t)); err != nil {
			t.Fatal(err)
		}
	}
	f.fixOne(t, d.ID+"/"+d.Name, d.Disk != nil, flagsFor(d))
}

// fixOne fixes the store and undoes it; unread means that something can't be read.
func (f *fake) fixOne(t *testing.T, name string, unread bool, flags []string) {
	t.Helper()
	before := f.content(t)
	change := slices.Concat([]string{"fix", "STORE", "--apply", "--yes"}, flags)
	plan := f.plan(t, flags...)
	if unread && len(plan.Steps) > 0 {
		if exit := f.run(change...); exit != 64 || !strings.Contains(f.errs.String(), "incomplete") {
			t.Errorf("%s: exit %d, %s", name, exit, f.errs.String())
		}
		f.untouched(t, name, before)
		return
	}
	var a applied
	exit := f.document(t, &a, change...)
	if a.Plan != plan.Plan || a.Totals.Done != len(plan.Steps) || len(a.Left) > 0 {
		t.Errorf("%s: of plan %s with %d steps came %+v", name, plan.Plan, len(plan.Steps), a)
	}
	after := f.judge(t, flags...)
	if exit&4 != after.Exit.Code&4 {
		t.Errorf("%s: fix ends with %d, a check then with %d: %q", name, exit, after.Exit.Code, after.lines())
	}
	if again := f.plan(t, flags...); len(again.Steps) > 0 {
		t.Errorf("%s: a second fix has %+v to do", name, again.Steps)
	}
	for _, x := range after.Findings {
		if x.Cure == "remove" || x.Cure == "rebuild" {
			t.Errorf("%s: %s %s is left", name, x.ID, x.Path)
		}
	}
	if len(plan.Steps) == 0 {
		f.untouched(t, name, before)
		return
	}
	if exit := f.run("undo", "STORE", "--quiet"); exit != 0 {
		t.Errorf("%s: undo: exit %d, %s%s", name, exit, f.out.String(), f.errs.String())
	}
	f.untouched(t, name+", undone", before)
}

func TestWithoutAnUndo(t *testing.T) {
	f := newFix(t, rotten())
	var a applied
	if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--undo", "none"); exit&^5 != 0 || a.Kept != 0 || a.Freed == 0 {
		t.Errorf("exit %d, %+v", exit, a)
	}
	if exit := f.run("undo", "STORE"); exit != 16 || !strings.Contains(f.errs.String(), "no such run that could be undone in "+filepath.Join(f.store, outside.StateName)) {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("undo", "STORE", a.Run); exit != 64 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	err := filepath.WalkDir(filepath.Join(f.store, outside.StateName), func(path string, e fs.DirEntry, err error) error {
		if e.Name() == "data" || e.Name() == "link" {
			t.Errorf("%s is kept", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRunsAreListedUndoneAndPurged(t *testing.T) {
	b := littered()
	b.Mkdir(path.Dir(layout.TagKey("void", "any")))
	f := newFix(t, b)
	f.run("undo", "STORE", "--list")
	if !strings.Contains(f.out.String(), "There are no runs") {
		t.Errorf("%s", f.out.String())
	}
	var first, second applied
	f.document(t, &first, "fix", "STORE", "--apply", "--yes", "--only", "blob-orphan", "--state", "DIR/state")
	f.document(t, &second, "fix", "STORE", "--apply", "--yes", "--state=DIR/state")
	if first.Run == "" || second.Run == "" || first.Kept == 0 || first.Freed != 0 {
		t.Fatalf("%+v, %+v", first, second)
	}
	if names, err := filepath.Glob(filepath.Join(f.store, outside.StateName, "*")); err != nil || len(names) != 1 || filepath.Base(names[0]) != "states" {
		t.Errorf("--state was not heeded, or isn't noted: %v, %v", names, err)
	}
	f.run("undo", "STORE", "--list", "--state", "DIR/state")
	if at, before := strings.Index(f.out.String(), first.Run), strings.Index(f.out.String(), second.Run); before < 0 || at < before {
		t.Errorf("not the newest first:\n%s", f.out.String())
	}
	for _, c := range []struct {
		args string
		exit int
		want string // on stderr
	}{
		{"undo STORE " + first.Run + " --state DIR/state", 64, "is newer"},
		{"undo STORE 20000101-000000-abcd --state DIR/state", 16, "there is no run"},
		{"undo STORE " + first.Run[:19] + "x --state DIR/state", 16, "did you mean " + first.Run},
		{"purge STORE " + first.Run + " --state DIR/state", 64, "--yes"},
		{"purge STORE nobody --yes --state DIR/state", 16, "there is no run"},
		{"purge STORE --state DIR/state", 16, "either RUNs or"},
		{"purge STORE --all " + first.Run + " --state DIR/state", 16, "either RUNs or"},
		{"purge STORE --older-than soon --state DIR/state", 16, "is a duration"},
		{"purge STORE --older-than 1h --yes --quiet --state DIR/state", 0, ""},
		{"undo STORE --quiet --state DIR/state", 0, ""},
		{"purge STORE " + second.Run + " --yes --quiet --state DIR/state", 0, ""},
		{"purge STORE --all --yes --quiet --state DIR/state", 0, ""},
		{"undo STORE --state DIR/state", 16, "no such run that could be undone in " + filepath.Join(f.dir, "state")},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != c.exit || !strings.Contains(f.errs.String(), c.want) {
			t.Errorf("%s: exit %d, %s%s", c.args, exit, f.out.String(), f.errs.String())
		}
	}
	if len(f.plan(t).Steps) == 0 {
		t.Error("what was undone is no garbage again")
	}
	var runs struct{ Runs []struct{ ID, Status string } }
	f.document(t, &runs, "undo", "STORE", "--list", "--state", "DIR/state")
	if len(runs.Runs) != 2 || runs.Runs[0].Status != "purged" || runs.Runs[1].Status != "purged" {
		t.Errorf("%+v", runs)
	}
}

// TestGroupsOfFindings: --only and --skip accept groups, which stand for their ids, and a
// saved plan has the ids; --also refuses groups.
func TestGroupsOfFindings(t *testing.T) {
	f := newFix(t, rotten())
	keys := func(flags ...string) (all []string) {
		for _, s := range f.plan(t, flags...).Steps {
			all = append(all, s.Op+" "+s.Key)
		}
		return all
	}
	all, repairs, garbage := keys(), keys("--only", "repairs"), keys("--only", "garbage")
	if len(repairs) == 0 || len(garbage) == 0 || len(repairs)+len(garbage) != len(all) {
		t.Errorf("%d steps, of which %d are repairs and %d are about garbage", len(all), len(repairs), len(garbage))
	}
	for _, s := range repairs {
		if !strings.HasPrefix(s, "write ") {
			t.Errorf("a repair is %s", s)
		}
	}
	if skipped := keys("--skip", "garbage"); !slices.Equal(skipped, repairs) {
		t.Errorf("without garbage there are %q, and repairs are %q", skipped, repairs)
	}
	if both := keys("--only", "error,garbage", "--only", "warning"); !slices.Equal(both, all) {
		t.Errorf("%q, and all are %q", both, all)
	}
	if exit := f.run("fix", "STORE", "--only", "repairs", "--save-plan", "DIR/p"); exit != 4 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	var a applied
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes"); exit&8 != 0 || a.Totals.Done != len(repairs) {
		t.Errorf("exit %d, %+v", exit, a)
	}
	if exit := f.run("fix", "STORE", "--also", "garbage"); exit != 16 {
		t.Errorf("--also takes a group: exit %d", exit)
	}
}
