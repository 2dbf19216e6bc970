package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// TestSavedReports compares, for the standard store with each damage and random stores, the
// output of commands as text, JSON and in file formats with the output of show for their JSON
// reports.
func TestSavedReports(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	all := [][]string{{"check"}, {"check", "--fail-on", "never"}, {"fix"}, {"fix", "--untagged", "--grace", "0", "--skip", "error"}, {"ls"}, {"ls", "--broken"}, {"prune", "--keep-last", "1"}}
	shownAlike(t, f, fixtures.Standard(), all...)
	for _, d := range fixtures.Damages() {
		if d.Disk == nil {
			b := fixtures.Standard()
			d.Apply(b)
			shownAlike(t, f, b, []string{"check"}, []string{"fix"})
		}
	}
	for seed := range uint64(4) {
		b, _ := fixtures.Random(seed)
		shownAlike(t, f, b, all...)
	}
}

// shownAlike runs commands on a store.
func shownAlike(t *testing.T, f *fake, b *fixtures.Builder, commands ...[]string) {
	t.Helper()
	memory := b.Memory()
	f.check = func(ctx context.Context, _ backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		r, _, err := check.Store(ctx, memory, o)
		return r, []graph.Phase{{Name: "blobs", Count: 3, Unit: "blobs", Duration: 1_234_567_891}, {Name: "links", Count: 4, Unit: "links", Duration: 17}}, err
	}
	repository, tag := "", ""
	for _, key := range b.Keys() {
		if k, err := layout.Parse(key); err == nil && repository == "" && k.Kind == layout.TagCurrent {
			repository, tag = k.Repository, k.Repository+":"+k.Tag
		}
	}
	if repository != "" && len(commands) > 2 {
		commands = append(commands, []string{"rm", repository}, []string{"ls", repository}, []string{"ls", tag}, []string{"rm", tag})
	}
	for _, words := range commands {
		f.shows(t, slices.Concat(words[:1], []string{"STORE"}, words[1:])...)
	}
}

// shows compares the output of a command with that of show for its JSON report.
func (f *fake) shows(t *testing.T, command ...string) {
	t.Helper()
	path := filepath.Join(f.dir, "saved.json")
	files := []string{"--report", path}
	for _, ext := range []string{".csv", ".md", ".prom", ".junit.xml"} {
		files = append(files, "--report", filepath.Join(f.dir, "was"+ext))
	}
	if command[0] == "ls" {
		files = files[:6] // lists have no other format
	}
	defer func() { f.terminal = func(io.Writer) (int, bool) { return 0, false } }()
	for _, width := range []int{0, 80, 120} {
		f.terminal = func(io.Writer) (int, bool) { return width, width > 0 }
		exit := f.run(slices.Concat(command, []string{"--no-progress"}, files)...)
		if exit&(16|64) != 0 { // there is no answer
			return
		}
		f.showsAgain(t, command, path)
		files = files[:2]
	}
	f.terminal = func(io.Writer) (int, bool) { return 0, false }
	for _, form := range []string{"--verbose", "--quiet"} {
		f.run(slices.Concat(command, []string{form, "--no-progress"}, files)...)
		if form == "--verbose" || f.out.Len() > 0 {
			f.showsAgain(t, command, path, form)
		}
	}
	if f.run("show", path, "--json"); f.out.String() != read(t, path) {
		t.Errorf("%q: show --json prints otherwise\n%s", command, unlike(read(t, path), f.out.String()))
	}
	for _, ext := range []string{".json", ".csv", ".md", ".prom", ".junit.xml"} {
		was := filepath.Join(f.dir, "was"+ext)
		if ext == ".json" {
			was = path
		} else if command[0] == "ls" && (ext == ".prom" || ext == ".junit.xml") {
			continue
		}
		is := filepath.Join(f.dir, "is"+ext)
		if exit := f.run("show", path, "--report", is); exit != 0 {
			t.Errorf("%q: %s: exit %d, %s", command, ext, exit, f.errs.String())
			continue
		}
		if a, b := unmapped(read(t, was)), unmapped(read(t, is)); a != b {
			t.Errorf("%q: %s: show writes otherwise\n%s", command, ext, unlike(a, b))
		}
	}
}

