package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestWhyIsAsRead compares the text of why with testdata.
func TestWhyIsAsRead(t *testing.T) {
	b := damaged("blob-missing", "blob-orphan", "tag-without-current", "signature-orphaned")
	stable, _ := b.File(layout.CurrentKey("base", "stable"))
	d, _ := layout.ParseDigest(string(stable.Body))
	b.Edit(layout.BlobKey(d), func(body []byte) []byte { return body[:9] })
	shared := b.Image("sign", "v1", fixtures.Image{})
	f := newWhole(t, b)
	orphan, missing, index := "", "", ""
	for _, x := range f.judge(t).Findings {
		switch x.ID {
		case "blob-orphan":
			orphan = x.Digest
		case "blob-missing":
			missing = x.Digest
		}
	}
	key, _ := b.File(layout.CurrentKey("lists", "deep"))
	index = string(key.Body)
	for name, arguments := range map[string][]string{
		"layer.txt":      {shared.Blobs[1].Digest.String()},
		"config.json":    {shared.Blobs[0].Digest.Hex()[:10], "--json"},
		"orphan.txt":     {orphan},
		"orphan.json":    {orphan, "--json"},
		"missing.txt":    {missing},
		"tag.txt":        {"lists:arm"},
		"same.txt":       {"app:latest"},
		"pinned.txt":     {"base:stable"},
		"index.txt":      {"lists@" + index},
		"repository.txt": {"app"},
		"arm.dot":        {"lists:arm", "--dot"},
	} {
		if exit := f.run(slices.Concat([]string{"why", "STORE", "--no-progress"}, arguments)...); exit != 0 || f.errs.Len() > 0 {
			t.Errorf("%s: exit %d, %s", name, exit, f.errs.String())
		}
		sameText(t, filepath.Join("testdata", "why", name), strings.ReplaceAll(f.out.String(), f.store, "STORE"))
	}
}

// TestWhyOfALostImage: for an orphan that is a lost image, why says since when, and how to
// restore it.
func TestWhyOfALostImage(t *testing.T) {
	b := fixtures.Standard()
	m := b.Image("emptied", "v1", fixtures.Image{})
	b.Unpush(m)
	f := newWhole(t, b)
	for name, arguments := range map[string][]string{
		"lost.txt":  {m.Digest.String()},
		"lost.json": {m.Digest.String(), "--json"},
	} {
		if exit := f.run(slices.Concat([]string{"why", "STORE", "--no-progress"}, arguments)...); exit != 0 || f.errs.Len() > 0 {
			t.Errorf("%s: exit %d, %s", name, exit, f.errs.String())
		}
		sameText(t, filepath.Join("testdata", "why", name), strings.ReplaceAll(f.out.String(), f.store, "STORE"))
	}
}

func (f *fake) explain(t *testing.T, arguments ...string) (x explained) {
	t.Helper()
	if exit := f.document(t, &x, slices.Concat([]string{"why", "STORE"}, arguments)...); exit != 0 {
		t.Errorf("%q: exit %d, %s", arguments, exit, f.errs.String())
	}
	return x
}

// TestWhyOfAYoungBlob: an orphan in grace is kept, and why says until when; so with a link in
// grace.
func TestWhyOfAYoungBlob(t *testing.T) {
	b := small()
	blob := b.Push("app", "x", []byte("nobody's"))
	b.Erase(layout.LayerKey("app", blob.Digest))
	f := newWhole(t, b)
	now := f.now()
	if x := f.explain(t, blob.Digest.String()); x.State != "garbage" || x.Until != "" || len(x.Paths) > 0 {
		t.Errorf("%+v", x)
	}
	b.Touch(blob.Key(), now.Add(-10*time.Minute))
	f.rewrite(t, b)
	if x := f.explain(t, blob.Digest.String()); x.State != "young" || x.Until != now.Add(50*time.Minute).Format(time.RFC3339) {
		t.Errorf("%+v", x)
	}
	b.Mount("app", blob.Digest)
	b.Touch(layout.LayerKey("app", blob.Digest), now.Add(-10*time.Minute))
	f.rewrite(t, b)
	if x := f.explain(t, blob.Digest.String()); x.State != "kept" || len(x.Paths) != 1 || x.Paths[0].HeldBy != "young" {
		t.Errorf("%+v", x)
	}
	if x := f.explain(t, blob.Digest.String(), "--grace", "5m"); x.State != "garbage" || x.Newest != now.Add(-10*time.Minute).Format(time.RFC3339) {
		t.Errorf("%+v", x)
	}
}

