package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/walker/layout"
)

// TestARepositoryIsRestored: the directory of a repository was deleted, and a collector
// removed its blobs. A fix with a backup restores its tags, its untagged manifests and all
// that they need; other repositories don't change, and an undo removes all of it.
func TestARepositoryIsRestored(t *testing.T) {
	b := fixtures.Standard()
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"app", "lists", "signed"} {
		whole := f.content(t)
		pulls := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
		after := b.Clone(1)
		after.RemoveAll(layout.RepositoryKey(repository))
		f.rewrite(t, after)
		if exit := f.run("fix", "STORE", "--apply", "--yes", "--max-delete", "100%", "--no-progress"); exit != 0 { // and its blobs are garbage
			t.Fatalf("exit %d, %s", exit, f.errs.String())
		}
		if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 {
			t.Fatalf("exit %d, %s", exit, f.errs.String())
		}
		before := f.content(t)
		words := []string{"fix", "STORE", "--from", "DIR/backup", "--also", "tag-from-source", "--repo", repository, "--max-delete", "100%"}
		f.run(append(words, "--no-progress")...)
		f.untouched(t, "a plan", before)
		if !strings.Contains(f.out.String(), "is restored from the source") {
			t.Errorf("%s\n%s", f.out.String(), f.errs.String())
		}
		var a applied
		if exit := f.document(t, &a, append(words, "--apply", "--yes")...); exit != 1 || len(a.Left) > 0 {
			t.Errorf("%s: exit %d, %+v, %s", repository, exit, a.Left, f.errs.String())
		}
		is := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
		for ref := range pulls {
			ours := strings.HasPrefix(ref, repository+":")
			if ours && !is[ref] {
				t.Errorf("%s can't be pulled", ref)
			}
		}
		for key := range whole { // the links are restored unchanged
			if k, err := layout.Parse(key); err != nil || k.Repository != repository || k.Kind != layout.TagCurrent && k.Kind != layout.Revision {
				continue
			}
			was, _ := b.File(key)
			now, err := os.ReadFile(filepath.Join(f.store, key))
			if err != nil || string(now) != string(was.Body) {
				t.Errorf("%s: %q, %v", key, now, err)
			}
		}
		if left := f.broken(t, "--verify", "all"); len(left) > 0 {
			t.Errorf("%s: broken %v", repository, left)
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
		}
		f.untouched(t, "undo", before)
	}
}

// TestNotRestored: an existing tag isn't changed, and an image isn't restored that was
// deleted through the registry or that the source has only in part.
func TestNotRestored(t *testing.T) {
	b := fixtures.New(1)
	image := fixtures.Image{Layers: []int{100, 50}}
	b.Image("app", "kept", image)
	b.Image("app", "moved", image)
	removed := b.Image("app", "removed", image)
	torn := b.Image("app", "torn", image)
	b.Image("app", "back", image)
	f := newFix(t, b)
	backup := b.Clone(2)
	backup.Erase(torn.Blobs[1].Key())
	if err := backup.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"removed", "torn", "back"} {
		b.RemoveAll(layout.TagKey("app", tag))
	}
	b.Unlink(removed.RevisionKey())
	b.Unlink(torn.RevisionKey())
	b.Erase(torn.Blobs[1].Key())
	moved := b.Image("app", "moved", image)
	f.rewrite(t, b)
	os.RemoveAll(filepath.Dir(filepath.Join(f.store, torn.RevisionKey())))

	words := []string{"fix", "STORE", "--from", "DIR/backup", "--also", "tag-from-source", "--max-delete", "100%"}
	f.run(append(words, "--no-progress")...)
	for _, said := range []string{"app:back", "2 images of the sources can't be brought back:", "app:removed", "was removed here", "app:torn", "is missing, and in no source"} {
		if !strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), said) {
			t.Errorf("%q is missing in\n%s", said, f.out.String())
		}
	}
	var a applied
	f.document(t, &a, append(words, "--apply", "--yes")...)
	if len(a.Left) > 0 {
		t.Errorf("%+v", a.Left)
	}
	for tag, want := range map[string]bool{"kept": true, "moved": true, "back": true, "removed": false, "torn": false} {
		body, err := os.ReadFile(filepath.Join(f.store, layout.CurrentKey("app", tag)))
		if (err == nil) != want {
			t.Errorf("%s: %v", tag, err)
		}
		if tag == "moved" && string(body) != moved.Digest.String() {
			t.Errorf("moved: %s", body)
		}
	}
	if left := f.broken(t); len(left) > 0 {
		t.Errorf("broken: %v", left)
	}

	saved := filepath.Join(f.dir, "plan")
	f.run(append(words, "--save-plan", saved)...)
	os.Rename(filepath.Join(f.dir, "backup"), filepath.Join(f.dir, "moved"))
	if exit := f.run("apply", saved, "--yes"); exit != 8 || !strings.Contains(f.errs.String(), "which tags to restore is unknown: ") || !strings.Contains(f.errs.String(), "backup can't be used any more: there is no such file") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	os.Rename(filepath.Join(f.dir, "moved"), filepath.Join(f.dir, "backup"))
	for flags, said := range map[string]string{
		"--also tag-from-source":                              "needs a registry's storage in --from",
		"--also tag-from-source --from DIR/backup --repo nix": "--repo nix: no source has a tag of it",
		"--from DIR/backup --repo app":                        "--repo can only be used with --also tag-from-source",
	} {
		if exit := f.run(append([]string{"fix", "STORE"}, strings.Fields(flags)...)...); exit != 16 || !strings.Contains(f.errs.String(), said) {
			t.Errorf("%s: exit %d, %s", flags, exit, f.errs.String())
		}
	}
}

