package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestApplyAsAWholeDocument compares the documents of an apply and its undo with testdata.
func TestApplyAsAWholeDocument(t *testing.T) {
	f := newFix(t, rotten())
	for _, c := range []struct{ name, args string }{
		{"apply", "fix STORE --apply --yes --json --no-progress"},
		{"undo", "undo STORE --json --no-progress"},
	} {
		f.run(strings.Fields(c.args)...)
		var doc map[string]any
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil {
			t.Fatalf("%v: %s%s", err, f.out.String(), f.errs.String())
		}
		if run, ok := doc["run"].(string); !ok || !runIDs.MatchString(run) {
			t.Errorf("the run is %v", doc["run"])
		}
		for _, varies := range []string{"run", "started", "finished", "seconds", "kept_bytes"} { // kept_bytes is in blocks of the disk
			if _, ok := doc[varies]; !ok {
				t.Errorf("%s: no %s", c.name, varies)
			}
			doc[varies] = "varies"
		}
		for _, phase := range doc["phases"].([]any) {
			phase.(map[string]any)["seconds"] = "varies"
		}
		doc["tool"].(map[string]any)["version"] = "varies"
		all, err := json.MarshalIndent(doc, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(runIDs.ReplaceAllString(string(all), "RUN"), f.store, "STORE")
		sameText(t, filepath.Join("testdata", "fix", c.name+".json"), text+"\n")
	}
}

// TestIncompleteScanWithoutSteps: a fix without steps still reports that something could not
// be read.
func TestIncompleteScanWithoutSteps(t *testing.T) {
	for _, d := range fixtures.Damages() {
		if d.Disk == nil || d.ID != "store-unreadable" {
			continue
		}
		f := newFix(t, fixtures.Standard())
		if err := d.Disk(f.store, f.aside(t)); err != nil {
			t.Fatal(err)
		}
		if n := len(f.plan(t).Steps); n > 0 {
			t.Fatalf("%s: %d steps", d.Name, n)
		}
		before := f.content(t)
		for _, args := range []string{"fix STORE", "fix STORE --apply --yes", "fix STORE --apply --yes --untagged --max-delete 100%"} {
			if exit := f.run(strings.Fields(args)...); exit&8 == 0 || exit&64 != 0 {
				t.Errorf("%s, %s: exit %d\n%s%s", d.Name, args, exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, args, before)
		}
	}
}

// TestHalfOfFewBlobsLost: a small store that lost half of its blobs is refused, with the flag
// that permits the change.
func TestHalfOfFewBlobsLost(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{Layers: []int{10, 20}})
	for _, lost := range m.Blobs[1:] {
		b.Erase(lost.Key())
	}
	b.Put(layout.BlobKey(layout.Sum([]byte("nobody's"))), []byte("nobody's"))
	b.Image("b", "v1", fixtures.Image{Shared: m.Blobs[:1], Layers: []int{}})
	f := newFix(t, b)
	before := f.content(t)
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--max-delete 34%") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--max-delete", "33%"); exit != 64 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
	var a applied
	if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--max-delete", "34%"); exit != 4 || a.Totals.Done == 0 {
		t.Errorf("exit %d, %s, %+v", exit, f.errs.String(), a)
	}
}