// TestWhyOfWhatAnUntaggedManifestNeeds: an untagged manifest keeps what it needs, except with
// --untagged.
func TestWhyOfWhatAnUntaggedManifestNeeds(t *testing.T) {
	b := small()
	m := b.Image("app", "", fixtures.Image{})
	f := newWhole(t, b)
	if x := f.explain(t, m.Blobs[1].Digest.String()); x.State != "kept" || len(x.Paths) != 1 || x.Paths[0].HeldBy != "untagged" {
		t.Errorf("%+v", x)
	}
	if x := f.explain(t, m.Blobs[1].Digest.String(), "--untagged"); x.State != "garbage" || len(x.Paths) > 0 {
		t.Errorf("%+v", x)
	}
	ref := "app@" + m.Digest.String()
	if x := f.explain(t, ref, "--untagged"); x.State != "garbage" {
		t.Errorf("%+v", x)
	}
	f.run("why", "STORE", ref, "--untagged", "--grace", "2h", "--no-progress")
	if out := f.out.String(); !strings.Contains(out, "fix "+f.store+" --grace 2h --untagged\n") || strings.Contains(out, "if only") {
		t.Errorf("this frees nothing: %s", out)
	}
	if x := f.explain(t, ref); x.Own != m.Size+m.Blobs[0].Size+m.Blobs[1].Size+m.Blobs[2].Size {
		t.Errorf("%+v", x)
	}
}

// namesakes returns two bodies whose digests begin with the same eight digits.
func namesakes() (one, other []byte) {
	seen := map[string][]byte{}
	for i := 0; ; i++ {
		body := fmt.Appendf(nil, "%d", i)
		begin := layout.Sum(body).Hex()[:8]
		if seen[begin] != nil {
			return seen[begin], body
		}
		seen[begin] = body
	}
}

func TestWhyRefuses(t *testing.T) {
	b := fixtures.New(1)
	one, other := namesakes()
	b.Push("app", "x", one)
	b.Push("app", "x", other)
	either := []string{layout.Sum(one).String(), layout.Sum(other).String()}
	slices.Sort(either)
	b.Image("deadbeef", "v1", fixtures.Image{})
	f := newWhole(t, b)
	for args, want := range map[string]string{
		"why":                                          "takes a STORE and one DIGEST or REF",
		"why STORE":                                    "takes a STORE and one DIGEST or REF",
		"why STORE a b":                                "takes a STORE and one DIGEST or REF",
		"why STORE sha256:abc":                         "the first 8 hex digits",
		"why STORE sha256:xyz":                         "no digest",
		"why STORE 0123456789abcdef":                   "nothing in " + f.store + " refers to 0123456789abcdef",
		"why STORE " + either[0][7:15]:                 either[0][7:15] + " may be " + either[0] + " or " + either[1] + "\n",
		"why STORE deadbeaf:v1":                        "no repository deadbeaf in " + f.store + "; did you mean deadbeef?",
		"why STORE deadbeef:v2":                        "no tag deadbeef:v2 in " + f.store + "; did you mean deadbeef:v1?",
		"why STORE app@" + layout.Empty.String():       "has no manifest",
		"why STORE sha512:" + strings.Repeat("0", 128): "no bytes are stored under this sha512 digest",
		"why STORE app --dot --json":                   "--dot is one form",
		"why STORE app --report DIR/x.prom":            "one of .json, .csv, .md and .html",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || !f.refuses(strings.Fields(args)...) {
			t.Errorf("%s: exit %d\n%s%s", args, exit, f.errs.String(), f.out.String())
		}
	}
	if exit := f.run("why", "STORE", "deadbeef"); exit != 0 || !strings.Contains(f.out.String(), "1 tag, 1 manifest") {
		t.Errorf("a repository that could be a digest: exit %d\n%s%s", exit, f.errs.String(), f.out.String())
	}
}

func TestWhyIsCutOnATerminal(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "t", fixtures.Image{})
	for i := range 39 {
		b.Tag("a", fmt.Sprintf("t%02d", i), m.Digest)
	}
	f := newWhole(t, b)
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	f.run("why", "STORE", m.Blobs[1].Digest.String(), "--no-progress", "--color", "never")
	if out := f.out.String(); strings.Count(out, "→ layer") != 30 || !strings.Contains(out, "… and 10 more: regfsck why "+f.store) {
		t.Errorf("%s", out)
	}
	var all explained
	f.run("why", "STORE", m.Blobs[1].Digest.String(), "--no-progress", "--json")
	if err := json.Unmarshal(f.out.Bytes(), &all); err != nil || len(all.Paths) != 40 {
		t.Errorf("%v, %d paths", err, len(all.Paths))
	}
}
