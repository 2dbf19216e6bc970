package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
)

// pruned is the part of a plan of retention that tests look into.
type pruned struct {
	planned
	Notes []string
	Going struct {
		Blobs, Tags, Manifests int
		Bytes                  int64
	}
	Tags []verdict
}

// verdict is what becomes of a tag, or of a manifest without one.
type verdict struct {
	Repository, Tag, Digest string
	Keep                    bool
	Rules                   []string
	Why, Subject            string
	Date, By, Note          string
}

// reason is why it stays or goes.
func (v verdict) reason() string { return strings.Join(append(slices.Clone(v.Rules), v.Why), "; ") }

// prune plans and returns the document.
func (f *fake) prune(t *testing.T, flags ...string) (p pruned) {
	t.Helper()
	f.document(t, &p, append([]string{"prune", "STORE"}, flags...)...)
	return p
}

// going are the names of what goes: "repo:tag", or "repo@digest".
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

// of returns the verdict on a tag, or on a manifest by its digest.
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

// aged returns a store whose tags were pushed a month apart: v0 to v5 in team/app,
// of which latest is v2 and v0 and v5 are signed, and v0 to v2 in other, which
// shares v0's layers.
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
		{"--keep-within", "45d", "--exclude-repo", "other"}, {"--keep-last", "2", "--untagged"},
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
		if err := os.RemoveAll(filepath.Join(f.store, stateName)); err != nil {
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