func TestASavedPlanIsCarriedOut(t *testing.T) {
	f := newFix(t, rotten())
	before := f.content(t)
	shown := f.plan(t, "--untagged", "--grace", "2h", "--also", "tag-dangling", "--skip", "folder-empty", "--save-plan", "DIR/p")
	if f.plan(t).Plan == shown.Plan {
		t.Error("flags make no difference to a plan")
	}
	if exit := f.run("apply", "DIR/p"); exit != 64 || !strings.Contains(f.errs.String(), "--yes") {
		t.Errorf("nobody was asked: exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "nobody was asked", before)
	var a applied
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes"); exit&^5 != 0 || a.Plan != shown.Plan || a.Totals.Done != len(shown.Steps) {
		t.Errorf("exit %d, %+v; %d steps were shown", exit, a, len(shown.Steps))
	}
	done := f.content(t)
	if exit := f.run("apply", "DIR/p", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "the plan is stale") {
		t.Errorf("once more: exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "once more", done)
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	f.untouched(t, "undone", before)
	moved := f.store + "2"
	if err := os.Rename(f.store, moved); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("apply", "DIR/p", "--yes"); exit != 16 || !strings.Contains(f.errs.String(), f.store) {
		t.Errorf("where the plan says is no store: exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("apply", "DIR/p", moved, "--yes", "--quiet"); exit&^5 != 0 {
		t.Errorf("elsewhere: exit %d, %s", exit, f.errs.String())
	}
}

// TestAStalePlanIsRefused: a push that needs an orphaned layer, between plan and apply, makes
// the plan stale.
func TestAStalePlanIsRefused(t *testing.T) {
	b := small()
	body := []byte("an old layer")
	orphan := layout.Sum(body)
	b.Put(layout.BlobKey(orphan), body)
	f := newFix(t, b)
	f.plan(t, "--save-plan", "DIR/p")
	b.Mount("a", orphan)
	f.rewrite(t, b)
	before := f.content(t)
	if exit := f.run("apply", "DIR/p", "--yes", "--quiet"); exit != 64 || !strings.Contains(f.errs.String(), "the plan is stale") || !strings.Contains(f.errs.String(), "  "+layout.BlobKey(orphan)) {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "stale", before)
}

func TestInvalidPlanFiles(t *testing.T) {
	f := newFix(t, littered())
	f.plan(t, "--save-plan", "DIR/p")
	f.plan(t, "--report", "DIR/doc.json")
	before := f.content(t)
	whole, err := os.ReadFile(f.dir + "/p")
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.dir+"/edited", strings.Replace(string(whole), `"grace":"1h0m0s"`, `"grace":"0s"`, 1))
	write(t, f.dir+"/cut", string(whole[:len(whole)-30]))
	write(t, f.dir+"/letter", "Dear registry,\n")
	for _, c := range []struct {
		args string
		exit int
		want string
	}{
		{"apply DIR/edited --yes", 64, "edited"},
		{"apply DIR/cut --yes", 64, "edited"},
		{"apply DIR/letter --yes", 16, "not a plan"},
		{"apply DIR/doc.json --yes", 16, "no plan but a document of another form, regfsck.dry-run/1"},
		{"apply DIR/nothing --yes", 16, "can't be read: no such file"},
		{"apply --yes", 16, "takes a PLAN"},
		{"apply DIR/p STORE STORE --yes", 16, "takes a PLAN"},
		{"apply DIR/p --untagged", 16, "there is no flag --untagged"},
		{"fix", 16, "no STORE was given"},
		{"fix STORE --only blob-orphn", 16, `there is no finding "blob-orphn"; did you mean blob-orphan?`},
		{"fix STORE --skip tag-dangling,", 16, `there is no finding ""`},
		{"fix STORE --also blob-orphan", 16, "not done on request; on request are manifest-missing"},
		{"fix STORE --also tag-dangling --only blob-orphan", 16, "leaves it out"},
		{"fix STORE --verify 5%", 16, "--verify is manifests or all"},
		{"fix STORE --max-delete 101%", 16, "--max-delete is a share like 25%"},
		{"fix STORE --max-delete 5", 16, "--max-delete is a share like 25%"},
		{"fix STORE --undo maybe", 16, "--undo is auto or none"},
		{"fix STORE STORE", 16, "one STORE"},
		{"undo", 16, "no STORE was given"},
		{"purge", 16, "no STORE was given"},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != c.exit || !strings.Contains(f.errs.String(), c.want) || !f.refuses(strings.Fields(c.args)...) {
			t.Errorf("%s: exit %d, %s%s", c.args, exit, f.out.String(), f.errs.String())
		}
		f.untouched(t, c.args, before)
	}
}

// TestChoice compares the steps of plans with --only, --skip and --also.
func TestChoice(t *testing.T) {
	f := newFix(t, damaged("blob-orphan", "layer-link-unreferenced", "tag-dangling", "repo-empty", "revision-link-missing"))
	findings := func(flags ...string) string {
		ids := map[string]bool{}
		for _, s := range f.plan(t, flags...).Steps {
			ids[s.Finding] = true
		}
		all := []string{}
		for id := range ids {
			all = append(all, id)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for flags, want := range map[string]string{
		"":                                     "blob-orphan layer-link-unreferenced repo-empty revision-link-missing",
		"--only blob-orphan":                   "blob-orphan",
		"--only repo-empty,blob-orphan":        "blob-orphan repo-empty",
		"--only repo-empty --only blob-orphan": "blob-orphan repo-empty",
		"--skip blob-orphan":                   "layer-link-unreferenced repo-empty revision-link-missing",
		"--skip blob-orphan,repo-empty --skip revision-link-missing": "layer-link-unreferenced",
		"--only blob-orphan --skip blob-orphan":                      "",
		"--also tag-dangling":                                        "blob-orphan layer-link-unreferenced repo-empty revision-link-missing tag-dangling",
		"--only tag-dangling --also tag-dangling":                    "tag-dangling",
		"--only tag-dangling":                                        "",
	} {
		if got := findings(strings.Fields(flags)...); got != want {
			t.Errorf("%s: %s, want %s", flags, got, want)
		}
	}
	asks := func(flags ...string) (n int) {
		for _, s := range f.plan(t, flags...).Sums {
			if s.Sign == "!" {
				n += s.Count
			}
		}
		return n
	}
	if a, b, c := asks(), asks("--also", "tag-dangling"), asks("--skip", "tag-dangling"); a != 1 || b != 0 || c != 0 {
		t.Errorf("%d, %d and %d decisions", a, b, c)
	}
}

// TestCorruptBlobsAreMovedOnRequest: corrupt blobs are moved away, so that a push can write
// them; the images remain broken.
func TestCorruptBlobsAreMovedOnRequest(t *testing.T) {
	f := newFix(t, damaged("blob-corrupt"))
	if n := len(f.plan(t, "--verify", "all").Steps); n != 0 {
		t.Errorf("%d steps without a request", n)
	}
	p := f.plan(t, "--verify", "all", "--also", "blob-corrupt")
	if len(p.Steps) != 1 {
		t.Fatalf("%+v", p.Steps)
	}
	if exit := f.run("fix", "STORE", "--verify", "all", "--also", "blob-corrupt", "--apply", "--yes", "--quiet"); exit != 5 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if _, err := os.Stat(filepath.Join(f.store, p.Steps[0].Key)); err == nil {
		t.Error("the corrupt blob is still there")
	}
}

// TestARunIsCancelledAtSafePoints cancels a run at each time that it reads the clock. The
// next run has the result of an uninterrupted one.
func TestARunIsCancelledAtSafePoints(t *testing.T) {
	f := newFix(t, damaged("blob-orphan", "revision-link-missing", "repo-empty"))
	clean, clock := f.content(t), f.now
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 1 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	want := f.content(t)
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	cut := 0
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(context.Background())
		left := n
		f.now = func() time.Time {
			if left--; left == 0 {
				cancel()
			}
			return clock()
		}
		f.errs.Reset()
		exit := run(ctx, []string{"regfsck", "fix", f.store, "--apply", "--yes", "--quiet"}, f.world)
		cancel()
		f.now = clock
		if exit == 32 {
			f.untouched(t, "cancelled", clean)
			if !strings.Contains(f.errs.String(), "nothing was changed") && !strings.Contains(f.out.String(), "STOPPED") {
				t.Errorf("cancelled at %d: %s%s", n, f.out.String(), f.errs.String())
			}
		} else if exit&32 != 0 {
			cut++
		}
		if left > 0 || exit == 1 {
			break
		}
		if exit := f.run("fix", "STORE", "--apply", "--yes", "--quiet"); exit&^1 != 0 {
			t.Errorf("after %d: exit %d, %s", n, exit, f.errs.String())
		}
		f.untouched(t, "finished", want)
		for f.run("undo", "STORE", "--quiet") == 0 {
		}
		f.untouched(t, "undone", clean)
	}
	if cut == 0 {
		t.Error("no run was stopped on its way")
	}
}

// What varies between runs and disks.
var (
	durations = regexp.MustCompile(` +(\d+ ms|\d+\.\d s)\b`)
	runIDs    = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}`)
	space     = regexp.MustCompile(`[\d.]+ [KM]?i?B (are kept|kept)`)
)

// TestTextsAreAsRead compares the texts of a dry run, an apply and an undo with testdata.
func TestTextsAreAsRead(t *testing.T) {
	f := newFix(t, rotten())
	store := f.store + strings.Repeat("x", 250-len(f.store)) // columns depend on the path's length
	if err := os.Rename(f.store, store); err != nil {
		t.Fatal(err)
	}
	f.store = store
	for _, c := range []struct{ name, args string }{
		{"plan", "fix STORE"},
		{"plan-asked", "fix STORE --untagged --thorough --undo none --also tag-dangling,tag-without-current"},
		{"apply", "fix STORE --apply --yes --no-progress"},
		{"nothing", "fix STORE --no-progress"},
		{"undo", "undo STORE"},
	} {
		f.run(strings.Fields(c.args)...)
		text := strings.ReplaceAll(f.out.String(), f.store, "STORE")
		text = durations.ReplaceAllString(text, "  0 ms")
		text = space.ReplaceAllString(runIDs.ReplaceAllString(text, "RUN"), "SPACE $1")
		sameText(t, filepath.Join("testdata", "fix", c.name+".txt"), text)
	}
}

// TestPlanAsAWholeDocument compares the document of a dry run with testdata.
func TestPlanAsAWholeDocument(t *testing.T) {
	f := newFix(t, rotten())
	f.run("fix", "STORE", "--json", "--no-progress")
	doc := lasting(t, f)
	doc["undo"].(map[string]any)["state"] = "STORE/" + outside.StateName
	all, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	sameText(t, filepath.Join("testdata", "fix", "plan.json"), string(all)+"\n")
}

// sameText compares a text with a golden file, or writes it.
func sameText(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		write(t, name, got)
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines, wanted := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(lines), len(wanted)) {
		if i >= len(lines) || i >= len(wanted) || lines[i] != wanted[i] {
			t.Errorf("%s differs from line %d on; got\n%s", name, i+1, strings.Join(lines[min(i, len(lines)):min(i+8, len(lines))], "\n"))
			return
		}
	}
}
