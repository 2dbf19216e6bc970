package check

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestOwnEmptiedDirectories: directories that an interrupted run of regfsck emptied aren't in
// grace, so that the next run can finish it. Other empty ones are.
func TestOwnEmptiedDirectories(t *testing.T) {
	began := oracle.Now.Add(-10 * time.Minute)
	for _, after := range []time.Duration{-time.Minute, time.Minute} {
		b := fixtures.New(1)
		b.SetClock(began.Add(after))
		directory := layout.Blobs + "/sha256/aa/" + strings.Repeat("a", 64)
		upload := layout.UploadKey("a", b.UUID())
		b.Mkdir(directory)
		b.Mkdir(layout.RepositoryKey("a") + "/_layers")
		b.Mkdir(upload)
		all := []string{"folder-empty " + directory + " remove", "repo-empty " + layout.RepositoryKey("a") + " remove"}
		for _, own := range []bool{false, true} {
			r := examine(t, b.Memory(), func(o *Options) {
				o.UploadsOlderThan = time.Hour
				if own {
					o.OwnSince = began
				}
			})
			if !own || after < 0 {
				if g := garbage(r); len(g) > 0 {
					t.Errorf("emptied %v after, own %v: %v goes", after, own, g)
				}
				continue
			}
			expect(t, r, append(all, "upload-stale "+upload+" remove")...)
			for f := range r.Findings {
				if f.InGrace {
					t.Errorf("%s %s is young", f.Kind, f.Path)
				}
			}
		}
	}
}

// TestAYoungAliasKeepsItsTarget: an alias in grace keeps its target, as a link its blob.
func TestAYoungAliasKeepsItsTarget(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	blob := b.Push("a", "x", []byte("aliased, and of no manifest"))
	key := b.Alias("a", blob)
	link := layout.LayerKey("a", blob.Digest)
	expect(t, examine(t, b.Memory(), nil),
		"blob-orphan "+blob.Key()+" remove", "layer-link-unreferenced "+link+" remove", "layer-link-unreferenced "+key+" remove")
	b.Touch(key, oracle.Now.Add(-time.Minute))
	if g := garbage(examine(t, b.Memory(), untagged)); len(g) > 0 {
		t.Errorf("with a young alias %v goes", g)
	}
}

// TestASignatureOfAnUnclearSubject: a signature whose subject is a digest of another
// algorithm is kept, with what it needs.
func TestASignatureOfAnUnclearSubject(t *testing.T) {
	for _, subject := range []string{"sha512:" + strings.Repeat("5", 128), ""} {
		b := fixtures.New(1)
		b.Image("a", "v1", fixtures.Image{})
		layer := b.Push("a", fixtures.OCILayer, []byte("a signature"))
		doc := `{"schemaVersion":2,"layers":[{"digest":"` + layer.Digest.String() + `"}],"subject":{"digest":"%"}}`
		if subject == "" {
			doc = strings.Replace(doc, `,"subject":{"digest":"%"}`, "", 1)
		}
		m := b.PushManifest("a", "", fixtures.OCIManifest, []byte(strings.Replace(doc, "%", subject, 1)))
		g := garbage(examine(t, b.Memory(), untagged))
		if subject != "" && len(g) > 0 || subject == "" && len(g) != 4 {
			t.Errorf("subject %q, manifest %s: %v", subject, m.Digest, g)
		}
	}
}

// TestAnAliasedChildKeepsItsLayers: a child with an alias keeps all that a child keeps.
func TestAnAliasedChildKeepsItsLayers(t *testing.T) {
	b := fixtures.New(1)
	child := b.Image("a", "", fixtures.Image{})
	b.Push("a", fixtures.OCIManifest, child.Body)
	name := aliasName(b.Alias("a", child.Descriptor))
	b.PushManifest("a", "v1", "x/y", []byte(strings.ReplaceAll(aliasedChild, "%", name)))
	if g := garbage(examine(t, b.Memory(), nil)); len(g) > 0 {
		t.Errorf("%v goes", g)
	}
	for _, f := range garbage(examine(t, b.Memory(), untagged)) {
		if !strings.HasPrefix(f, "manifest-untagged ") {
			t.Errorf("%s goes", f)
		}
	}
}

// TestAStrayFileAmongTheTagsIsNoTag: a foreign file beside the tags is no new tag.
func TestAStrayFileAmongTheTagsIsNoTag(t *testing.T) {
	b := fixtures.New(1)
	b.Image("b", "v1", fixtures.Image{})
	b.Mkdir(layout.RepositoryKey("a") + "/_layers")
	stray := layout.RepositoryKey("a") + "/_manifests/tags/notes"
	b.Put(stray, []byte("somebody's"))
	expect(t, examine(t, b.Memory(), nil), "foreign-file "+stray+" none", "repo-empty "+layout.RepositoryKey("a")+" remove")
}

// TestForeignFilesAreKeptWithTheirDirectories: an empty repository with foreign files only
// isn't changed, and an upload with a foreign file is kept.
func TestForeignFilesAreKeptWithTheirDirectories(t *testing.T) {
	b := fixtures.New(1)
	b.Image("b", "v1", fixtures.Image{})
	note := layout.RepositoryKey("a") + "/_uploads/notes"
	upload := b.Upload("c", 5)
	b.Put(note, nil)
	b.Put(upload+"/notes", nil)
	b.Mkdir(layout.RepositoryKey("d") + "/_layers")
	b.Put(layout.RepositoryKey("d")+"/_uploads/notes", nil)
	r := examine(t, b.Memory(), nil)
	expect(t, r, "foreign-file "+note+" none", "foreign-file "+upload+"/notes none", "upload-stale "+upload+" none",
		"foreign-file "+layout.RepositoryKey("d")+"/_uploads/notes none", "repo-empty "+layout.RepositoryKey("d")+" remove")
	for f := range r.Findings {
		if f.Kind == finding.RepoEmpty && strings.Join(f.Directories, " ") != "_layers _manifests" {
			t.Errorf("%q go", f.Directories)
		}
	}
}
