package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// replicas is the part of a document about tags of sources.
type replicas struct {
	Replicas []struct {
		Source       string
		Compared     bool
		Why          string
		Tags         int
		There        int         `json:"tags_in_source"`
		Same         int         `json:"tags_same"`
		Unknown      int         `json:"tags_unknown"`
		MissingHere  []differing `json:"missing_here"`
		MissingThere []differing `json:"missing_in_source"`
		Elsewhere    []differing `json:"point_elsewhere"`
		Lacked       int         `json:"blobs_missing_in_source"`
		LackedBytes  int64       `json:"blobs_missing_in_source_bytes"`
		Unlisted     int         `json:"blobs_unknown"`
		Incomplete   []differing `json:"incomplete_in_source"`
	}
	Exit struct{ Code int }
}

type differing struct{ Ref, Here, There string }

// TestAReplicaIsCompared: a check with a source lists tags that only one of both has, and
// those with different targets.
func TestAReplicaIsCompared(t *testing.T) {
	b := fixtures.New(1)
	image := fixtures.Image{Layers: []int{100}}
	v1 := b.Image("team/app", "v1", image)
	b.Image("team/app", "same", image)
	b.Image("team/lost", "v1", image)
	then := b.Clone(1)
	f := newFix(t, b)
	backup := filepath.Join(f.dir, "backup")

	now := b.Clone(2)
	now.RemoveAll(layout.RepositoryKey("team/lost"))
	now.RemoveAll(layout.TagKey("team/app", "same"))
	v2 := now.Image("team/app", "v1", image)
	now.Image("team/new", "v1", image)
	f.rewrite(t, now)
	if err := then.WriteDir(backup); err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	var said replicas
	exit := f.document(t, &said, "check", "STORE", "--from", "DIR/backup")
	f.untouched(t, "check --from", before)
	if exit != 0 || len(said.Replicas) != 1 {
		t.Fatalf("exit %d, %+v", exit, said)
	}
	refs := func(all []differing) (refs []string) {
		for _, d := range all {
			refs = append(refs, d.Ref)
		}
		return refs
	}
	r := said.Replicas[0]
	if !r.Compared || r.Source != backup || r.Tags != 2 || r.There != 3 || r.Same != 0 || r.Unknown != 0 ||
		!slices.Equal(refs(r.MissingHere), []string{"team/app:same", "team/lost:v1"}) || !slices.Equal(refs(r.MissingThere), []string{"team/new:v1"}) ||
		!slices.Equal(r.Elsewhere, []differing{{"team/app:v1", v2.Digest.String(), v1.Digest.String()}}) {
		t.Errorf("%+v", r)
	}
	f.run("check", "STORE", "--from", "DIR/backup", "--no-progress")
	for _, line := range []string{
		"TAGS COMPARED WITH " + backup, "2 tags here, 3 there; 0 are the same", "2 tags are missing here", "1 tag is missing there", "1 tag points elsewhere there",
		"team/lost:v1",
	} {
		if !strings.Contains(f.out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, f.out.String())
		}
	}

	// Tags that can't be read are neither equal nor missing.
	write(t, filepath.Join(backup, layout.CurrentKey("team/app", "v1")), "")
	for _, repository := range []string{"team/new", "team/lost"} { // a link that isn't followed
		at := filepath.Join(backup, layout.RepositoryKey(repository))
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(f.dir, at); err != nil {
			t.Fatal(err)
		}
	}
	said = replicas{}
	f.document(t, &said, "check", "STORE", "--from", "DIR/backup")
	if r := said.Replicas[0]; r.Unknown != 2 || len(r.MissingHere) != 1 || len(r.Elsewhere)+len(r.MissingThere) != 0 {
		t.Errorf("%+v", r)
	}

	// A directory of blobs has no tags, and a store equals itself.
	writeFlat(t, b, filepath.Join(f.dir, "node"), func(string) bool { return true })
	twin := filepath.Join(f.dir, "twin")
	if err := now.WriteDir(twin); err != nil {
		t.Fatal(err)
	}
	f.run("check", "STORE", "--from", "DIR/node", "--from", twin, "--no-progress")
	for _, line := range []string{"The tags were not compared: it is no registry's storage.", "No difference: both have the same 2 tags, and every blob here that a tag needs is there too."} {
		if !strings.Contains(f.out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, f.out.String())
		}
	}
}

// TestAReplicaLacksBlobs: a copy with all tags but without blobs that they need is
// incomplete. A blob of another size doesn't count, an unreadable one isn't called missing,
// and blobs of untagged manifests aren't counted.
func TestAReplicaLacksBlobs(t *testing.T) {
	b := fixtures.New(1)
	a := b.Image("app", "a", fixtures.Image{Layers: []int{300, 500}})
	shared, own := a.Blobs[1], a.Blobs[2]
	b.Image("app", "b", fixtures.Image{Shared: []fixtures.Descriptor{shared}})
	cut := b.Image("app", "c", fixtures.Image{Layers: []int{700}}).Blobs[1]
	b.Image("app", "d", fixtures.Image{Layers: []int{100}})
	alone := b.Image("app", "", fixtures.Image{Layers: []int{900}}).Blobs[1]
	f := newFix(t, b)
	backup := filepath.Join(f.dir, "backup")
	copied := b.Clone(1)
	for _, d := range []fixtures.Descriptor{shared, own, alone} {
		copied.Erase(layout.BlobKey(d.Digest))
	}
	copied.Put(layout.BlobKey(cut.Digest), []byte("less"))
	if err := copied.WriteDir(backup); err != nil {
		t.Fatal(err)
	}
	var said replicas
	f.document(t, &said, "check", "STORE", "--from", "DIR/backup")
	r := said.Replicas[0]
	var refs []string
	for _, d := range r.Incomplete {
		refs = append(refs, d.Ref)
	}
	if r.Same != 4 || r.Lacked != 3 || r.LackedBytes != 1500 || r.Unlisted != 0 || !slices.Equal(refs, []string{"app:a", "app:b", "app:c"}) {
		t.Errorf("%+v", r)
	}
	f.run("check", "STORE", "--from", "DIR/backup", "--no-progress")
	for _, line := range []string{"3 blobs that tags here need: missing there, or of another size (1.5 KiB)", "3 tags are the same and lack blobs there"} {
		if !strings.Contains(f.out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, f.out.String())
		}
	}
	if strings.Contains(f.out.String(), "No difference") {
		t.Error(f.out.String())
	}
}
