package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/backend/words"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestAPlanIsShownByName: removals are shown by repository and image, with own bytes, largest
// first; bytes that several of them share are counted with the blobs, so that the sum is
// right. Keys are shown with --verbose.
func TestAPlanIsShownByName(t *testing.T) {
	b := fixtures.New(7)
	base := b.Image("base", "v1", fixtures.Image{Layers: []int{70_000}})
	b.Image("app/web", "1.3", fixtures.Image{Layers: []int{20_000}, Shared: base.Blobs[1:]})
	pair := b.Image("app/web", "1.4", fixtures.Image{Layers: []int{30_000, 5_000}})
	b.Image("app/web", "1.5", fixtures.Image{Layers: []int{1_000}, Shared: pair.Blobs[2:]})
	b.Tag("app/web", "stable", pair.Digest)
	b.Image("app/cache", "a", fixtures.Image{Layers: []int{90_000}})
	b.Image("app/cache", "b", fixtures.Image{Layers: []int{10_000}})
	f := newFix(t, b)
	lines := func(args ...string) []string {
		t.Helper()
		if exit := f.run(append([]string{"rm", "STORE", "--grace", "0"}, args...)...); exit != 0 {
			t.Fatalf("%q: exit %d, %s", args, exit, f.errs.String())
		}
		_, below, _ := strings.Cut(f.out.String(), "\nREMOVALS\n\n")
		below, _, _ = strings.Cut(below, "\n\nWHY\n")
		var all []string
		for line := range strings.Lines(below) {
			if strings.HasPrefix(line, "  - ") {
				all = append(all, strings.Join(strings.Fields(line)[1:], " "))
			}
		}
		return all
	}
	freed := func(refs ...string) string {
		t.Helper()
		var n int64
		for _, s := range f.rm(t, append([]string{"--grace", "0"}, refs...)...).Steps {
			if s.Kind == "blob" {
				n += s.Size
			}
		}
		return words.Size(n)
	}
	for _, c := range []struct {
		refs, want []string
	}{
		{[]string{"app/web:1.3"}, []string{"app/web:1.3 image, " + freed("app/web:1.3") + " only it needs"}},
		{[]string{"app/web:1.4"}, []string{"app/web:1.4 tag; its image is kept"}},
		{[]string{"app/cache"}, []string{"app/cache repository, 2 tags, 2 manifests, " + freed("app/cache")}},
		{[]string{"app/web:1.3", "app/cache"}, []string{
			"app/cache repository, 2 tags, 2 manifests, " + freed("app/cache"), "app/web:1.3 image, " + freed("app/web:1.3") + " only it needs",
		}},
	} {
		got := slices.DeleteFunc(lines(c.refs...), func(line string) bool { return strings.HasPrefix(line, "other files ") })
		if !slices.Equal(got, c.want) {
			t.Errorf("rm %q shows\n%s\nwant\n%s", c.refs, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	shared := fmt.Sprintf("(blobs) 1 unused, %s", words.Size(5_000))
	if got := lines("app/web:1.4", "app/web:stable", "app/web:1.5"); !slices.Contains(got, shared) {
		t.Errorf("what two images share isn't counted apart, want %q:\n%s", shared, strings.Join(got, "\n"))
	}
	if strings.Contains(f.out.String(), layout.Root) || strings.Contains(f.out.String(), "_manifests/") {
		t.Errorf("keys are shown:\n%s", f.out.String())
	}
	if f.run("rm", "STORE", "app/web:1.3", "--verbose"); !strings.Contains(f.out.String(), "- _manifests/tags/1.3/current/link") {
		t.Errorf("--verbose shows no keys:\n%s", f.out.String())
	}
}

// TestARepairIsShownByTag: repaired tags are listed with what is written.
func TestARepairIsShownByTag(t *testing.T) {
	b := fixtures.New(8)
	m := b.Image("app", "2.0", fixtures.Image{Layers: []int{1000, 2000}})
	for _, blob := range m.Blobs[1:] {
		b.Unlink(layout.LayerKey("app", blob.Digest))
	}
	lost := b.Image("app", "3.0", fixtures.Image{})
	b.Unlink(layout.BlobKey(lost.Blobs[1].Digest))
	f := newFix(t, b)
	f.run("fix", "STORE")
	for _, want := range []string{"  + app:2.0     pulls again (2 links rebuilt)\n", "After a fix 1 of 2 broken tags can be pulled again; 1 can't: 1 needs a push or a copy (--from)."} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("no %q in\n%s", want, f.out.String())
		}
	}
	f.run("check", "STORE")
	for _, want := range []string{"  app:2.0     fix heals                        layer-link-missing\n", "  app:3.0     push again, or heal from a copy  blob-missing\n", "\nlayer-link-missing  " + layout.LayerKey("app", m.Blobs[1].Digest) + "  app:2.0 can't be pulled  needed by "} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("no %q in\n%s", want, f.out.String())
		}
	}
}

// TestImagesOfRemovedTags: if the image of a removed tag is removed with something else, the
// plan names that; no image is called kept that is removed or missing.
func TestImagesOfRemovedTags(t *testing.T) {
	b := fixtures.New(9)
	one := b.Image("app", "z-one", fixtures.Image{Platform: "linux/amd64"})
	b.Index("app", "both", one)
	signed := b.Image("app", "signed", fixtures.Image{})
	b.Cosign(signed, "sig")
	b.Fallback(signed, b.Referrer(signed, "application/vnd.example"))
	lost := b.Image("bare", "lost", fixtures.Image{})
	b.Unlink(layout.BlobKey(lost.Digest))
	b.Image("app", "stays", fixtures.Image{})
	b.Tag("app", "stays-too", b.Tagged("app", "stays").Digest)
	b.Image("blobs", "v1", fixtures.Image{})
	b.Push("blobs", "application/octet-stream", []byte("nothing needs it"))
	f := newFix(t, b)
	for args, wants := range map[string][]string{
		"app:both app:z-one": {"- app:z-one image, removed with app:both"},
		"app:signed":         {"- app:signed image"},
		"bare:lost":          {"- bare:lost tag; its image is missing"},
		"app:stays-too":      {"- app:stays-too tag; its image is kept"},
		"blobs":              {"- blobs repository, 1 tag, 1 manifest"},
	} {
		f.run(append([]string{"rm", "STORE", "--grace", "0"}, strings.Fields(args)...)...)
		shown := ""
		for line := range strings.Lines(f.out.String()) {
			shown += strings.Join(strings.Fields(line), " ") + "\n"
		}
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				t.Errorf("rm %s shows no %q:\n%s%s", args, want, f.out.String(), f.errs.String())
			}
		}
		if n := strings.Count(shown, "its image is kept"); n != strings.Count(strings.Join(wants, "\n"), "its image is kept") {
			t.Errorf("rm %s keeps %d images:\n%s", args, n, f.out.String())
		}
	}
	f.run("fix", "STORE", "--grace", "0")
	if !strings.Contains(f.out.String(), "- (blobs) ") {
		t.Errorf("blobs of no repository are named as a repository could be:\n%s", f.out.String())
	}
}
