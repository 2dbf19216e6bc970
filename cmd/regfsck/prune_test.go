package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// pruned is a part of the document of a prune's plan.
type pruned struct {
	planned
	Notes []string
	Going struct {
		Blobs, Tags, Manifests int
		Bytes                  int64
	}
	Tags []verdict
}

// verdict is the decision on a tag or untagged manifest.
type verdict struct {
	Repository, Tag, Digest string
	Keep                    bool
	Rules                   []string
	Why, Subject            string
	Date, By, Note          string
}

// reason returns why it is kept or removed.
func (v verdict) reason() string { return strings.Join(append(slices.Clone(v.Rules), v.Why), "; ") }

// prune plans and returns the document.
func (f *fake) prune(t *testing.T, flags ...string) (p pruned) {
	t.Helper()
	f.document(t, &p, append([]string{"prune", "STORE"}, flags...)...)
	return p
}

// going returns what is removed: "repo:tag", or "repo@digest".
func (p pruned) going() []string { return p.names(false) }

func (p pruned) names(keep bool) []string {
	names := []string{}
	for _, v := range p.Tags {
		if v.Keep != keep {
			continue
		}
		if names = append(names, v.Repository+":"+v.Tag); v.Tag == "" {
			names[len(names)-1] = v.Repository + "@" + v.Digest
		}
	}
	slices.Sort(names)
	return names
}

// of returns the verdict on a tag, or on a manifest by digest.
func (p pruned) of(t *testing.T, name string) verdict {
	t.Helper()
	for _, v := range p.Tags {
		if v.Repository+":"+v.Tag == name || v.Tag == "" && v.Repository+"@"+v.Digest == name {
			return v
		}
	}
	t.Fatalf("nothing is said of %s", name)
	return verdict{}
}

// aged returns a store with tags pushed a month apart: v0 to v5 in team/app, where latest is
// v2 and v0 and v5 are signed, and v0 to v2 in other, which shares v0's layers.
func aged() (*fixtures.Builder, []fixtures.Manifest) {
	b := fixtures.New(1)
	var app []fixtures.Manifest
	for i := range 6 {
		b.SetClock(fixtures.Epoch.AddDate(0, i, 0))
		app = append(app, b.Image("team/app", "v"+string(rune('0'+i)), fixtures.Image{}))
		if i == 2 {
			b.Tag("team/app", "latest", app[2].Digest)
		}
		if i < 3 {
			b.Image("other", "v"+string(rune('0'+i)), fixtures.Image{Shared: app[0].Blobs[1:]})
		}
	}
	b.Cosign(app[0], "sig")
	b.Cosign(app[5], "sig")
	return b, app
}

func TestPruneIsPlannedCarriedOutAndUndone(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	whole, before := snapshot(t, f.store), f.content(t)
	for _, flags := range [][]string{
		{"--keep-last", "1"}, {"--keep-monthly", "2", "--repo", "team/*"}, {"--keep-tags", "^v[12]$", "--may-remove", "**"},
		{"--keep-within", "45d", "--exclude-repo", "other"}, {"--keep-newer-than", "30d"}, {"--keep-last", "2", "--untagged"},
	} {
		p := f.prune(t, flags...)
		if diff := whole.Diff(snapshot(t, f.store)); len(diff) > 0 {
			t.Fatalf("%q: a dry run changed\n%s", flags, strings.Join(diff, "\n"))
		}
		if p.Schema != "regfsck.dry-run/1" || len(p.Steps) == 0 || len(p.Refusals) > 0 || p.Exit.Code != 0 {
			t.Errorf("%q: %+v", flags, p.planned)
		}
		var a applied
		if exit := f.document(t, &a, slices.Concat([]string{"prune", "STORE", "--apply", "--yes"}, flags)...); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
			t.Errorf("%q: exit %d, %+v; %d steps were planned\n%s", flags, exit, a, len(p.Steps), f.errs.String())
		}
		is := f.content(t)
		for _, s := range p.Steps {
			if _, there := is[s.Key]; there && s.Op == "remove" && s.Kind != "folder" {
				t.Errorf("%q: %s is still there", flags, s.Key)
			}
		}
		if again := f.prune(t, flags...); len(again.Steps) > 0 {
			t.Errorf("%q: a second run has %+v to do", flags, again.Steps)
		}
		if exit := f.run("check", "STORE", "--fail-on", "garbage"); exit != 0 {
			t.Errorf("%q: the check afterwards says %d:\n%s", flags, exit, f.out.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("%q: undo says %d, %s", flags, exit, f.errs.String())
		}
		f.untouched(t, "undone", before)
		if err := os.RemoveAll(filepath.Join(f.store, outside.StateName)); err != nil {
			t.Fatal(err)
		}
		whole = snapshot(t, f.store)
	}
}

