package main

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// TestPruneKeepsWhatIsUncertain: a tag with an unreadable link or manifest is kept, with all
// of its possible targets; in a pinned repository only links of tags are removed; other
// repositories are pruned normally.
func TestPruneKeepsWhatIsUncertain(t *testing.T) {
	for name, damage := range map[string]func(*fixtures.Builder, fixtures.Manifest){
		"manifest missing": func(b *fixtures.Builder, m fixtures.Manifest) { b.Erase(m.Key()) },
		"manifest corrupt": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Edit(m.Key(), func(body []byte) []byte { body[len(body)/2] ^= 1; return body })
		},
		"link cut": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Erase(layout.HistoryKey("app", "v1", m.Digest)) // which would show it
			b.Edit(layout.CurrentKey("app", "v1"), func([]byte) []byte { return nil })
		},
		"link gone": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Erase(layout.HistoryKey("app", "v1", m.Digest))
			b.Erase(layout.CurrentKey("app", "v1"))
			b.Mkdir(layout.TagKey("app", "v1") + "/current")
		},
	} {
		b := fixtures.New(1)
		var all []fixtures.Manifest
		for i := range 4 {
			b.SetClock(fixtures.Epoch.AddDate(0, i, 0))
			all = append(all, b.Image("app", fmt.Sprintf("v%d", i), fixtures.Image{}))
		}
		untagged := b.Image("app", "", fixtures.Image{})
		b.Image("sound", "v1", fixtures.Image{})
		b.SetClock(fixtures.Epoch.AddDate(0, 5, 0))
		b.Image("sound", "v2", fixtures.Image{})
		damage(b, all[1])
		f := newFix(t, b)
		before := f.content(t)
		p := f.prune(t, "--keep-last", "1", "--untagged")
		if v := p.of(t, "app@"+untagged.Digest.String()); !v.Keep || v.reason() == "" {
			t.Errorf("%s: %+v", name, v)
		}
		if v := p.of(t, "app:v1"); !v.Keep || !strings.HasPrefix(v.reason(), "in doubt") {
			t.Errorf("%s: %+v", name, v)
		}
		stay := []fixtures.Manifest{all[1], untagged}
		if strings.HasPrefix(name, "manifest") {
			stay = append(all, untagged)
		}
		for _, m := range stay {
			for _, key := range []string{m.Key(), m.RevisionKey(), m.LayerKey(0), m.Blobs[1].Key()} {
				if slices.ContainsFunc(p.Steps, func(s planStep) bool { return s.Key == key && s.Op == "remove" }) {
					t.Errorf("%s: %s is to go", name, key)
				}
			}
		}
		if !slices.ContainsFunc(p.Steps, func(s planStep) bool { return s.Key == layout.CurrentKey("app", "v0") }) ||
			!slices.ContainsFunc(p.Steps, func(s planStep) bool { return s.Kind == "blob" }) {
			t.Errorf("%s: neither the link of a tag nor the other repository's blobs go: %+v", name, p.Steps)
		}
		var a applied
		f.document(t, &a, "prune", "STORE", "--keep-last", "1", "--untagged", "--apply", "--yes")
		is := f.content(t)
		for _, m := range stay {
			for _, key := range []string{m.Key(), m.RevisionKey(), m.LayerKey(0), m.Blobs[1].Key()} {
				if _, was := before[key]; was && is[key] != before[key] {
					t.Errorf("%s: %s is gone or changed", name, key)
				}
			}
		}
		if a.Plan != p.Plan || a.Totals.Done != len(p.Steps) || len(a.Left) > 0 || len(p.Refusals) > 0 {
			t.Errorf("%s: %+v, %s", name, a, f.errs.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("%s: undo: %d, %s", name, exit, f.errs.String())
		}
		f.untouched(t, name, before)
	}
}

