package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// tallied is the counts of a document.
type tallied struct {
	Totals struct {
		Reclaimable int64 `json:"reclaimable_bytes"`
		Done        int
		Bytes       int64
	}
	Going struct {
		Blobs, Manifests, Tags, Repositories int
		Bytes                                int64
	}
	Sums []struct {
		Sign, Finding string
		Count         int
		Bytes         int64
	}
	Refusals []struct{ Why string }
	Steps    []planStep
	Counts   map[string]struct {
		Count, Done int
		Bytes       int64
	}
}

// amount is the number and bytes of objects of a kind.
type amount struct {
	things int
	bytes  int64
}

// numbers returns the amounts in a document of a check, a plan or a run.
func (d tallied) numbers(of string) map[string]amount {
	all := map[string]amount{}
	for _, s := range d.Sums {
		if of == "plan" && s.Sign == "-" {
			all[s.Finding] = amount{s.Count, s.Bytes}
		}
	}
	for id, c := range d.Counts {
		switch {
		case of == "check":
			all[id] = amount{c.Count, c.Bytes}
		case of == "run":
			all[id] = amount{c.Done, c.Bytes}
		}
	}
	return all
}

// TestEqualNumbers: a check, the plan of a fix, its run and its undo have the same counts and
// bytes.
func TestEqualNumbers(t *testing.T) {
	b := damaged("blob-orphan", "layer-link-unreferenced", "layer-link-dangling", "tag-history-stale", "repo-empty", "upload-stale", "folder-empty", "signature-legacy")
	f := newFix(t, b)
	var check, plan, run, undo tallied
	f.document(t, &check, "check", "STORE")
	f.document(t, &plan, "fix", "STORE")
	f.document(t, &run, "fix", "STORE", "--apply", "--yes")
	f.document(t, &undo, "undo", "STORE")
	want := check.numbers("check")
	maps.DeleteFunc(want, func(id string, n amount) bool { return n.things == 0 || id == "foreign-file" })
	if len(want) < 8 || want["repo-empty"].things != 1 {
		t.Fatalf("%+v", want)
	}
	for name, got := range map[string]map[string]amount{"plan": plan.numbers("plan"), "run": run.numbers("run"), "undo": undo.numbers("run")} {
		if !maps.Equal(got, want) {
			t.Errorf("%s: %+v, and the check says %+v", name, got, want)
		}
	}
	if check.Totals.Reclaimable != plan.Going.Bytes || run.Totals.Bytes != plan.Going.Bytes || run.Totals.Done != len(plan.Steps) {
		t.Errorf("%d could be freed, %d go in %d steps, %d went in %d", check.Totals.Reclaimable, plan.Going.Bytes, len(plan.Steps), run.Totals.Bytes, run.Totals.Done)
	}
}

// TestATagIsOne: a tag counts once with its history, and a removed repository with its
// content.
func TestATagIsOne(t *testing.T) {
	build := func() *fixtures.Builder {
		b := fixtures.New(1)
		for range 3 {
			b.Image("app", "latest", fixtures.Image{})
		}
		b.Image("app", "other", fixtures.Image{})
		b.Image("kept", "v1", fixtures.Image{})
		return b
	}
	for ref, want := range map[string]struct {
		finding      string
		tags         int
		repositories int
	}{"app:latest": {"tag-removed", 1, 0}, "app": {"repository-removed", 2, 1}} {
		f := newFix(t, build())
		var plan, run, undo tallied
		f.document(t, &plan, "rm", "STORE", ref)
		f.document(t, &run, "rm", "STORE", ref, "--apply", "--yes")
		f.document(t, &undo, "undo", "STORE")
		for name, got := range map[string]map[string]amount{"plan": plan.numbers("plan"), "run": run.numbers("run"), "undo": undo.numbers("run")} {
			if got[want.finding].things != 1 {
				t.Errorf("%s: %s: %+v", ref, name, got)
			}
		}
		if plan.Going.Tags != want.tags || plan.Going.Repositories != want.repositories {
			t.Errorf("%s: %+v", ref, plan.Going)
		}
		if !maps.Equal(plan.numbers("plan"), run.numbers("run")) || !maps.Equal(plan.numbers("plan"), undo.numbers("run")) {
			t.Errorf("%s: planned %+v, done %+v, undone %+v", ref, plan.numbers("plan"), run.numbers("run"), undo.numbers("run"))
		}
	}
}