func TestASavedPruneIsCarriedOut(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	before := f.content(t)
	p := f.prune(t, "--keep-last", "1", "--save-plan", "DIR/p")
	var a applied
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes"); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "undone", before)
}

// TestASavedPruneNeedsWhatItKeeps: a saved plan is refused if a tag that its rules kept is missing
// from a repository in which it removes something. Others don't matter.
func TestASavedPruneNeedsWhatItKeeps(t *testing.T) {
	for missing, refused := range map[string]bool{"team/app/_manifests/tags/v5": true, "other/_manifests/tags/v2": true, "last/_manifests/tags/v1": false} {
		b, _ := aged()
		b.Image("last", "v1", fixtures.Image{})
		b.Image("other", "no:tag", fixtures.Image{})
		f := newFix(t, b)
		f.prune(t, "--keep-last", "1", "--save-plan", "DIR/p")
		if err := os.RemoveAll(filepath.Join(f.store, layout.Repositories, missing)); err != nil {
			t.Fatal(err)
		}
		before := f.content(t)
		exit := f.run("apply", "DIR/p", "--yes")
		if !refused && exit != 0 || refused && (exit != 64 || !strings.Contains(f.errs.String(), "1 tag that its rules keep is missing")) {
			t.Errorf("%s: exit %d, %s", missing, exit, f.errs.String())
		}
		if refused {
			f.untouched(t, missing, before)
		}
	}
}

// TestPruneIsAsRead compares the text of a prune with testdata.
func TestPruneIsAsRead(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	store := f.store + strings.Repeat("x", 250-len(f.store)) // columns depend on the path's length
	if err := os.Rename(f.store, store); err != nil {
		t.Fatal(err)
	}
	f.store = store
	for _, c := range []struct{ name, args string }{
		{"last", "prune STORE --keep-last 1 --no-progress"},
		{"nothing", "prune STORE --keep-tags . --no-progress"},
		{"idle", "prune STORE --no-progress"},
		{"apply", "prune STORE --keep-monthly 2 --time created --apply --yes --no-progress"},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != 0 {
			t.Errorf("%s: exit %d, %s", c.name, exit, f.errs.String())
		}
		text := strings.ReplaceAll(f.out.String(), f.store, "STORE")
		text = durations.ReplaceAllString(text, "  0 ms")
		text = space.ReplaceAllString(runIDs.ReplaceAllString(text, "RUN"), "SPACE $1")
		sameText(t, filepath.Join("testdata", "prune", c.name+".txt"), text)
	}
}