// TestPruneKeepsInvalidNames: what can't be removed because of its name doesn't prevent other
// removals.
func TestPruneKeepsInvalidNames(t *testing.T) {
	b, _ := aged()
	b.Tag("other", "-odd", b.Tagged("other", "v0").Digest)
	b.Touch(layout.CurrentKey("other", "-odd"), fixtures.Epoch)
	f := newFix(t, b)
	p := f.prune(t, "--keep-last", "1")
	if v := p.of(t, "other:-odd"); !v.Keep || !strings.Contains(v.reason(), "its name is not one that a registry accepts") {
		t.Errorf("%+v", v)
	}
	if len(p.Refusals) > 0 || !slices.Contains(p.going(), "team/app:v0") {
		t.Errorf("%+v; %q goes", p.Refusals, p.going())
	}
}

// TestPruneOfTooMuch: --max-delete applies as for a fix.
func TestPruneOfTooMuch(t *testing.T) {
	b := fixtures.New(1)
	for i := range 400 {
		b.SetClock(fixtures.Epoch.Add(time.Duration(i) * 20 * time.Hour))
		b.Image("app", fmt.Sprintf("v%d", i), fixtures.Image{Layers: []int{9}})
	}
	f := newFix(t, b)
	before := f.content(t)
	if p := f.prune(t, "--keep-last", "1"); len(p.Refusals) == 0 || p.Exit.Code != 0 {
		t.Errorf("%+v, exit %d", p.Refusals, p.Exit.Code)
	} else if !strings.Contains(p.Refusals[0].How, "--max-delete 100%") {
		t.Errorf("%+v", p.Refusals)
	}
	if exit := f.run("prune", "STORE", "--keep-last", "1", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--max-delete") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
	if p := f.prune(t, "--keep-last", "320"); len(p.Refusals) > 0 {
		t.Errorf("a fifth is refused: %+v", p.Refusals)
	}
	if p := f.prune(t, "--keep-last", "1", "--max-delete", "100%"); len(p.Refusals) > 0 {
		t.Errorf("allowed, and refused: %+v", p.Refusals)
	}
}

// TestPruneOfABucket compares the plans of a bucket and of the server's directory, and
// carries it out and undoes it in the bucket.
func TestPruneOfABucket(t *testing.T) {
	b, _ := aged()
	f, _, made := change(t, b, s3test.Enabled)
	f.now = func() time.Time { return time.Now().AddDate(0, 0, 1) }
	objectsBefore := objects(t, made)
	directory := newFix(t, fixtures.New(1))
	directory.store, directory.now = made.Dir+"/some/path", f.now
	for _, flags := range []string{"--keep-last 1", "--keep-tags ^v[12] --may-remove **", "--keep-monthly 2 --time created", "--keep-newer-than 30d", "--keep-last 1 --repo other --untagged"} {
		words := strings.Fields(flags)
		inBucket, inDir := f.prune(t, words...), directory.prune(t, words...)
		one, _ := json.Marshal(inBucket.Tags)
		other, _ := json.Marshal(inDir.Tags)
		if inBucket.Plan != inDir.Plan || len(inBucket.Steps) == 0 || string(one) != string(other) {
			t.Errorf("%s: %s with %d steps, in the directory %s with %d\n%s\n%s", flags, inBucket.Plan, len(inBucket.Steps), inDir.Plan, len(inDir.Steps), one, other)
		}
		sameObjects(t, flags, objectsBefore, objects(t, made))
	}
	p := f.prune(t, "--keep-last", "1", "--time", "created")
	var a applied
	f.document(t, &a, "prune", "STORE", "--keep-last", "1", "--time", "created", "--apply", "--yes")
	if a.Plan != p.Plan || a.Totals.Done != len(p.Steps) || len(p.Refusals) > 0 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	after := objects(t, made)
	for _, s := range p.Steps {
		if _, there := after["some/path/"+s.Key]; there {
			t.Errorf("%s is still there", s.Key)
		}
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sameObjects(t, "undone", objectsBefore, objects(t, made))
}

// loose returns a store with untagged manifests, half of them pushed in the last year: an old
// index and its child, a young index with an old child, an old and a young image, and an old
// signature of each of the two images.
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

func TestPruneOfUntaggedManifests(t *testing.T) {
	now := time.Now().AddDate(1, 0, 0) // as in newFix
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
		"kept child": "something that is kept references it", "of young": "something that is kept references it",
	} {
		if got := strings.Trim(p.of(t, "app@"+m[name].Digest.String()).reason(), "; "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPruneLeavesAPushAlone: a manifest in grace may still get its tag, and is kept.
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

// spoken returns a store with tags to remove and an untagged manifest that something refers
// to.
func spoken(speak func(b *fixtures.Builder) fixtures.Manifest) (b *fixtures.Builder, stays fixtures.Manifest) {
	b = fixtures.New(1)
	for _, tag := range []string{"v1", "v2", "v3"} {
		b.Image("other", tag, fixtures.Image{})
	}
	return b, speak(b)
}

// TestPruneKeepsWhatAFixKeeps: a rule removes no untagged manifest that a fix would keep, and
// a repository where that happens doesn't affect others.
func TestPruneKeepsWhatAFixKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		why   string
		speak func(b *fixtures.Builder) fixtures.Manifest
	}{
		"young": {"newer than --grace", func(b *fixtures.Builder) fixtures.Manifest {
			b.Image("app", "v1", fixtures.Image{})
			return b.Image("app", "", fixtures.Image{})
		}},
		"an uncertain tag": {"the tag lost may point to it", func(b *fixtures.Builder) fixtures.Manifest {
			m := b.Image("app", "lost", fixtures.Image{})
			b.Erase(layout.HistoryKey("app", "lost", m.Digest))
			b.Edit(layout.CurrentKey("app", "lost"), func([]byte) []byte { return nil })
			return m
		}},
		"a subject by another algorithm": {"another algorithm's digest", func(b *fixtures.Builder) fixtures.Manifest {
			m := b.Image("app", "v1", fixtures.Image{})
			file, _ := b.File(m.Key())
			form := `{"schemaVersion":2,"config":{"digest":%q},"subject":{"digest":"sha512:%x"}}`
			return b.PushManifest("app", "", fixtures.OCIManifest, fmt.Appendf(nil, form, m.Blobs[0].Digest, sha512.Sum512(file.Body)))
		}},
		"a broken neighbour": {"something in its repository is broken", func(b *fixtures.Builder) fixtures.Manifest {
			broken := b.Image("app", "v1", fixtures.Image{})
			b.Edit(broken.Key(), func([]byte) []byte { return nil })
			return b.Image("app", "", fixtures.Image{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := spoken(c.speak)
			f := newFix(t, b)
			grace := "0s"
			if name == "young" {
				grace = "100000h"
			}
			args := []string{"prune", "STORE", "--keep-last", "1", "--untagged", "--grace", grace}
			if exit := f.run(append(args, "--json")...); exit&^4 != 0 || !strings.Contains(f.out.String(), c.why) {
				t.Errorf("exit %d, and lacks %q:\n%s%s", exit, c.why, f.out.String(), f.errs.String())
			}
			if exit := f.run(append(args, "--apply", "--yes")...); exit&^4 != 0 {
				t.Errorf("exit %d, %s", exit, f.errs.String())
			}
			left := f.content(t)
			for _, key := range []string{m.RevisionKey(), m.Key()} {
				if _, ok := left[key]; !ok {
					t.Errorf("%s is gone", key)
				}
			}
			if _, ok := left[layout.CurrentKey("other", "v1")]; ok {
				t.Error("no tag went")
			}
		})
	}
}

// TestPruneKeepsInvalidTags: a tag or repository with an invalid name is kept, and doesn't
// affect others.
func TestPruneKeepsInvalidTags(t *testing.T) {
	for _, odd := range [][2]string{{"app", "-odd"}, {"Odd", "v1"}} {
		b, _ := spoken(func(b *fixtures.Builder) fixtures.Manifest { return b.Image(odd[0], odd[1], fixtures.Image{}) })
		b.Image(odd[0], "v2", fixtures.Image{})
		f := newFix(t, b)
		if exit := f.run("prune", "STORE", "--keep-last", "1", "--apply", "--yes"); exit != 0 {
			t.Errorf("%v: exit %d, %s", odd, exit, f.errs.String())
		}
		left := f.content(t)
		if _, ok := left[layout.CurrentKey(odd[0], odd[1])]; !ok {
			t.Errorf("%v is gone", odd)
		}
		if _, ok := left[layout.CurrentKey("other", "v1")]; ok {
			t.Errorf("%v: no tag went", odd)
		}
	}
}
