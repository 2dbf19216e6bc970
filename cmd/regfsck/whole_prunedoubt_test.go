package main

import (
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

// TestPruneKeepsWhatIsUncertain: a tag whose link or manifest can't be trusted
// stays, with whatever it may have meant; what a broken manifest pins loses no more
// than the links of its tags; and the other repositories lose what they are to.
func TestPruneKeepsWhatIsUncertain(t *testing.T) {
	for name, damage := range map[string]func(*fixtures.Builder, fixtures.Manifest){
		"manifest missing": func(b *fixtures.Builder, m fixtures.Manifest) { b.Erase(m.Key()) },
		"manifest corrupt": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Edit(m.Key(), func(body []byte) []byte { body[len(body)/2] ^= 1; return body })
		},
		"link cut": func(b *fixtures.Builder, m fixtures.Manifest) {
			b.Erase(layout.HistoryKey("app", "v1", m.Digest)) // which would tell
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

// TestPruneLeavesOddNamesAlone: what can't go for its name doesn't keep the rest
// from going.
func TestPruneLeavesOddNamesAlone(t *testing.T) {
	b, _ := aged()
	b.Tag("other", "-odd", b.Tagged("other", "v0").Digest)
	b.Touch(layout.CurrentKey("other", "-odd"), fixtures.Epoch)
	f := newFix(t, b)
	p := f.prune(t, "--keep-last", "1")
	if v := p.of(t, "other:-odd"); !v.Keep || !strings.Contains(v.reason(), "a name is none that a registry accepts") {
		t.Errorf("%+v", v)
	}
	if len(p.Refusals) > 0 || !slices.Contains(p.going(), "team/app:v0") {
		t.Errorf("%+v; %q goes", p.Refusals, p.going())
	}
}

// TestPruneOfTooMuch: the share that may go is guarded, as for a fix.
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

// TestPruneOfABucketIsThatOfItsDirectory plans in a bucket and in the directory in which
// the server keeps it, and carries it out and undoes it in the bucket.
func TestPruneOfABucketIsThatOfItsDirectory(t *testing.T) {
	b, _ := aged()
	f, _, made := change(t, b, s3test.Enabled)
	f.now = func() time.Time { return time.Now().AddDate(0, 0, 1) }
	objectsBefore := objects(t, made)
	directory := newFix(t, fixtures.New(1))
	directory.store, directory.now = made.Dir+"/some/path", f.now
	for _, flags := range []string{"--keep-last 1", "--keep-tags ^v[12] --may-remove **", "--keep-monthly 2 --time created", "--keep-last 1 --repo other --untagged"} {
		words := strings.Fields(flags)
		inBucket, inDir := f.prune(t, words...), directory.prune(t, words...)
		one, _ := json.Marshal(inBucket.Tags)
		other, _ := json.Marshal(inDir.Tags)
		if inBucket.Plan != inDir.Plan || len(inBucket.Steps) == 0 || string(one) != string(other) {
			t.Errorf("%s: %s with %d steps, in the folder %s with %d\n%s\n%s", flags, inBucket.Plan, len(inBucket.Steps), inDir.Plan, len(inDir.Steps), one, other)
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
