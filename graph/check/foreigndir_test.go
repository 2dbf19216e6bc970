package check

import (
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestAForeignDirectoryIsNoTagAndNoUpload: directories of file systems and file managers in
// tags/ aren't tags and don't pin, and in _uploads/ aren't stale uploads.
func TestAForeignDirectoryIsNoTagAndNoUpload(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("a", "v1", fixtures.Image{})
	b.Upload("a", 5)
	r := examine(t, b.Memory(), func(o *Options) { o.Untagged = true })
	var want []string
	tags := layout.RepositoryKey("a") + "/_manifests/tags/"
	uploads := layout.RepositoryKey("a") + "/_uploads/"
	for _, key := range []string{
		tags + "@eaDir/v1@SynoEAStream", tags + "@eaDir/sub/x", tags + "#recycle/link", tags + "#recycle/_x/y",
		tags + ".snapshot/hourly/current/link", uploads + "@eaDir/x", uploads + "lost+found/y/data",
	} {
		b.Put(key, []byte("x"))
		want = append(want, key)
	}
	for _, key := range []string{tags + "lost+found", uploads + "#snapshot"} {
		b.Mkdir(key)
		want = append(want, key)
	}
	with := examine(t, b.Memory(), func(o *Options) { o.Untagged = true })
	for id := range finding.Kinds {
		if id != finding.ForeignFile && with.Counts[id] != r.Counts[id] {
			t.Errorf("%v: %+v with foreign directories, %+v without", id, with.Counts[id], r.Counts[id])
		}
	}
	if with.Totals.Tags != 1 || with.Totals.Uploads != 1 {
		t.Errorf("%d tags, %d uploads", with.Totals.Tags, with.Totals.Uploads)
	}
	var got []string
	for f := range with.Findings {
		if f.Kind == finding.ForeignFile {
			got = append(got, f.Path)
		}
		if f.Kind == finding.ForeignFile && (f.Cure != finding.CureNone || f.Tag != "") {
			t.Errorf("%s: cure %s, tag %q", f.Path, f.Cure, f.Tag)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("foreign are\n%q\nwant\n%q", got, want)
	}
}

// TestDirectoriesWithARegistrysFiles: a directory with current/ or index/ is a tag whatever
// its name, and one with a registry's files is an upload.
func TestDirectoriesWithARegistrysFiles(t *testing.T) {
	for _, part := range []string{"current", "index"} {
		b := fixtures.New(1)
		m := b.Image("a", "v1", fixtures.Image{})
		key := layout.CurrentKey("a", "@odd")
		if part == "index" {
			key = layout.HistoryKey("a", "@odd", m.Digest)
		}
		b.Put(key, []byte(m.Digest.String()))
		r := examine(t, b.Memory(), nil)
		if r.Totals.Tags != 2 || r.Counts[finding.NameInvalid].Count != 1 || r.Counts[finding.ForeignFile].Count != 0 {
			t.Errorf("%s: %d tags\n%v", part, r.Totals.Tags, lines(r))
		}
	}
	for _, file := range []string{"data", "startedat", "hashstates/sha256/0"} {
		b := fixtures.New(1)
		b.Image("a", "v1", fixtures.Image{})
		upload := layout.RepositoryKey("a") + "/_uploads/mine"
		b.Put(upload+"/"+file, []byte("2025-01-01T00:00:00Z"))
		expect(t, examine(t, b.Memory(), nil), "upload-stale "+upload+" remove")
	}
}

// TestAForeignDirectoryIsNoRepository: a directory beside the repositories without a
// registry's files isn't one.
func TestAForeignDirectoryIsNoRepository(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	key := layout.Repositories + "/@eaDir/a@SynoResource"
	b.Put(key, []byte("x"))
	b.Mkdir(layout.Repositories + "/#recycle")
	expect(t, examine(t, b.Memory(), nil), "foreign-file "+key+" none", "foreign-file "+layout.Repositories+"/#recycle none")
}