// TestPruneReasons: each tag has the rule that keeps it, or why it is removed.
func TestPruneReasons(t *testing.T) {
	b, app := aged()
	f := newFix(t, b)
	p := f.prune(t, "--keep-last", "1", "--keep-tags", "^v1")
	want := map[string]string{
		"other:v0":        "not kept by keep-last 1 (3rd); keep-tags ^v1",
		"other:v1":        "keep-tags ^v1",
		"other:v2":        "keep-last 1 (1st); newest",
		"team/app:latest": "latest",
		"team/app:v0":     "not kept by keep-last 1 (6th); keep-tags ^v1",
		"team/app:v1":     "keep-tags ^v1",
		"team/app:v2":     "not kept by keep-last 1 (4th); keep-tags ^v1",
		"team/app:v3":     "not kept by keep-last 1 (3rd); keep-tags ^v1",
		"team/app:v4":     "not kept by keep-last 1 (2nd); keep-tags ^v1",
		"team/app:v5":     "keep-last 1 (1st); newest",
	}
	for name, why := range want {
		v := p.of(t, name)
		if got := strings.Trim(v.reason(), "; "); got != why || v.Keep == strings.HasPrefix(why, "not") || v.By != "pushed" || v.Date == "" || v.Digest == "" {
			t.Errorf("%s: %q, %+v", name, got, v)
		}
	}
	gone, stays := signature(app[0]), signature(app[5])
	if v := p.of(t, gone); v.Keep || v.Subject != app[0].Digest.String() || v.Why != "removed with "+app[0].Digest.String() {
		t.Errorf("%s: %+v", gone, v)
	}
	if v := p.of(t, stays); !v.Keep || v.Subject != app[5].Digest.String() {
		t.Errorf("%s: %+v", stays, v)
	}
	if len(p.Tags) != len(want)+2 || p.Going.Tags != 6 {
		t.Errorf("%d verdicts, %d tags go", len(p.Tags), p.Going.Tags)
	}
}

// signature returns the tag of Cosign.
func signature(m fixtures.Manifest) string {
	return m.Repository + ":" + fixtures.FallbackTag(m.Digest) + ".sig"
}

func TestPruneByFlagsAndByFile(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	file := func(text string) []string {
		write(t, filepath.Join(f.dir, "policy.yml"), "version: 1\nrules:\n"+text)
		return []string{"--policy", "DIR/policy.yml"}
	}
	for flags, text := range map[string]string{
		"--keep-last 2":                                        "- keep-last: 2\n",
		"--keep-monthly 3 --repo team/*":                       "- {repo: team/*, keep-monthly: 3}\n",
		"--keep-within 40d --exclude-repo other":               "- {keep-within: 40d, exclude-repo: [other]}\n",
		"--keep-newer-than 15mo --may-remove v*":               "- {keep-newer-than: 15mo, may-remove: v*}\n",
		"--keep-tags v[13] --may-remove ** --time created":     "- keep-tags: [\"v[13]\"]\n  may-remove: \"**\"\n  time: created\n",
		"--keep-last 1 --may-remove latest --may-remove v[45]": "- {keep-last: 1, may-remove: [latest, \"v[45]\"]}\n",
	} {
		byFlags, byFile := f.prune(t, strings.Fields(flags)...), f.prune(t, file(text)...)
		if byFlags.Plan != byFile.Plan || len(byFlags.Steps) == 0 {
			t.Errorf("%s: %s, in a file %s; %d steps", flags, byFlags.Plan, byFile.Plan, len(byFlags.Steps))
		}
	}
	// Only the first rule that matches a repository applies.
	for text, want := range map[string]string{
		"- {repo: team/*, keep-tags: [\"^v[34]$\"]}\n- {keep-last: 1}\n":                     "other:v0 other:v1 team/app:v0 team/app:v1 team/app:v2",
		"- {repo: other, keep-last: all}\n- {keep-tags: [^v3]}\n":                            "team/app:v0 team/app:v1 team/app:v2 team/app:v4",
		"- {repo: \"**\", exclude-repo: other, keep-last: all}\n- {keep-tags: [^v1]}\n":      "other:v0",
		"- {repo: nobody, keep-last: 1}\n":                                                   "",
		"- {repo: other}\n- {repo: other, keep-last: 1}\n- {repo: none/*, keep-tags: [x]}\n": "",
	} {
		p := f.prune(t, file(text)...)
		names := slices.DeleteFunc(p.going(), func(name string) bool { return strings.Contains(name, ":sha256-") })
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s goes %q, want %q", text, got, want)
		}
	}
}