// showsAgain compares the output of a command with that of show.
func (f *fake) showsAgain(t *testing.T, command []string, path string, form ...string) {
	t.Helper()
	text := f.out.String()
	if exit := f.run(slices.Concat([]string{"show", path}, form)...); exit != 0 || f.out.String() != text {
		t.Errorf("%q %q: show ends with %d %s\n%s", command, form, exit, f.errs.String(), unlike(text, f.out.String()))
	}
}

// unmapped removes what a JSON report doesn't have: the usage.
func unmapped(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "regfsck_repository_") && !strings.Contains(line, "regfsck_shared_bytes") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func read(t testing.TB, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// unlike returns where two texts begin to differ.
func unlike(a, b string) string {
	was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range was {
		if i >= len(is) || was[i] != is[i] {
			return "was: " + strings.Join(was[i:min(i+4, len(was))], "\n     ") + "\nis:  " + strings.Join(is[min(i, len(is)):min(i+4, len(is))], "\n     ")
		}
	}
	return "is longer"
}

// TestSavedRuns compares the output of commands that change a store, on disk and in a bucket,
// with that of show.
func TestSavedRuns(t *testing.T) {
	b := rotten()
	body := []byte("nobody's")
	b.Put(layout.BlobKey(layout.Sum(body)), body)
	f := newFix(t, b)
	inBucket, _, _ := change(t, b, s3test.Enabled)
	for _, f := range []*fake{f, inBucket} {
		f.run("check", "STORE", "--no-progress", "--report", "DIR/old.json")
		write(t, filepath.Join(f.dir, "accepted.yml"), "schema: regfsck.accept/1\naccepted:\n- {id: foreign-file, glob: '**', reason: known}\n- {id: blob-orphan, glob: '**', reason: old, until: 2020-01-01}\n- {id: blob-missing, glob: '**', tags: 1, reason: lost}\n- {id: tag-dangling, key: none, reason: gone}\n")
		for _, command := range [][]string{
			{"check", "STORE", "--accept", "DIR/accepted.yml"}, {"check", "STORE", "--since", "DIR/old.json", "--accept", "DIR/accepted.yml"},
			{"check", "STORE", "--since", "DIR/old.json"}, {"check", "STORE", "--verify", "5%"}, {"check", "STORE", "--verify", "200GiB", "--ledger", "DIR/ledger"},
			{"fix", "STORE", "--also", "tag-dangling"}, {"fix", "STORE", "--undo", "none"},
			{"fix", "STORE", "--apply", "--yes", "--max-delete", "100%"}, {"check", "STORE", "--since", "DIR/old.json"}, {"undo", "STORE"}, {"rm", "STORE", "app", "--apply", "--yes"}, {"undo", "STORE"},
		} {
			path := filepath.Join(f.dir, "saved.json")
			exit := f.run(slices.Concat(command, []string{"--no-progress", "--report", path, "--report", filepath.Join(f.dir, "was.csv")})...)
			if exit&(16|64) != 0 {
				t.Fatalf("%q: exit %d, %s", command, exit, f.errs.String())
			}
			if slices.Contains(command, "--apply") { // the plan is printed before the outcome
				f.run("show", path)
				continue
			}
			f.showsAgain(t, command, path)
			if f.run("show", path, "--json"); f.out.String() != read(t, path) {
				t.Errorf("%q: show --json prints otherwise\n%s", command, unlike(read(t, path), f.out.String()))
			}
			if f.run("show", path, "--report", "DIR/is.csv"); read(t, filepath.Join(f.dir, "was.csv")) != read(t, filepath.Join(f.dir, "is.csv")) {
				t.Errorf("%q: another table", command)
			}
		}
	}
}

// TestASavedPlanIsShown: show prints a plan file with names, sizes, how it was made, and the
// command to apply it.
func TestASavedPlanIsShown(t *testing.T) {
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{Layers: []int{300_000}})
	b.Image("web", "v1", fixtures.Image{Layers: []int{200_000}})
	b.Image("web", "v2", fixtures.Image{Layers: []int{100_000}})
	f := newFix(t, b)
	for _, c := range []struct {
		command string
		want    []string
	}{
		{"rm STORE app web:v1", []string{"regfsck rm  STORE", "by regfsck 0.1.0", "PLAN ", "regfsck apply DIR/plan"}},
		{"rm STORE web:v1 web:v2", []string{"- web          2 tags, 2 manifests, 295 KiB only they need"}},
		{"fix STORE --untagged --grace 2h", []string{"NOTHING TO DO", "--grace 2h0m0s", "--untagged"}},
	} {
		if exit := f.run(append(strings.Fields(c.command), "--save-plan", "DIR/plan")...); exit&(16|64) != 0 {
			t.Fatalf("%s: %d %s", c.command, exit, f.errs.String())
		}
		said := f.out.String()
		whole := f.content(t)
		if exit := f.run("show", "DIR/plan"); exit != 0 {
			t.Errorf("%s: exit %d, %s", c.command, exit, f.errs.String())
		}
		text := f.out.String()
		if c.command == "rm STORE app web:v1" && section(text, "REMOVALS") != section(said, "REMOVALS") {
			t.Errorf("%s: show says\n%s\nand rm\n%s", c.command, section(text, "REMOVALS"), section(said, "REMOVALS"))
		}
		for _, want := range c.want {
			if want = strings.NewReplacer("STORE", f.store, "DIR", f.dir).Replace(want); !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", c.command, want, text)
			}
		}
		for _, form := range []string{"--json", "--verbose", "--quiet"} {
			if exit := f.run("show", "DIR/plan", form); exit != 0 || f.out.Len() == 0 {
				t.Errorf("%s %s: exit %d, %s", c.command, form, exit, f.errs.String())
			}
		}
		for _, ext := range []string{".json", ".csv", ".md", ".html"} {
			if exit := f.run("show", "DIR/plan", "--report", "DIR/r"+ext); exit != 0 {
				t.Errorf("%s %s: exit %d, %s", c.command, ext, exit, f.errs.String())
			}
		}
		f.untouched(t, "show", whole)
	}
}

