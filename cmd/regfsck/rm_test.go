package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// several returns a store to remove something of.
func several() (*fixtures.Builder, fixtures.Manifest) {
	b := fixtures.New(1)
	m := b.Image("team/app", "v1", fixtures.Image{})
	b.Tag("team/app", "v2", m.Digest)
	b.Image("team/app", "v3", fixtures.Image{})
	b.Image("team/web", "v1", fixtures.Image{Shared: m.Blobs[1:]})
	b.Image("team/web/deep", "v1", fixtures.Image{})
	b.Image("other", "v1", fixtures.Image{})
	return b, m
}

// rm returns the document of a removal's plan.
func (f *fake) rm(t *testing.T, args ...string) (p planned) {
	t.Helper()
	exit := f.run(append([]string{"rm", "STORE", "--json"}, args...)...)
	if err := json.Unmarshal(f.out.Bytes(), &p); err != nil || exit != p.Exit.Code {
		t.Fatalf("%q: exit %d, %v\n%s%s", args, exit, err, f.out.String(), f.errs.String())
	}
	return p
}

func TestARemovalIsPlannedCarriedOutAndUndone(t *testing.T) {
	b, _ := several()
	f := newFix(t, b)
	before := f.content(t)
	for _, refs := range [][]string{{"team/app:v1"}, {"team/app:v*"}, {"team/web"}, {"team/*"}, {"**"}, {"other:v1", "--tags-only"}} {
		p := f.rm(t, refs...)
		f.untouched(t, "planned", before)
		if p.Schema != "regfsck.dry-run/1" || len(p.Steps) == 0 || len(p.Refusals) > 0 || p.Exit.Code != 0 {
			t.Errorf("%v: %+v", refs, p)
		}
		var a applied
		if exit := f.document(t, &a, append([]string{"rm", "STORE", "--apply", "--yes"}, refs...)...); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
			t.Errorf("%v: exit %d, %+v; %d steps were planned\n%s", refs, exit, a, len(p.Steps), f.errs.String())
		}
		if exit := f.run("check", "STORE", "--fail-on", "garbage"); exit != 0 && !strings.Contains(f.out.String(), "repo-empty") {
			t.Errorf("%v: the check afterwards says %d:\n%s", refs, exit, f.out.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 || strings.Contains(f.out.String(), "Before you allow pushes") {
			t.Errorf("%v: undo says %d, %s%s", refs, exit, f.out.String(), f.errs.String())
		}
		f.untouched(t, "undone", before)
	}
}

func TestReasonsOfARemoval(t *testing.T) {
	b, m := several()
	f := newFix(t, b)
	for _, c := range []struct{ args, want []string }{
		{[]string{"team/app:v1"}, []string{"- _manifests/tags/v1/current/link  tag-removed", "asked for; the manifest is kept: the tag v2 points to it", "regfsck rm " + f.store + " team/app:v1 --apply"}},
		{[]string{"team/app:v1", "team/app:v2"}, []string{"manifest-unneeded", "only the removed tag v"}},
		{[]string{"team/web"}, []string{"repository-removed", "_layers/ _manifests/ _uploads/", "blob-orphan"}},
		{[]string{"te*/web:*"}, []string{"asked for by te*/web:*"}},
		{[]string{"team/app@" + m.Digest.String()}, []string{"NOTHING TO DO", "--apply would be refused", "points to it"}},
	} {
		if exit := f.run(append([]string{"rm", "STORE", "--verbose"}, c.args...)...); exit != 0 {
			t.Errorf("%v: exit %d, %s", c.args, exit, f.errs.String())
		}
		for _, want := range c.want {
			if !strings.Contains(f.out.String(), want) {
				t.Errorf("%v lacks %q:\n%s", c.args, want, f.out.String())
			}
		}
	}
	if exit := f.run("rm", "STORE", "team/app@"+m.Digest.String(), "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "the tag v1 points to it") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

func TestARemovalOfNothing(t *testing.T) {
	b, m := several()
	f := newFix(t, b)
	before := f.content(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"team/ap"}, "there is no repository team/ap; did you mean team/app?"},
		{[]string{"team"}, "there is no repository team"},
		{[]string{"team/app:v11"}, "there is no tag v11; did you mean v1?"},
		{[]string{"nobody/*"}, "there is no repository like nobody/*"},
		{[]string{"team/app:v1", "team/app:x*"}, "there is no tag like x*"},
		{[]string{"other@" + m.Digest.String()}, "there is no such manifest in other"},
		{[]string{"other@sha256:12"}, "a digest is sha256:"},
		{[]string{"other:"}, "there is no tag behind the colon"},
		{nil, "rm takes a STORE and one REF"},
		{[]string{"other", "--tags-only"}, "is not a tag"},
		{[]string{"other:v1", "--tags-only", "--untagged"}, "--tags-only leaves all manifests"},
		{[]string{"other:v1", "--only", "tag-removed"}, "there is no finding"},
		{[]string{"other:v1", "--max-delete", "1%"}, "there is no flag --max-delete"},
	} {
		exit := f.run(append([]string{"rm", "STORE", "--apply", "--yes"}, c.args...)...)
		if exit != 16 || !strings.Contains(f.errs.String(), c.want) || f.out.Len() > 0 {
			t.Errorf("%v: exit %d, %s%s", c.args, exit, f.out.String(), f.errs.String())
		}
	}
	f.untouched(t, "after all that", before)
}

func TestASavedRemovalIsCarriedOut(t *testing.T) {
	b, m := several()
	f := newFix(t, b)
	before := f.content(t)
	p := f.rm(t, "team/*", "--skip", "blob-orphan", "--untagged", "--save-plan", "DIR/p")
	if slices.ContainsFunc(p.Steps, func(s planStep) bool { return s.Kind == "blob" }) {
		t.Error("blobs go that were to be left")
	}
	var a applied
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes"); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	is := f.content(t)
	for key, stays := range map[string]bool{m.RevisionKey(): false, layout.CurrentKey("other", "v1"): true, m.Key(): true} {
		if _, there := is[key]; there != stays {
			t.Errorf("%s is there: %v", key, there)
		}
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "undone", before)
}

// TestDamageIsRemovedWithTheImage: if the only damage is removed, none is left.
func TestDamageIsRemovedWithTheImage(t *testing.T) {
	b, m := several()
	b.Erase(m.Blobs[1].Key())
	f := newFix(t, b)
	if p := f.rm(t, "team/app:v1", "team/app:v2"); p.Exit.Code != 0 {
		t.Errorf("a plan says %d, and can be carried out", p.Exit.Code)
	}
	if exit := f.run("rm", "STORE", "team/app:v1", "team/app:v2", "--apply", "--yes"); exit != 0 { // team/web needs it too, but wasn't requested
		t.Errorf("exit %d, where all went that was named:\n%s%s", exit, f.out.String(), f.errs.String())
	}
	if exit := f.run("rm", "STORE", "team/web", "--apply", "--yes"); exit != 0 {
		t.Errorf("exit %d, where none is left:\n%s%s", exit, f.out.String(), f.errs.String())
	}
	if exit := f.run("check", "STORE"); exit != 0 {
		t.Errorf("the check afterwards says %d:\n%s", exit, f.out.String())
	}
}

// TestEmptiedRepositories: a repository without tags remains in the catalog, and the plan
// says how to remove it.
func TestEmptiedRepositories(t *testing.T) {
	b := fixtures.New(1)
	b.Image("one", "v1", fixtures.Image{})
	b.Image("two", "v1", fixtures.Image{})
	b.Image("two", "", fixtures.Image{})
	f := newFix(t, b)
	f.run("rm", "STORE", "one:v1", "two:v1")
	said := strings.Join(strings.Fields(f.out.String()), " ")
	if !strings.Contains(said, "This leaves no tag and no manifest in one. regfsck rm") {
		t.Errorf("%s", f.out.String())
	}
	f.run("rm", "STORE", "one")
	if strings.Contains(f.out.String(), "This leaves no") {
		t.Errorf("%s", f.out.String())
	}
}

// TestOrphanedSignatures: the removal of an image lists its signatures in other repositories,
// in text and document.
func TestOrphanedSignatures(t *testing.T) {
	b, m := several()
	signature := "sigs:" + strings.Replace(m.Digest.String(), ":", "-", 1) + ".sig"
	repository, tag, _ := strings.Cut(signature, ":")
	b.Image(repository, tag, fixtures.Image{})
	f := newFix(t, b)
	for _, command := range [][]string{
		{"rm", "STORE", "team/app"},
		{"rm", "STORE", "team/app:v1", "team/app:v2"},
		{"prune", "STORE", "--keep-tags", "v3"},
	} {
		if exit := f.run(command...); exit != 0 || !strings.Contains(f.out.String(), "1 signature in another repository is kept, but its image is removed:") || !strings.Contains(f.out.String(), signature) {
			t.Errorf("%q: exit %d\n%s%s", command, exit, f.out.String(), f.errs.String())
		}
		var doc struct {
			Bereft []struct{ Tag, Subject string } `json:"bereft_signatures"`
		}
		f.document(t, &doc, command...)
		if len(doc.Bereft) != 1 || doc.Bereft[0].Tag != tag || doc.Bereft[0].Subject != m.Digest.String() {
			t.Errorf("%q: the document names %+v", command, doc.Bereft)
		}
	}
	f.run("rm", "STORE", "team/app:v1")
	if strings.Contains(f.out.String(), "loses its image") {
		t.Errorf("the image stays under another tag:\n%s", f.out.String())
	}
}

// TestARemovalByAnotherAlgorithm: a manifest of another algorithm than sha256 is removed by
// its digest.
func TestARemovalByAnotherAlgorithm(t *testing.T) {
	b, m := several()
	long := func(tag, note string) string {
		body := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` +
			m.Blobs[0].Digest.String() + `"},"layers":[],"annotations":{"note":"` + note + `"}}`)
		digest := fixtures.SHA512(body)
		b.PushManifestBy("team/app", tag, digest, body)
		return digest
	}
	tagged, untagged := long("long", "tagged"), long("", "untagged")
	f := newFix(t, b)
	before := f.content(t)
	if exit := f.run("rm", "STORE", "team/app@"+tagged); exit != 0 || !strings.Contains(f.out.String(), "can't be removed: the tag long points to it") {
		t.Errorf("exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	var a applied
	if exit := f.document(t, &a, "rm", "STORE", "team/app@"+untagged, "--apply", "--yes"); exit != 0 || a.Totals.Done == 0 {
		t.Errorf("exit %d, %+v\n%s", exit, a, f.errs.String())
	}
	if exit := f.run("rm", "STORE", "team/app@"+untagged); exit != 16 || !strings.Contains(f.errs.String(), "there is no such manifest") {
		t.Errorf("exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("exit %d\n%s", exit, f.errs.String())
	}
	f.untouched(t, "undone", before)
}