// TestAnUndoKeepsRestoredImages: a restored image has its old times and may need a blob that
// an earlier run healed. The undo of that run keeps the blob, even if the later run can't be
// read here or there was none.
func TestAnUndoKeepsRestoredImages(t *testing.T) {
	for _, how := range []string{"purged", "another state directory", "a state directory that is gone", "a state directory of another machine", "copied", "copied, removed and put back"} {
		b := fixtures.New(1)
		first := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 50}})
		b.Image("other", "v1", fixtures.Image{Layers: []int{}, Shared: first.Blobs[1:2]})
		f := newFix(t, b)
		f.now = time.Now // the clock of the disk
		if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
			t.Fatal(err)
		}
		b.RemoveAll(layout.RepositoryKey("other"))
		b.Erase(first.Blobs[1].Key())
		f.rewrite(t, b)
		heal := []string{"fix", "STORE", "--from", "DIR/backup", "--max-delete", "100%", "--apply", "--yes"}
		if exit := f.run(heal...); exit != 1 {
			t.Fatalf("exit %d, %s", exit, f.errs.String())
		}
		state := filepath.Join(f.dir, "state")
		heal = append(heal, "--also", "tag-from-source")
		if strings.Contains(how, "state directory") {
			heal = append(heal, "--state", state)
		}
		var a applied
		if strings.HasPrefix(how, "copied") {
			name := filepath.FromSlash(layout.RepositoryKey("other"))
			if out, err := exec.Command("cp", "-a", filepath.Join(f.dir, "backup", name), filepath.Join(f.store, name)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		} else if exit := f.document(t, &a, heal...); exit != 1 {
			t.Fatalf("exit %d, %s", exit, f.errs.String())
		}
		switch how {
		case "copied, removed and put back":
			for _, args := range [][]string{{"rm", "STORE", "other:v1", "--apply", "--yes"}, {"undo", "STORE"}} {
				if exit := f.run(args...); exit&^1 != 0 {
					t.Fatalf("%q: exit %d, %s", args, exit, f.errs.String())
				}
			}
		case "purged":
			if exit := f.run("purge", "STORE", a.Run, "--yes"); exit != 0 {
				t.Fatalf("exit %d, %s", exit, f.errs.String())
			}
		case "a state directory that is gone":
			if err := os.Rename(state, state+"-away"); err != nil {
				t.Fatal(err)
			}
		case "a state directory of another machine":
			mark := filepath.Join(f.store, outside.StateName, "states")
			if err := os.WriteFile(mark, []byte("elsewhere\t"+state+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		exit := f.run("undo", "STORE")
		if exit != 8 || !strings.Contains(f.out.String(), "may be needed by something pushed or restored since, and is kept") {
			t.Errorf("%s: exit %d, %s%s", how, exit, f.out.String(), f.errs.String())
		}
		if left := f.broken(t); len(left) > 0 {
			t.Errorf("%s: broken %v", how, left)
		}
	}
}

// TestAnUndoAfterANameOfALinkWasRemoved: a run that removes one name of a file changes the file's
// other names, which look as if they were written then. What such a link needs is kept, and the
// undo doesn't claim that it was pushed.
func TestAnUndoAfterANameOfALinkWasRemoved(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("app", "v1", fixtures.Image{})
	b.Image("other", "v1", fixtures.Image{})
	extra := layout.RevisionKey("other", image.Digest)
	b.Put(extra, []byte(image.Digest.String()))
	b.Put(filepath.Dir(extra)+"/note", nil) // so that the link is removed without its directory
	b.Erase(image.LayerKey(1))
	f := newFix(t, b)
	f.now = time.Now // the clock of the disk
	path := func(key string) string { return filepath.Join(f.store, filepath.FromSlash(key)) }
	if err := errors.Join(os.Remove(path(extra)), os.Link(path(image.RevisionKey()), path(extra))); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("fix", "STORE", "--untagged", "--max-delete", "100%", "--apply", "--yes"); exit != 1 {
		t.Fatalf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if _, err := os.Lstat(path(extra)); err == nil {
		t.Fatal("the link has both names")
	}
	exit := f.run("undo", "STORE")
	if exit != 8 || !strings.Contains(f.out.String(), "may be needed by something pushed or restored since, and is kept") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if _, err := os.Lstat(path(image.LayerKey(1))); err != nil {
		t.Error(err)
	}
}

// TestABrokenTagOfASource: a tag that the first source can't serve is restored from the
// second one.
func TestABrokenTagOfASource(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("app", "v1", fixtures.Image{})
	b.Image("app", "v2", fixtures.Image{})
	f := newFix(t, b)
	torn := b.Clone(2)
	newer := torn.Image("app", "v1", fixtures.Image{})
	torn.RemoveAll(filepath.Dir(newer.RevisionKey()))
	for name, of := range map[string]*fixtures.Builder{"torn": torn, "whole": b} {
		if err := of.WriteDir(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	lost := b.Clone(3)
	lost.RemoveAll(layout.TagKey("app", "v1"))
	f.rewrite(t, lost)
	if exit := f.run("fix", "STORE", "--from", "DIR/torn", "--from", "DIR/whole", "--also", "tag-from-source", "--apply", "--yes"); exit&^1 != 0 {
		t.Fatalf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if body, err := os.ReadFile(filepath.Join(f.store, layout.CurrentKey("app", "v1"))); err != nil || string(body) != image.Digest.String() {
		t.Errorf("%q, %v", body, err)
	}
}

// TestARestoredTagKeepsItsRevision: a manifest that lost only its tag isn't garbage if the
// tag is restored, even if untagged manifests are removed.
func TestARestoredTagKeepsItsRevision(t *testing.T) {
	b := fixtures.New(1)
	child := b.Image("app", "", fixtures.Image{})
	b.Index("app", "all", child)
	image := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 50}})
	b.Image("app", "v2", fixtures.Image{})
	b.Image("app", "", fixtures.Image{})
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	b.RemoveAll(layout.TagKey("app", "all"))
	b.RemoveAll(layout.TagKey("app", "v1"))
	b.RemoveAll(filepath.Dir(image.LayerKey(1)))
	f.rewrite(t, b)
	var a applied
	exit := f.document(t, &a, "fix", "STORE", "--untagged", "--from", "DIR/backup", "--also", "tag-from-source", "--max-delete", "100%", "--apply", "--yes")
	if exit != 1 || len(a.Left) > 0 {
		t.Errorf("exit %d, %+v", exit, a)
	}
	pulls := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
	for _, ref := range []string{"app:all", "app:v1", "app:v2"} {
		if !pulls[ref] {
			t.Errorf("%s can't be pulled", ref)
		}
	}
	var p planned
	if f.document(t, &p, "fix", "STORE", "--untagged"); len(p.Steps) > 0 {
		t.Errorf("more is to be done: %+v", p.Steps)
	}
}

// TestTagsAreRestoredWhole: if a blob of one tag can't be copied, links that it shares with
// another are written for that one, or neither is restored.
func TestTagsAreRestoredWhole(t *testing.T) {
	b := fixtures.New(1)
	b.Image("kept", "v1", fixtures.Image{})
	first := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 50}})
	b.Image("app", "v2", fixtures.Image{Layers: []int{}, Shared: first.Blobs[1:2]})
	b.Image("app", "v3", fixtures.Image{Layers: []int{}, Shared: first.Blobs[1:2]})
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	b.RemoveAll(layout.RepositoryKey("app"))
	b.Erase(first.Blobs[2].Key())
	f.rewrite(t, b)
	saved := filepath.Join(f.dir, "plan")
	if exit := f.run("fix", "STORE", "--from", "DIR/backup", "--also", "tag-from-source", "--max-delete", "100%", "--save-plan", saved); exit&16 != 0 {
		t.Fatal(f.errs.String())
	}
	if err := os.Remove(filepath.Join(f.dir, "backup", first.Blobs[2].Key())); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("apply", saved, "--yes"); exit&8 == 0 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	pulls := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
	for ref, want := range map[string]bool{"app:v1": false, "app:v2": true, "app:v3": true, "kept:v1": true} {
		if pulls[ref] != want {
			t.Errorf("%s can be pulled: %v", ref, pulls[ref])
		}
	}
	if left := f.broken(t); len(left) > 0 {
		t.Errorf("broken: %v", left)
	}
}