// TestGuardAndTableCountAlike: a repository that is kept because of foreign files isn't
// counted as removed, in the table or by the guard.
func TestGuardAndTableCountAlike(t *testing.T) {
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{})
	only := layout.RepositoryKey("only")
	b.Mkdir(only + "/_uploads")
	b.Put(only+"/_manifests/notes.txt", []byte("somebody's"))
	b.Put(only+"/_layers/notes.txt", []byte("somebody's"))
	f := newFix(t, b)
	var plan tallied
	f.document(t, &plan, "fix", "STORE", "--max-delete", "0%")
	refused := slices.ContainsFunc(plan.Refusals, func(r struct{ Why string }) bool { return strings.Contains(r.Why, "repositories would be removed") })
	if refused != (plan.Going.Repositories > 0) {
		t.Errorf("%d repositories go, and it is refused: %+v", plan.Going.Repositories, plan.Refusals)
	}
	f.run("fix", "STORE", "--max-delete", "0%")
	row := ""
	for line := range strings.Lines(f.out.String()) {
		if words := strings.Fields(line); len(words) == 5 && words[0] == "repositories" {
			row = words[1]
		}
	}
	if shown := row != "0" && row != ""; shown != refused {
		t.Errorf("the table shows %q, and it is refused: %v\n%s", row, refused, f.out.String())
	}
}

// TestOnePinOneSentence: ls and rm describe a pin with the same sentence.
func TestOnePinOneSentence(t *testing.T) {
	b := fixtures.New(1)
	b.Image("pin", "bad", fixtures.Image{})
	b.Image("pin", "bad", fixtures.Image{})
	b.Image("pin", "good", fixtures.Image{})
	b.Put(layout.CurrentKey("pin", "bad"), nil)
	f := newFix(t, b)
	var list struct{ Pinned string }
	f.document(t, &list, "ls", "STORE", "pin")
	if !strings.Contains(list.Pinned, "bad") {
		t.Fatalf("%+v", list)
	}
	var plan struct{ Refusals []struct{ Why string } }
	good := ""
	for _, key := range b.Keys() {
		if key == layout.CurrentKey("pin", "good") {
			file, _ := b.File(key)
			good = string(file.Body)
		}
	}
	f.document(t, &plan, "rm", "STORE", "pin@"+good)
	f.run("rm", "STORE", "pin:good")
	said := strings.Join(strings.Fields(f.out.String()), " ")
	for _, r := range plan.Refusals {
		said += " " + r.Why
	}
	if !strings.Contains(said, list.Pinned) {
		t.Errorf("ls says %q, and rm: %s", list.Pinned, said)
	}
}

// TestAllListsOfBrokenTagsAgree: the headline and list of check, ls --broken as text and CSV,
// and both documents have the same broken tags, and the same unknown ones with reasons.
func TestAllListsOfBrokenTagsAgree(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	broken, unknown := 0, 0
	for _, d := range fixtures.Damages() {
		b := fixtures.Standard()
		d.Apply(b)
		f.rewrite(t, b)
		if d.Disk != nil {
			if err := d.Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}
		is, not := f.listsAgree(t, d.ID+"/"+d.Name)
		broken, unknown = broken+is, unknown+not
	}
	whole := fixtures.Standard()
	f.rewrite(t, whole)
	for _, ref := range [][2]string{{"base", "stable"}, {"lists", "deep"}, {"app", "latest"}} {
		m := whole.Tagged(ref[0], ref[1])
		for _, key := range []string{m.Key(), layout.CurrentKey(ref[0], ref[1]), m.RevisionKey()} {
			f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
				return check.Store(ctx, fixtures.NewFaulty(r, func(_ int, _ fixtures.Op, at string) fixtures.Wrong {
					if at == key {
						return fixtures.Fail
					}
					return fixtures.Right
				}), o)
			}
			is, not := f.listsAgree(t, "unreadable "+key)
			broken, unknown = broken+is, unknown+not
		}
	}
	if broken < 20 || unknown < 5 {
		t.Errorf("only %d broken and %d unknown tags were compared", broken, unknown)
	}
}

