package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
)

// loose returns a store with manifests without a tag, half of them pushed in the
// year before now: an old index and its child, a young index whose child is old,
// an old and a young image, and an old signature of each of the two images.
func loose(now time.Time) (b *fixtures.Builder, m map[string]fixtures.Manifest) {
	b, m = fixtures.New(1), map[string]fixtures.Manifest{}
	b.Image("app", "v1", fixtures.Image{})
	for _, name := range []string{"old child", "kept child", "old", "young"} {
		m[name] = b.Image("app", "", fixtures.Image{})
	}
	m["old index"] = b.Index("app", "", m["old child"])
	m["of old"], m["of young"] = b.Referrer(m["old"], "x/sig"), b.Referrer(m["young"], "x/sig")
	b.SetClock(now.AddDate(0, 0, -3))
	b.Touch(m["young"].RevisionKey(), b.Now())
	m["young index"] = b.Index("app", "", m["kept child"])
	return b, m
}

func TestPruneOfWhatHasNoTag(t *testing.T) {
	now := time.Now().AddDate(1, 0, 0) // as newFix has it
	b, m := loose(now)
	f := newFix(t, b)
	before := f.content(t)
	for flags, want := range map[string][]string{
		"--keep-untagged-within 30d":               {"old child", "old index", "old", "of old"},
		"--keep-untagged-within 30d --untagged":    {"old child", "old index", "old", "of old"},
		"--keep-untagged-within 30d --keep-last 1": {"old child", "old index", "old", "of old"},
		"--keep-untagged-within 1d":                {"old child", "old index", "old", "of old", "kept child", "young", "young index", "of young"},
		"--untagged --keep-tags .":                 {"old child", "old index", "old", "of old", "kept child", "young", "young index", "of young"},
		"--keep-untagged-within 9y":                nil,
		"--keep-last 1":                            nil,
		"--keep-untagged-within 1d --repo none":    nil,
	} {
		p := f.prune(t, strings.Fields(flags)...)
		names := []string{}
		for _, name := range want {
			names = append(names, "app@"+m[name].Digest.String())
		}
		slices.Sort(names)
		if got := p.going(); !slices.Equal(got, names) || len(p.Refusals) > 0 || p.Going.Manifests != len(want) {
			t.Errorf("%s: goes %q, want %q; %d manifests, refusals %+v", flags, got, names, p.Going.Manifests, p.Refusals)
		}
		if len(want) == 0 {
			continue
		}
		var a applied
		if exit := f.document(t, &a, append([]string{"prune", "STORE", "--apply", "--yes"}, strings.Fields(flags)...)...); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
			t.Errorf("%s: exit %d, %+v, %s", flags, exit, a, f.errs.String())
		}
		if exit := f.run("check", "STORE", "--fail-on", "warning"); exit != 0 {
			t.Errorf("%s: the check afterwards says %d\n%s", flags, exit, f.out.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("%s: undo: %d, %s", flags, exit, f.errs.String())
		}
		f.untouched(t, flags, before)
	}
	p := f.prune(t, "--keep-untagged-within", "30d")
	for name, want := range map[string]string{
		"young": "keep-untagged-within 30d", "young index": "keep-untagged-within 30d", "old": "not kept by keep-untagged-within 30d",
		"kept child": "something that stays leads to it", "of young": "something that stays leads to it",
	} {
		if got := strings.Trim(p.of(t, "app@"+m[name].Digest.String()).reason(), "; "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPruneLeavesAPushAlone: what was pushed within the grace may still get its
// tag, and --untagged doesn't name it.
func TestPruneLeavesAPushAlone(t *testing.T) {
	now := time.Now().AddDate(1, 0, 0)
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{})
	old := b.Image("app", "", fixtures.Image{})
	part := b.Image("app", "", fixtures.Image{})
	b.Referrer(part, "x/sig")
	b.SetClock(now.Add(-10 * time.Minute))
	fresh := b.Index("app", "", part)
	f := newFix(t, b)
	p := f.prune(t, "--untagged")
	if got := p.going(); !slices.Equal(got, []string{"app@" + old.Digest.String()}) || p.Going.Manifests != 1 || len(p.Refusals) > 0 {
		t.Errorf("%q goes, %d manifests, %+v", got, p.Going.Manifests, p.Refusals)
	}
	if got := p.of(t, "app@"+fresh.Digest.String()).reason(); !strings.Contains(got, "grace") {
		t.Errorf("it stays for %q", got)
	}
	if p := f.prune(t, "--untagged", "--grace", "5m"); p.Going.Manifests != 4 {
		t.Errorf("%d manifests go", p.Going.Manifests)
	}
}

func TestPruneRefusesRepositoriesWithoutTags(t *testing.T) {
	b := fixtures.New(1)
	b.Image("app", "v1", fixtures.Image{})
	b.Image("bare", "", fixtures.Image{})
	f := newFix(t, b)
	before := f.content(t)
	for _, flags := range []string{"--keep-untagged-within 1d", "--untagged", "--keep-last 1 --keep-untagged-within 1d"} {
		p := f.prune(t, strings.Fields(flags)...)
		if len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0].How, "--allow-tagless") {
			t.Errorf("%s: %+v", flags, p.Refusals)
		}
		if exit := f.run(strings.Fields("prune STORE --apply --yes " + flags)...); exit != 64 || !strings.Contains(f.errs.String(), "--allow-tagless") {
			t.Errorf("%s: exit %d, %s", flags, exit, f.errs.String())
		}
		f.untouched(t, flags, before)
		if p := f.prune(t, append(strings.Fields(flags), "--allow-tagless")...); len(p.Refusals) > 0 || p.Going.Manifests != 1 {
			t.Errorf("%s, allowed: %+v", flags, p)
		}
		if p := f.prune(t, append(strings.Fields(flags), "--exclude-repo", "bare")...); len(p.Refusals) > 0 || p.Going.Manifests != 0 {
			t.Errorf("%s, without it: %+v", flags, p)
		}
	}
}
