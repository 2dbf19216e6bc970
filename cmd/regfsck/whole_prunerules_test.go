package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
)

// TestPruneIsAsRead compares what a plan of retention says with testdata.
func TestPruneIsAsRead(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	store := f.store + strings.Repeat("x", 150-len(f.store)) // columns depend on its length
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

// TestPruneSaysOfEachTag which rule keeps it, or why it goes.
func TestPruneSaysOfEachTag(t *testing.T) {
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
	if v := p.of(t, gone); v.Keep || v.Subject != app[0].Digest.String() || v.Why != "goes with "+app[0].Digest.String() {
		t.Errorf("%s: %+v", gone, v)
	}
	if v := p.of(t, stays); !v.Keep || v.Subject != app[5].Digest.String() {
		t.Errorf("%s: %+v", stays, v)
	}
	if len(p.Tags) != len(want)+2 || p.Going.Tags != 6 {
		t.Errorf("%d verdicts, %d tags go", len(p.Tags), p.Going.Tags)
	}
}

// signature is the tag that Cosign gives.
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
		"--keep-tags v[13] --may-remove ** --time created":     "- keep-tags: [\"v[13]\"]\n  may-remove: \"**\"\n  time: created\n",
		"--keep-last 1 --may-remove latest --may-remove v[45]": "- {keep-last: 1, may-remove: [latest, \"v[45]\"]}\n",
	} {
		byFlags, byFile := f.prune(t, strings.Fields(flags)...), f.prune(t, file(text)...)
		if byFlags.Plan != byFile.Plan || len(byFlags.Steps) == 0 {
			t.Errorf("%s: %s, in a file %s; %d steps", flags, byFlags.Plan, byFile.Plan, len(byFlags.Steps))
		}
	}
	// The first rule that matches a repository is its only one.
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
	b.Cosign(b.Tagged("other", "v1"), "sig") // newer than all, and nobody's newest
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
		if len(p.going()) > 0 || len(p.Steps) > 0 || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "No rule says which tags stay") }) {
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
		"--keep-last 1 --policy DIR/policy.yml":    "either in the file or in flags",
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
