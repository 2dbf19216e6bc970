package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"regfsck/graph/finding"
)

// TestAStepIsWrittenAsJSONIs: any step is written as encoding/json does.
func TestAStepIsWrittenAsJSONIs(t *testing.T) {
	texts := []string{"", "a", "repo/b:v1", `quote " and \ and <&>`, "tab\tline\n", "bytes \xff\xfe", "base64:x", "ünïcode \u2028", "\x7f"}
	for i, text := range texts {
		other := texts[(i+1)%len(texts)]
		for _, s := range []Step{
			{},
			{Op: Remove, Kind: Blob, Key: text, Finding: finding.BlobOrphan, Repository: text, Tag: other, Digest: text, Reason: other},
			{Op: Write, Kind: Rebuilt, Key: other, Content: Text(text), Body: Text(text), Time: -1, Bytes: 1 << 60, Size: -3, Modified: 7},
			{Op: Abort, Kind: Upload, Key: other, Upload: text, Modified: 1},
			{Absent: true, Corrupt: true, Content: Text(other), Time: 1},
		} {
			want, err := json.Marshal(&s)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.appendJSON(nil); string(got) != string(want) {
				t.Errorf("%s\nencoding/json: %s", got, want)
			}
		}
	}
}

// FuzzStep: a plan file preserves any step, except bytes that aren't UTF-8 outside a link's
// content.
func FuzzStep(f *testing.F) {
	f.Add("docker/registry/v2/blobs", "2~id/+=", "sha256:", int64(7))
	f.Add("a\x00b", "\x01\"\\<&>\u2028\n", "base64:x", int64(-1))
	f.Add("", strings.Repeat("x", 4000), "\xff\xfe", int64(1)<<62)
	f.Fuzz(func(t *testing.T, key, upload, content string, n int64) {
		s := Step{Op: Abort, Kind: Upload, Key: key, Upload: upload, Reason: upload, Content: Text(content), Modified: n}
		want, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		line := s.appendJSON(nil)
		if string(line) != string(want) {
			t.Fatalf("%s\nencoding/json: %s", line, want)
		}
		var back Step
		if err := strict(line, &back); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(key) && utf8.ValidString(upload) && back != s || back.Content != s.Content {
			t.Errorf("%+v came back as %+v", s, back)
		}
	})
}

// TestTotals: a tag counts once, with its history; a repository counts only if it is removed
// from the catalog.
func TestTotals(t *testing.T) {
	const repo = "docker/registry/v2/repositories/"
	tagged := finding.TagRemoved
	p := &Plan{Steps: []Step{
		{Op: Write, Kind: Rebuilt, Key: repo + "a/_layers/sha256/x/link", Repository: "a"},
		{Op: Remove, Kind: TagHistory, Key: repo + "a/_manifests/tags/v1/index/sha256/x/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: TagHistory, Key: repo + "a/_manifests/tags/v1/index/sha256/y/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: Tag, Key: repo + "a/_manifests/tags/v1/current/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: Directory, Key: repo + "a/_manifests/tags/v2/", Finding: tagged},
		{Op: Remove, Kind: RevisionLink, Bytes: 71}, {Op: Remove, Kind: LayerLink, Bytes: 71},
		{Op: Remove, Kind: Blob, Bytes: 1000}, {Op: Remove, Kind: Upload, Bytes: 100}, {Op: Abort, Kind: Upload},
		{Op: Remove, Kind: Directory, Key: repo + "b/_manifests/", Repository: "b", Finding: finding.RepoEmpty},
		{Op: Remove, Kind: Directory, Key: repo + "b/_layers/", Repository: "b", Finding: finding.RepoEmpty},
		{Op: Remove, Kind: Directory, Key: repo + "c/_uploads/", Repository: "c", Finding: finding.RepoEmpty},
	}}
	want := Totals{
		Blobs: 1, Bytes: 5*71 + 1100, Manifests: 1, Tags: 2, LayerLinks: 1, Repositories: 1, Aborts: 1, BlobBytes: 1000,
	}
	if got := p.Totals(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// BenchmarkStep compares the encoder of steps with encoding/json.
func BenchmarkStep(b *testing.B) {
	s := Step{Op: Remove, Kind: Blob, Key: "docker/registry/v2/blobs/sha256/ab/" + strings.Repeat("ab", 32) + "/data", Finding: finding.BlobOrphan, Digest: "sha256:" + strings.Repeat("ab", 32), Bytes: 123456, Size: 123456, Modified: 1}
	b.Run("append", func(b *testing.B) {
		var line []byte
		for b.Loop() {
			line = s.appendJSON(line[:0])
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		for b.Loop() {
			json.Marshal(&s)
		}
	})
}