// listsAgree compares the lists of the tags of STORE, and returns the numbers of broken and
// unknown ones.
func (f *fake) listsAgree(t *testing.T, name string) (broken, unknown int) {
	t.Helper()
	type tag struct {
		Ref     string
		Because []struct{ ID, Path string }
	}
	type document struct {
		Totals struct {
			Broken  int `json:"tags_broken"`
			Unknown int `json:"tags_unknown"`
			Tags    int
		}
		Broken  []tag `json:"broken_tags"`
		Unknown []tag `json:"unknown_tags"`
	}
	var checked, listed document
	f.document(t, &checked, "check", "STORE")
	f.document(t, &listed, "ls", "STORE", "--broken")
	refs := func(tags []tag) (all []string) {
		for _, t := range tags {
			all = append(all, t.Ref)
		}
		return all
	}
	is, not := refs(checked.Broken), refs(checked.Unknown)
	if len(is) != checked.Totals.Broken || len(not) != checked.Totals.Unknown {
		t.Errorf("%s: the totals say %d and %d, the lists %q and %q", name, checked.Totals.Broken, checked.Totals.Unknown, is, not)
	}
	if fmt.Sprint(checked.Broken, checked.Unknown) != fmt.Sprint(listed.Broken, listed.Unknown) {
		t.Errorf("%s: check says\n%v\n%v\nand ls\n%v\n%v", name, checked.Broken, checked.Unknown, listed.Broken, listed.Unknown)
	}
	for _, tag := range slices.Concat(checked.Broken, checked.Unknown) {
		if len(tag.Because) == 0 || slices.ContainsFunc(tag.Because, func(why struct{ ID, Path string }) bool {
			return why.ID == "" || !strings.HasPrefix(why.Path, "docker/")
		}) {
			t.Errorf("%s: the reasons of %s are %q", name, tag.Ref, tag.Because)
		}
	}

	f.run("check", "STORE", "--no-progress")
	text := f.out.String()
	head, _, _ := strings.Cut(text, "\nFATAL")
	head, _, _ = strings.Cut(head, "\nERRORS")
	want := slices.Concat(is, not)
	if got := namedIn(head); !slices.Equal(got, want) {
		t.Errorf("%s: the text lists %q, want %q\n%s", name, got, want, head)
	}
	for _, headline := range []struct {
		tags int
		said *regexp.Regexp
	}{
		{len(is), regexp.MustCompile(`(?m)^([\d,]+) of [\d,]+ tags? can't be pulled$`)},
		{len(not), regexp.MustCompile(`(?m)^([\d,]+)(?: of [\d,]+| more) tags? could not be judged`)},
	} {
		if m := headline.said.FindStringSubmatch(head); headline.tags == 0 != (m == nil) || m != nil && m[1] != strconv.Itoa(headline.tags) {
			t.Errorf("%s: %d tags are said to be %q in\n%s", name, headline.tags, m, head)
		}
	}

	f.run("ls", "STORE", "--broken", "--no-progress")
	if got := namedIn(f.out.String()); !slices.Equal(got, want) {
		t.Errorf("%s: ls lists %q, want %q", name, got, want)
	}
	path := filepath.Join(f.dir, "broken.csv")
	f.run("ls", "STORE", "--broken", "--report", path, "--no-progress")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 1+len(want) {
		t.Fatalf("%s: %v, %d rows", name, err, len(rows))
	}
	for i, row := range rows[1:] {
		state := map[bool]string{true: "broken", false: "unknown"}[i < len(is)]
		if row[0]+":"+row[1] != want[i] || row[3] != state {
			t.Errorf("%s: row %q, want %s %s", name, row, want[i], state)
		}
	}
	return len(is), len(not)
}

// ofTag matches a line with a tag, and maybe its outlook.
var ofTag = regexp.MustCompile(`(?m)^  (\S+:\S+)(?:$|  )`)

func namedIn(text string) (refs []string) {
	for _, m := range ofTag.FindAllStringSubmatch(text, -1) {
		refs = append(refs, m[1])
	}
	return refs
}

// TestAffectedTags: a finding has the first tags that it blocks, or all with the flag; plan
// and exit code don't change.
func TestAffectedTags(t *testing.T) {
	const tags = 37
	b := fixtures.New(1)
	lost := b.Image("app", "t00", fixtures.Image{}).Blobs[1]
	for i := 1; i < tags; i++ {
		b.Image("app", fmt.Sprintf("t%02d", i), fixtures.Image{Shared: []fixtures.Descriptor{lost}, Layers: []int{}})
	}
	b.Erase(lost.Key())
	f := newFix(t, b)
	type harm struct {
		Plan     string
		Findings []struct {
			ID      string
			Affects []string
			Count   int `json:"affects_count"`
		}
	}
	for _, command := range []string{"check", "fix"} {
		var first, all harm
		exit := f.document(t, &first, command, "STORE", "--report", "DIR/first.csv")
		if again := f.document(t, &all, command, "STORE", "--all-affects", "--report", "DIR/all.csv"); again != exit || all.Plan != first.Plan {
			t.Errorf("%s: exit %d and %d, plans %q and %q", command, exit, again, first.Plan, all.Plan)
		}
		for i, is := range all.Findings {
			if is.ID != "blob-missing" {
				continue
			}
			if is.Count != tags || len(is.Affects) != tags || len(first.Findings[i].Affects) != 10 || !slices.Equal(is.Affects[:10], first.Findings[i].Affects) || is.Affects[tags-1] != "app:t36" {
				t.Errorf("%s: %+v, and by itself %+v", command, is, first.Findings[i])
			}
		}
		if command == "check" && (!strings.Contains(read(t, f.dir+"/all.csv"), "app:t36") || strings.Contains(read(t, f.dir+"/first.csv"), "app:t36")) {
			t.Errorf("the CSV reads\n%s", read(t, f.dir+"/all.csv"))
		}
	}
}