func TestPruneKeepsLatestAndTheNewest(t *testing.T) {
	b, _ := aged()
	b.SetClock(fixtures.Epoch.AddDate(0, 9, 0))
	b.Cosign(b.Tagged("other", "v1"), "sig") // newer than all, but not the newest tag
	f := newFix(t, b)
	for flags, want := range map[string]string{
		"--keep-tags ^v0":                         "other:v1 team/app:v1 team/app:v2 team/app:v3 team/app:v4",
		"--keep-tags ^v0 --may-remove latest":     "other:v1 team/app:latest team/app:v1 team/app:v2 team/app:v3 team/app:v4",
		"--keep-tags ^v0 --may-remove v5":         "other:v1 team/app:v1 team/app:v2 team/app:v3 team/app:v5",
		"--keep-tags ^v0 --may-remove **":         "other:v1 other:v2 team/app:latest team/app:v1 team/app:v2 team/app:v3 team/app:v4 team/app:v5",
		"--keep-tags nothing --repo other":        "other:v0 other:v1",
		"--keep-tags nothing --exclude-repo team": "other:v0 other:v1 team/app:v0 team/app:v1 team/app:v2 team/app:v3 team/app:v4",
		"--keep-tags nothing --exclude-repo */*":  "other:v0 other:v1",
	} {
		p := f.prune(t, strings.Fields(flags)...)
		names := slices.DeleteFunc(p.going(), func(name string) bool { return strings.Contains(name, ":sha256-") })
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: goes %q, want %q", flags, got, want)
		}
	}
}

func TestPruneWithoutRules(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	for _, flags := range [][]string{nil, {"--repo", "other"}, {"--time", "created", "--may-remove", "**"}} {
		p := f.prune(t, flags...)
		if len(p.going()) > 0 || len(p.Steps) > 0 || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "Without a rule all tags are kept") }) {
			t.Errorf("%q: %q goes, notes %q", flags, p.going(), p.Notes)
		}
	}
	before := f.content(t)
	for args, want := range map[string]string{
		"--keep-last 0":                            "keep-last 0 alone keeps nothing",
		"--keep-within 3m":                         "could be minutes or months",
		"--keep-last -1":                           "neither a number",
		"--keep-tags (":                            "missing closing",
		"--time modified":                          "pushed or created",
		"--keep-last 1 --policy DIR/policy.yml":    "either in the file or as flags",
		"--policy DIR/nowhere.yml":                 "nowhere.yml",
		"--keep-last 1 --repo a//b":                "slash",
		"--keep-last 1 --also tag-dangling":        "there is no flag --also",
		"--keep-last 1 --apply --yes --max-delete": "--max-delete needs a value",
	} {
		if exit := f.run(append([]string{"prune", "STORE"}, strings.Fields(args)...)...); exit != 16 || !strings.Contains(f.errs.String(), want) {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
	f.untouched(t, "after all that", before)
}

// BenchmarkTags measures plans of retention and lists of tags by the number of tags of a
// repository: they grow as sorting does. The store is in memory, so only the program is
// measured.
func BenchmarkTags(b *testing.B) {
	for _, n := range []int{10_000, 30_000, 100_000} {
		var store *fixtures.Memory
		for _, command := range []string{
			"prune STORE --keep-daily 30 --keep-last 100",
			"prune STORE --keep-monthly 12 --time created --keep-untagged-within 30d",
			"ls STORE " + fixtures.TagsRepository,
		} {
			b.Run(fmt.Sprintf("%s/tags=%d", strings.ReplaceAll(command, " ", "_"), n), func(b *testing.B) {
				if store == nil {
					store = fixtures.Tags(1, n).Memory()
				}
				f := newFake(b)
				f.check = func(ctx context.Context, _ backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
					return check.Store(ctx, store, o)
				}
				b.ReportAllocs()
				for b.Loop() {
					if exit := f.run(append(strings.Fields(command), "--json", "--no-progress")...); exit != 0 {
						b.Fatalf("exit %d, %s", exit, f.errs.String())
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/tag")
			})
		}
	}
}
