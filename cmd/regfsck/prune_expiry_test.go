package main

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// expiring returns a store of images with expiries in all forms, a year and a bit after the
// last push.
func expiring() *fixtures.Builder {
	b := fixtures.New(1)
	labelled := func(tag, after string) fixtures.Manifest {
		b.SetClock(b.Now().Add(time.Hour))
		image := fixtures.Image{Layers: []int{20}}
		if after != "" {
			image.Labels = map[string]string{"quay.expires-after": after, "other": "1"}
		}
		return b.Image("app", tag, image)
	}
	annotated := func(m fixtures.Manifest, tag, after string) {
		b.SetClock(b.Now().Add(time.Hour))
		body := strings.Replace(string(m.Body), "{", `{"annotations":{"quay.expires-after":"`+after+`"},`, 1)
		b.PushManifest("app", tag, m.MediaType, []byte(body))
	}
	labelled("label", "2w")
	labelled("late", "9000w")
	labelled("nonsense", "soon")
	plain := labelled("plain", "")
	annotated(plain, "annotated", "10d")
	annotated(labelled("", "9000w"), "both", "10d") // the later of two counts
	one, two, long := labelled("", "1w"), labelled("", "2w"), labelled("", "9000w")
	b.Index("app", "index-of-two", one, two)
	b.Index("app", "index-with-a-long-one", one, long)
	b.Index("app", "index-with-a-plain-one", one, plain)
	annotated(b.Index("app", "index", plain), "index-annotated", "10d")
	labelled("latest", "1d")
	labelled("newest", "1d")
	return b
}

func TestPruneHonoursExpiry(t *testing.T) {
	f := newFix(t, expiring())
	b := f.content(t)
	want := "app:annotated app:index-annotated app:index-of-two app:label"
	p := f.prune(t, "--honour-expiry")
	if got := strings.Join(p.going(), " "); got != want {
		t.Errorf("%q goes, want %q", got, want)
	}
	for name, why := range map[string]string{
		"app:label":                 "expired 2024-03-15 13:00 (quay.expires-after 2w)",
		"app:index-of-two":          "(quay.expires-after 2w)",
		"app:both":                  "honour-expiry (2",
		"app:index-with-a-long-one": "honour-expiry (",
		"app:plain":                 "honour-expiry (no date)",
		"app:nonsense":              "honour-expiry (no date)",
		"app:latest":                "latest",
		"app:newest":                "newest",
	} {
		if v := p.of(t, name); !strings.Contains(v.reason(), why) {
			t.Errorf("%s: %q, want %q", name, v.reason(), why)
		}
	}
	f.stdin = strings.NewReader("reg.io/app:label")
	for flags, want := range map[string]string{
		"--honour-expiry --keep-tags .":                 "",
		"--honour-expiry --keep-last all":               want,
		"--honour-expiry --keep-list - --keep-last all": strings.TrimSuffix(want, " app:label"),
		"--keep-last all":                               "",
		"--honour-expiry --may-remove newest":           want + " app:newest",
		"--honour-expiry --repo other":                  "",
	} {
		if got := strings.Join(f.prune(t, strings.Fields(flags)...).going(), " "); got != want {
			t.Errorf("%s: %q goes, want %q", flags, got, want)
		}
	}
	var a applied
	if exit := f.document(t, &a, "prune", "STORE", "--honour-expiry", "--apply", "--yes"); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	if exit := f.run("check", "STORE"); exit != 0 {
		t.Errorf("the check afterwards says %d:\n%s", exit, f.out.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "undone", b)
}

// TestExpiryOfWhatCannotBeRead: an image whose config, manifest or children are missing is
// kept.
func TestExpiryOfWhatCannotBeRead(t *testing.T) {
	b := expiring()
	label, index := b.Tagged("app", "label"), b.Tagged("app", "index-of-two")
	b.Erase(label.Blobs[0].Key())
	b.Erase(index.Children[0].Blobs[0].Key())
	b.Edit(b.Tagged("app", "annotated").Key(), func(body []byte) []byte { return body[:len(body)-1] })
	f := newFix(t, b)
	if got := strings.Join(f.prune(t, "--honour-expiry").going(), " "); got != "app:index-annotated" {
		t.Errorf("%q goes", got)
	}
}

func TestExpiryInABucket(t *testing.T) {
	f, _, made := change(t, expiring(), s3test.Enabled)
	f.now = func() time.Time { return time.Now().AddDate(0, 0, 1) }
	directory := newFix(t, fixtures.New(1))
	directory.store, directory.now = made.Dir+"/some/path", f.now
	if inBucket, inDir := f.prune(t, "--honour-expiry"), directory.prune(t, "--honour-expiry"); inBucket.Plan != inDir.Plan || len(inBucket.Steps) == 0 {
		t.Errorf("%s with %d steps, and in the directory %s", inBucket.Plan, len(inBucket.Steps), inDir.Plan)
	}
	if exit := f.run("prune", "STORE", "--honour-expiry", "--apply", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}