// section returns the part of a text below a heading.
func section(text, heading string) string {
	_, text, _ = strings.Cut(text, heading+"\n")
	for i, line := range strings.SplitAfter(text, "\n") {
		if i > 0 && line != "\n" && line[0] != ' ' || strings.HasPrefix(line, "WHY") {
			before, _, _ := strings.Cut(text, line)
			return before
		}
	}
	return text
}

// TestInvalidReportsAreNotShown: for a file that is incomplete, edited, of another version or
// foreign, nothing is printed, and the error says which.
func TestInvalidReportsAreNotShown(t *testing.T) {
	f := newFix(t, littered())
	f.run("check", "STORE", "--report", "DIR/check.json")
	f.run("fix", "STORE", "--report", "DIR/plan.json", "--save-plan", "DIR/plan")
	f.run("ls", "STORE", "--report", "DIR/ls.json")
	f.run("fix", "STORE", "--apply", "--yes", "--report", "DIR/run.json", "--max-delete", "100%")
	f.run("diff", "DIR/check.json", "DIR/check.json", "--report", "DIR/diff.json")
	refused := func(what, text, want string) {
		t.Helper()
		write(t, filepath.Join(f.dir, "bad"), text)
		if exit := f.run("show", "DIR/bad"); exit != 16 || f.out.Len() > 0 || !strings.Contains(f.errs.String(), want) {
			t.Errorf("%s: exit %d, %q, %s; want %q", what, exit, f.out.String(), f.errs.String(), want)
		}
	}
	for _, name := range []string{"check.json", "plan.json", "ls.json", "run.json", "plan"} {
		whole := read(t, filepath.Join(f.dir, name))
		for n := 0; n < len(whole)-1; n += max(1, len(whole)/60) {
			refused(name+" cut", whole[:n], "")
		}
		refused(name+" twice", whole+whole, "")
		form, _, _ := strings.Cut(strings.TrimPrefix(whole, `{"schema":"`), `"`)
		newer := strings.TrimSuffix(form, "1") + "2"
		refused(name+" of another version", strings.Replace(whole, form, newer, 1), "has the form "+newer+", which another version of regfsck wrote; this one knows "+form)
		if name == "plan.json" || name == "run.json" || name == "plan" {
			refused(name+" edited", strings.Replace(whole, `"op":"remove"`, `"op":"remove","tag":"x"`, 1), "edited")
		}
	}
	check := read(t, filepath.Join(f.dir, "check.json"))
	var sorted map[string]json.RawMessage
	if err := json.Unmarshal([]byte(check), &sorted); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(sorted, "", "  ") // as jq -S writes it
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(f.dir, "sorted"), string(text))
	if exit := f.run("show", "DIR/sorted", "--json"); exit != 0 || f.out.String() != check {
		t.Errorf("members in another order: exit %d, %s", exit, f.errs.String())
	}
	refused("an unknown kind", strings.ReplaceAll(check, "blob-orphan", "blob-haunted"), `findings "blob-haunted", which this one doesn't know`)
	refused("a number that is none", strings.Replace(check, `"code":0`, `"code":"0"`, 1), `the report is damaged: its member "exit"`)
	refused("no findings", strings.Replace(check, `"findings"`, `"fundings"`, 1), `it has no "findings": it is damaged, or an earlier version wrote it`)
	refused("a comparison", read(t, filepath.Join(f.dir, "diff.json")), "a document of the form regfsck.diff/1")
	refused("somebody else's", `{"schema":"grype/6"}`, `its schema is "grype/6"`)
	refused("a manifest", `{"schemaVersion":2}`, "no report of regfsck")
	refused("a text", "CLEAN", "no report of regfsck")
	refused("nothing", "", "no report of regfsck")
	for args, want := range map[string]string{
		"show": "takes a FILE, or a STORE and a RUN", "show DIR/nope": "can't be read: no such file", "show DIR": "can't be read: is a directory", "show DIR/ls.json --report DIR/x.prom": "one of .json, .csv, .md and .html",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestNoControlCharactersOfReports: text of an edited report never reaches a terminal as
// control characters.
func TestNoControlCharactersOfReports(t *testing.T) {
	f := newFix(t, rotten())
	f.run("check", "STORE", "--report", "DIR/check.json")
	f.run("fix", "STORE", "--also", "tag-dangling", "--report", "DIR/fix.json")
	f.run("prune", "STORE", "--keep-last", "1", "--report", "DIR/prune.json")
	f.run("ls", "STORE", "--report", "DIR/ls.json")
	f.run("ls", "STORE", "app", "--report", "DIR/tags.json")
	f.run("ls", "STORE", "app:1.0", "--report", "DIR/tree.json")
	f.run("ls", "STORE", "--broken", "--report", "DIR/broken.json")
	f.run("fix", "STORE", "--apply", "--yes", "--report", "DIR/run.json", "--max-delete", "100%")
	value := regexp.MustCompile(`("[a-z_]+":\[?)"([^"]*)"`)
	for _, name := range []string{"check", "fix", "prune", "ls", "tags", "tree", "broken", "run"} {
		whole := read(t, filepath.Join(f.dir, name+".json"))
		shown := 0
		places := value.FindAllStringSubmatchIndex(whole, -1)
		if len(places) == 0 {
			t.Fatalf("%s: no texts", name)
		}
		seen := map[string]int{}
		for _, at := range places {
			if seen[whole[at[2]:at[3]]]++; seen[whole[at[2]:at[3]]] > 2 {
				continue
			}
			write(t, filepath.Join(f.dir, "bad"), whole[:at[5]]+`\u0007\u001b]0;owned`+whole[at[5]:])
			for _, form := range []string{"--verbose", "--quiet", "--color=never"} {
				if exit := f.run("show", "DIR/bad", form); exit == 0 {
					shown++
				}
				if said := f.out.String() + f.errs.String(); strings.ContainsAny(said, "\x07\x1b") {
					t.Errorf("%s %s: %q reaches the terminal", name, form, whole[at[0]:at[1]])
				}
			}
		}
		if shown == 0 {
			t.Errorf("%s: nothing was shown", name)
		}
	}
}

// pastRun is a part of the document of an earlier run.
type pastRun struct {
	Run struct {
		ID, Status string
		CanUndo    bool `json:"can_undo"`
		Damage     string
	}
	Kept     *int64 `json:"kept_bytes"`
	Before   string `json:"undo_first"`
	Whole    bool   `json:"plan_known"`
	Totals   struct{ Done, Skipped, Failed, Bytes int }
	Removals []struct {
		Name, What string
		Bytes      int64
	}
	Repairs []struct{ Name, What string }
	Steps   []struct{ Key string }
	Left    []struct{ Key, Reason string }
}

// carried is a part of the document of apply.
type carried struct {
	Run, State string
	Kept       int64 `json:"kept_bytes"`
	Totals     struct{ Done, Skipped, Failed, Bytes int }
}

// shown decodes the output of show for a run.
func (f *fake) shown(t *testing.T, into *pastRun, args ...string) {
	t.Helper()
	*into = pastRun{}
	if exit := f.run(slices.Concat([]string{"show"}, args, []string{"--json"})...); exit != 0 {
		t.Fatalf("%q: exit %d, %s", args, exit, f.errs.String())
	}
	if err := json.Unmarshal(f.out.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

// twoImages returns a store with two images without common blobs.
func twoImages() *fixtures.Builder {
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{Layers: []int{300_000}})
	b.Image("web", "v1", fixtures.Image{Layers: []int{200_000}})
	b.Image("web", "v2", fixtures.Image{Layers: []int{100_000}})
	return b
}

// TestAPastRunIsShownByNames: show prints what a run removed by name with bytes, what it
// keeps, and whether it can be undone; also without its store, and without its plan; it
// changes nothing.
func TestAPastRunIsShownByNames(t *testing.T) {
	onDisk := newFix(t, twoImages())
	inBucket, _, _ := change(t, twoImages(), s3test.Enabled)
	for _, f := range []*fake{onDisk, inBucket} {
		f.run("rm", "STORE", "app", "web:v1")
		planned := section(f.out.String(), "REMOVALS")
		var done carried
		f.document(t, &done, "rm", "STORE", "app", "web:v1", "--apply", "--yes")
		state := done.State
		before := snapshot(t, f.dir)
		if exit := f.run("show", "STORE", done.Run); exit != 0 {
			t.Fatalf("exit %d, %s", exit, f.errs.String())
		}
		text := f.out.String()
		if got := strings.Split(text, "\n\n  "); !strings.Contains(text, strings.TrimRight(planned, "\n")) {
			t.Errorf("the plan says\n%s\nand the run\n%s", planned, got)
		}
		for _, want := range []string{"regfsck rm  ", "run     " + done.Run, "DONE: ", " for undo", "It can be undone.", "regfsck undo ", "regfsck purge "} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		var is, alone pastRun
		f.shown(t, &is, "STORE", done.Run)
		if is.Run.ID != done.Run || !is.Run.CanUndo || is.Kept == nil || *is.Kept != done.Kept || is.Totals.Done != done.Totals.Done || is.Totals.Bytes != done.Totals.Bytes || !is.Whole || len(is.Left) > 0 {
			t.Errorf("the run said %+v, and show %+v", done, is)
		}
		f.shown(t, &alone, "last", "--state", state)
		if alone.Kept != nil || !slices.Equal(alone.Removals, is.Removals) || len(alone.Steps) != len(is.Steps) {
			t.Errorf("without its store: %+v, with it %+v", alone, is)
		}
		for _, ext := range []string{".json", ".csv", ".md", ".html"} {
			if exit := f.run("show", "STORE", done.Run, "--report", filepath.Join(t.TempDir(), "r"+ext)); exit != 0 {
				t.Errorf("%s: exit %d, %s", ext, exit, f.errs.String())
			}
		}
		plan := filepath.Join(state, "runs", done.Run, "plan.jsonl")
		whole := read(t, plan)
		for _, other := range []string{"", strings.Replace(whole, `"op":"remove"`, `"op":"write"`, 1), "-"} {
			write(t, plan, other)
			if other == "-" {
				os.Remove(plan)
			}
			f.shown(t, &alone, "STORE", done.Run)
			if alone.Whole || !slices.Equal(alone.Removals, is.Removals) || f == onDisk && (len(alone.Steps) != len(is.Steps) || alone.Totals != is.Totals) {
				t.Errorf("without its plan: %+v, with it %+v", alone, is)
			}
		}
		write(t, plan, whole)
		if diff := before.Diff(snapshot(t, f.dir)); f == onDisk && len(diff) > 0 {
			t.Errorf("show changed %v", diff)
		}

		var second applied
		f.document(t, &second, "rm", "STORE", "web:v2", "--apply", "--yes", "--undo", "none")
		var third applied
		f.document(t, &third, "fix", "STORE", "--grace", "0", "--apply", "--yes", "--max-delete", "100%")
		f.shown(t, &is, "STORE", second.Run)
		if is.Run.CanUndo || is.Before != third.Run && third.Run != "" {
			t.Errorf("--undo none: %+v", is)
		}
		if third.Run != "" {
			f.run("undo", "STORE")
		}
		f.run("undo", "STORE")
		f.run("show", "STORE", done.Run)
		if text := f.out.String(); !strings.Contains(text, "UNDONE: ") || !strings.Contains(text, "It was undone.") || strings.Contains(text, "regfsck purge") {
			t.Errorf("undone:\n%s%s", text, f.errs.String())
		}
		var purged applied
		f.document(t, &purged, "rm", "STORE", "app", "--apply", "--yes")
		f.run("purge", "STORE", purged.Run, "--yes")
		f.run("show", "STORE", purged.Run)
		if text := f.out.String(); !strings.Contains(text, "; purged") || !strings.Contains(text, "It can't be undone: it was purged.") || !strings.Contains(text, "app  repository, 1 tag, 1 manifest") && !strings.Contains(text, "- app") {
			t.Errorf("purged:\n%s%s", text, f.errs.String())
		}
	}
}

// TestInterruptedRunsAreShown cuts the journal of a run after each line, and damages each:
// never more is shown than was done, and damage is reported.
func TestInterruptedRunsAreShown(t *testing.T) {
	f := newFix(t, twoImages())
	var done carried
	f.document(t, &done, "rm", "STORE", "app", "--apply", "--yes")
	path := filepath.Join(done.State, "runs", done.Run, "journal.jsonl")
	whole := read(t, path)
	lines := strings.SplitAfter(whole, "\n")
	lines = lines[:len(lines)-1]
	for n := 1; n <= len(lines); n++ {
		write(t, path, strings.Join(lines[:n], ""))
		var is pastRun
		f.shown(t, &is, "STORE", done.Run)
		receipts := strings.Count(strings.Join(lines[:n], ""), `{"receipt"`)
		if is.Totals.Done > receipts || is.Totals.Done != len(is.Steps) || is.Totals.Done+len(is.Left) != done.Totals.Done {
			t.Errorf("after %d lines, %d receipts: %+v", n, receipts, is)
		}
		if ended := is.Run.Status == "done"; ended != strings.Contains(strings.Join(lines[:n], ""), `{"end"`) {
			t.Errorf("after %d lines it is %s", n, is.Run.Status)
		}
		if n < len(lines) {
			damaged := slices.Clone(lines)
			damaged[n-1] = strings.Replace(damaged[n-1], `"`, `'`, 1)
			write(t, path, strings.Join(damaged, ""))
			f.run("show", "STORE", done.Run)
			if text := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(text, "The journal of this run is damaged: ") || strings.Contains(text, "DONE: ") {
				t.Errorf("line %d is damaged:\n%s%s", n, f.out.String(), f.errs.String())
			}
		}
	}
	write(t, path, whole)
	for args, want := range map[string]string{
		"show STORE " + done.Run[:len(done.Run)-1] + "x": "did you mean " + done.Run, "show nope --state STORE/.regfsck": "there is no run", "show nope --state STORE/nope": "can't be read",
		"show STORE " + done.Run + " more": "3 arguments were given", "show STORE ../runs/" + done.Run: "there is no run", "show ../runs/" + done.Run + " --state STORE/.regfsck": "there is no run",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
}

// TestNothingToDoButUnread: if there is nothing to do and something could not be read, or
// was changing, every form names it, says once that there is nothing to do, and agrees with
// the exit code.
func TestNothingToDoButUnread(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	repositories := filepath.Join(f.store, "docker/registry/v2/repositories")
	current := filepath.Join(repositories, "twin/_manifests/tags/a/current/link")
	body, err := os.ReadFile(current)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, note string
		before     func() error
	}{
		{"a symlink", "1 entry could not be read: docker/registry/v2/repositories/sym. Make what is there readable", func() error {
			return os.Symlink("/etc", filepath.Join(repositories, "sym"))
		}},
		{"an empty new link", "The store was changed while it was read, in 1 place: docker/registry/v2/repositories/twin/_manifests/tags/a/current/link.", func() error {
			return backend.Join(os.Remove(filepath.Join(repositories, "sym")), os.WriteFile(current, nil, 0o644), os.Chtimes(current, f.now(), f.now()))
		}},
		{"nothing", "", func() error { return os.WriteFile(current, body, 0o644) }},
	} {
		if err := c.before(); err != nil {
			t.Fatal(err)
		}
		want, saved := 8, filepath.Join(f.dir, "run.json")
		if c.note == "" {
			want = 0
		}
		has := func(text string) bool {
			return c.note == "" || strings.Contains(strings.Join(strings.Fields(text), " "), c.note)
		}
		for _, args := range []string{"", "--apply --yes", "--apply --yes --report " + saved} {
			exit := f.run(strings.Fields("fix STORE --no-wait --only blob-orphan " + args)...)
			if n := strings.Count(f.out.String(), "NOTHING TO DO"); exit != want || n != 1 || !has(f.out.String()) {
				t.Errorf("%s, %q: exit %d, %d times, %s%s", c.name, args, exit, n, f.out.String(), f.errs.String())
			}
		}
		if f.run("show", saved); strings.Count(f.out.String(), "NOTHING TO DO") != 1 || !has(f.out.String()) {
			t.Errorf("%s: show says %s%s", c.name, f.out.String(), f.errs.String())
		}
		var doc struct {
			Complete bool
			Notes    []string
			Exit     struct{ Code int }
		}
		f.run("fix", "STORE", "--no-wait", "--only", "blob-orphan", "--json")
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil || doc.Complete != (want == 0) || doc.Exit.Code != want || !has(strings.Join(doc.Notes, " ")) {
			t.Errorf("%s: %v, %+v", c.name, err, doc)
		}
	}
}
