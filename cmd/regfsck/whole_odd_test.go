package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// TestOddStores checks stores that nobody would make on purpose.
func TestOddStores(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	for _, c := range []struct {
		name  string
		build func() *fixtures.Builder
		exit  int
		want  []string // "id path", sorted; "*" stands for anything
		tags  [3]int   // in all, broken, unknown
	}{
		{"a folder of one letter", func() *fixtures.Builder {
			b := small()
			b.Mkdir(layout.Blobs + "/sha256/a")
			return b
		}, 0, []string{"foreign-file " + layout.Blobs + "/sha256/a"}, [3]int{2, 0, 0}},
		{"files of one letter", func() *fixtures.Builder {
			b := small()
			for _, key := range []string{"/a", "/sha256/a", "/sha256/b/data", "/sha256/c/d/data", "/md5/aa/a/data"} {
				b.Put(layout.Blobs+key, []byte("x"))
			}
			return b
		}, 0, []string{
			"foreign-file " + layout.Blobs + "/a", "foreign-file " + layout.Blobs + "/md5/aa/a/data", "foreign-file " + layout.Blobs + "/sha256/a",
			"foreign-file " + layout.Blobs + "/sha256/b/data", "foreign-file " + layout.Blobs + "/sha256/c/d/data",
		}, [3]int{2, 0, 0}},
		{"nothing at all", func() *fixtures.Builder { return directories(layout.Blobs, layout.Repositories) }, 0, nil, [3]int{}},
		{"blobs alone", func() *fixtures.Builder { return directories(layout.Blobs) }, 0, nil, [3]int{}},
		{"repositories alone", func() *fixtures.Builder { return directories(layout.Repositories) }, 0, nil, [3]int{}},
		{"a tag's folder and nothing else", func() *fixtures.Builder { return directories(layout.TagKey("a", "x")) },
			4, []string{"tag-without-current " + layout.TagKey("a", "x")}, [3]int{1, 1, 0}},
		{"repositories are empty", func() *fixtures.Builder {
			b := small()
			b.RemoveAll(layout.Repositories)
			b.Mkdir(layout.Repositories)
			return b
		}, 0, slices.Repeat([]string{"blob-orphan *"}, 8), [3]int{}},
		{"repositories are missing", func() *fixtures.Builder {
			b := small()
			b.RemoveAll(layout.Repositories)
			return b
		}, 0, slices.Repeat([]string{"blob-orphan *"}, 8), [3]int{}},
		{"blobs are missing", func() *fixtures.Builder {
			b := small()
			b.RemoveAll(layout.Blobs)
			return b
		}, 4, slices.Repeat([]string{"manifest-missing *"}, 2), [3]int{2, 2, 0}},
		{"a manifest of 4 MiB", func() *fixtures.Builder { return sized(manifest.MaxSize) }, 0, nil, [3]int{1, 0, 0}},
		{"a manifest above 4 MiB", func() *fixtures.Builder { return sized(manifest.MaxSize + 1) },
			12, []string{"manifest-unparsable *"}, [3]int{1, 0, 1}},
	} {
		f.rewrite(t, c.build())
		a := f.judge(t)
		var got []string
		for _, x := range a.Findings {
			got = append(got, x.ID+" "+x.Path)
		}
		slices.Sort(got)
		if !slices.EqualFunc(got, c.want, func(got, want string) bool {
			id, anything := strings.CutSuffix(want, "*")
			return got == want || anything && strings.HasPrefix(got, id)
		}) {
			t.Errorf("%s: found\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if n := a.Totals; a.Exit.Code != c.exit || !a.Complete || [3]int{n.Tags, n.TagsBroken, n.TagsUnknown} != c.tags {
			t.Errorf("%s: exit %d, complete is %v, %+v, want exit %d, tags %v", c.name, a.Exit.Code, a.Complete, n, c.exit, c.tags)
		}
	}
}

// small returns a healthy store of two images.
func small() *fixtures.Builder {
	b := fixtures.New(1)
	b.Image("base", "stable", fixtures.Image{})
	b.Image("twin", "a", fixtures.Image{})
	return b
}

// directories returns a store of nothing but these.
func directories(keys ...string) *fixtures.Builder {
	b := fixtures.New(1)
	for _, key := range keys {
		b.Mkdir(key)
	}
	return b
}

// sized returns a store with one tag, which is an index of that many bytes.
func sized(bytes int) *fixtures.Builder {
	const before, after = `{"schemaVersion":2,"manifests":[],"annotations":{"x":"`, `"}}`
	b := fixtures.New(1)
	b.PushManifest("large", "x", fixtures.OCIIndex, []byte(before+strings.Repeat("x", bytes-len(before+after))+after))
	return b
}

// color matches what --color=always adds, and nothing of the names.
var color = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// TestNamesWithControlCharacters puts them wherever a name is free. The text
// shows none of them raw, and the document holds the names as they are.
func TestNamesWithControlCharacters(t *testing.T) {
	const evil = "a\x1b[2J\n\r\t\u009b1m\u202e\"\\<&>\u2028b"
	b := small()
	b.Image(evil, "v1", fixtures.Image{})
	b.Tag("twin", evil, b.Tagged("twin", "a").Digest)
	gone := b.Image("base", evil, fixtures.Image{})
	b.Erase(gone.Key())
	b.Put(layout.Blobs+"/sha256/"+evil, nil)
	b.Put(layout.RepositoryKey("base")+"/"+evil, nil)
	b.Put(layout.RepositoryKey("base")+"/_"+evil+"/x", nil)
	b.Mkdir(layout.TagKey("base", evil+"2") + "/index")
	b.Mkdir(path.Dir(layout.TagKey(evil+"/empty", "x")))
	f := newWhole(t, b)
	keys := map[string]bool{}
	for _, flags := range [][]string{nil, {"--thorough"}, {"--color=always"}} {
		a := f.judge(t, flags...)
		for _, x := range a.Findings {
			keys[x.ID+" "+x.Path] = true
		}
		f.run(slices.Concat([]string{"check", "STORE"}, flags)...)
		shown := color.ReplaceAllString(f.out.String(), "")
		for _, text := range []string{shown, f.errs.String()} {
			if i := strings.IndexFunc(text, func(r rune) bool {
				return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
			}); i >= 0 {
				t.Errorf("%q: shown raw: %.60q", flags, text[i:])
			}
		}
	}
	for _, want := range []string{
		"name-invalid " + layout.RepositoryKey(evil), "name-invalid " + layout.TagKey("twin", evil), "name-invalid " + layout.TagKey("base", evil),
		"tag-without-current " + layout.TagKey("base", evil+"2"), "manifest-missing " + gone.RevisionKey(),
		"foreign-file " + layout.Blobs + "/sha256/" + evil, "foreign-file " + layout.RepositoryKey("base") + "/" + evil,
		"foreign-file " + layout.RepositoryKey("base") + "/_" + evil,
	} {
		if !keys[want] {
			t.Errorf("%q isn't found", want)
		}
	}
}

// TestNamesThatAreNoText checks a store whose names hold bytes that are no
// UTF-8, in memory, since not every filesystem lets them in.
func TestNamesThatAreNoText(t *testing.T) {
	const bytes = "a\xff\x9b1m\xc3"
	b := small()
	b.Erase(b.Tagged("twin", "a").Blobs[1].Key())
	b.Image(bytes, "v1", fixtures.Image{})
	b.Tag("twin", bytes, b.Tagged("twin", "a").Digest)
	b.Put(layout.RepositoryKey("base")+"/"+bytes, nil)
	f := newWhole(t, small())
	f.check = func(ctx context.Context, _ backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
		return graph.Check(ctx, b.Memory(), o)
	}
	if a := f.judge(t); a.Exit.Code != 4 || len(a.Findings) != 4 {
		t.Errorf("exit %d, found\n%q", a.Exit.Code, a.lines())
	}
	if !utf8.Valid(f.out.Bytes()) {
		t.Errorf("the document is no UTF-8")
	}
	if exit := f.run("check", "STORE"); exit != 4 || !utf8.Valid(f.out.Bytes()) {
		t.Errorf("exit %d, the text is %q", exit, f.out.String())
	}
}

// TestSpellingsOfSTORE names one store in every way there is, and finds the
// same each time.
func TestSpellingsOfSTORE(t *testing.T) {
	b := small()
	b.Erase(b.Tagged("twin", "a").Blobs[1].Key())
	b.Upload("base", 10)
	f := newWhole(t, b)
	link := filepath.Join(f.dir, "link")
	if err := os.Symlink(f.store, link); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(f.dir, "config.yml"), fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}}\n", f.store))
	write(t, filepath.Join(f.dir, "linked.yml"), fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}}\n", link+"/"))
	t.Chdir(filepath.Join(f.store, "docker"))
	var want string
	for _, store := range []string{
		"STORE", "STORE/", "STORE//docker/..", "STORE/docker", "STORE/docker/registry/v2", "STORE/docker/registry/v2/",
		"DIR/config.yml", "DIR/linked.yml", "DIR/link", "DIR/link/", "DIR/link/docker/registry/v2",
		"..", "../", ".", "registry/v2", "./registry/../registry/v2/", "../../files/link", "../../files/config.yml",
	} {
		if exit := f.run("check", store, "--json", "--no-progress"); exit != 4 || f.errs.Len() > 0 {
			t.Errorf("%s: exit %d, %s", store, exit, f.errs.String())
			continue
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		if got := string(doc["findings"]) + string(doc["totals"]) + string(doc["counts"]) + string(doc["broken_tags"]); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%s: found\n%s\nwant\n%s", store, got, want)
		}
	}
}
