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
	"time"
	"unicode"
	"unicode/utf8"

	"regfsck/backend"
	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// TestOddStores checks unusual stores.
func TestOddStores(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	for _, c := range []struct {
		name  string
		build func() *fixtures.Builder
		exit  int
		want  []string // "id path", sorted; "*" stands for anything
		tags  [3]int   // all, broken, unknown
	}{
		{"a directory of one letter", func() *fixtures.Builder {
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
		{"a tag's directory and nothing else", func() *fixtures.Builder { return directories(layout.TagKey("a", "x")) },
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

// directories returns a store of empty directories.
func directories(keys ...string) *fixtures.Builder {
	b := fixtures.New(1)
	for _, key := range keys {
		b.Mkdir(key)
	}
	return b
}

// sized returns a store with one tag on an index of that size.
func sized(bytes int) *fixtures.Builder {
	const before, after = `{"schemaVersion":2,"manifests":[],"annotations":{"x":"`, `"}}`
	b := fixtures.New(1)
	b.PushManifest("large", "x", fixtures.OCIIndex, []byte(before+strings.Repeat("x", bytes-len(before+after))+after))
	return b
}

// color matches what --color=always adds, but not names.
var color = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// TestNamesWithControlCharacters: text has no raw control characters of names, and the
// document has the exact names.
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

// TestNamesThatAreNotUTF8 checks a store with such names, in memory, since some filesystems
// refuse them.
func TestNamesThatAreNotUTF8(t *testing.T) {
	const bytes = "a\xff\x9b1m\xc3"
	b := small()
	b.Erase(b.Tagged("twin", "a").Blobs[1].Key())
	b.Image(bytes, "v1", fixtures.Image{})
	b.Tag("twin", bytes, b.Tagged("twin", "a").Digest)
	b.Put(layout.RepositoryKey("base")+"/"+bytes, nil)
	f := newWhole(t, small())
	f.check = func(ctx context.Context, _ backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		return check.Store(ctx, b.Memory(), o)
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

// TestSpellingsOfSTORE: each spelling of a store's path gives the same result.
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

// foreignIn returns the keys of the foreign files in a check.
func foreignIn(t *testing.T, f *fake, flags ...string) (keys []string) {
	t.Helper()
	for _, found := range f.judge(t, flags...).Findings {
		if found.ID == "foreign-file" {
			keys = append(keys, found.Path)
		}
	}
	slices.Sort(keys)
	return keys
}

// strayed returns a store with foreign files and directories at each level.
func strayed() (b *fixtures.Builder, strays []string) {
	b = fixtures.Standard()
	b.Lock("filesystem-in-use")
	b.Put("notes", []byte("the user's own"))
	for _, dir := range []string{"docker", "docker/registry", layout.Root} {
		b.Put(dir+"/notes.txt", []byte("somebody's"))
		b.Put(dir+"/@eaDir/a", nil)
		b.Put(dir+"/@eaDir/b/c", nil)
		strays = append(strays, dir+"/@eaDir", dir+"/notes.txt")
	}
	slices.Sort(strays)
	return b, strays
}

// TestForeignFilesAboveTheStore: what is beside the store's own directories is foreign,
// whichever of them STORE names, except files of the registry, the user or regfsck.
func TestForeignFilesAboveTheStore(t *testing.T) {
	b, strays := strayed()
	f := newWhole(t, b)
	for _, dir := range []string{".", "docker", layout.Root} {
		for _, own := range []string{outside.StateName, "lost+found"} {
			if err := os.MkdirAll(filepath.Join(f.store, dir, own), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(f.dir, filepath.Join(f.store, "docker", "link")); err != nil {
		t.Fatal(err)
	}
	strays = append(strays, "docker/link")
	slices.Sort(strays)
	if got := foreignIn(t, f); !slices.Equal(got, strays) {
		t.Errorf("foreign are %q, want %q", got, strays)
	}
	v2 := filepath.Join(f.dir, "mounted")
	if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
		t.Fatal(err)
	}
	f.store = v2
	want := slices.DeleteFunc(strays, func(key string) bool { return !strings.HasPrefix(key, layout.Root) })
	if got := foreignIn(t, f); !slices.Equal(got, want) {
		t.Errorf("of a v2 alone foreign are %q, want %q", got, want)
	}
}

// TestForeignFilesAboveABucket: in a bucket they are found with a page a level.
func TestForeignFilesAboveABucket(t *testing.T) {
	b, strays := strayed()
	f, s := bucketed(t)
	s.Make(t, "registry").Fill(t, s3test.From(b.Into, "some/path/"))
	f.store = "s3://registry/some/path"
	if got := foreignIn(t, f, "--s3-endpoint", s.Endpoint); !slices.Equal(got, strays) {
		t.Errorf("foreign are %q, want %q", got, strays)
	}
}

// TestALinkIntoTheStoreIsNotFollowed: objects with two names would be checked twice, and what
// one name doesn't need would be removed under the other.
func TestALinkIntoTheStoreIsNotFollowed(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("b", "v1", fixtures.Image{})
	f := newFix(t, b)
	link := func(target, key string) string {
		t.Helper()
		at := filepath.Join(f.store, key)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
		return key
	}
	elsewhere := filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	inside := link("../a", layout.RepositoryKey("b/c"))
	over := link(f.store, layout.RepositoryKey("c"))
	once, twice := link(elsewhere, layout.RepositoryKey("d")), link(elsewhere, layout.RepositoryKey("e"))
	before := f.content(t)
	for _, c := range []struct {
		follow []string
		exit   int
	}{{[]string{inside}, 16}, {[]string{over}, 16}, {[]string{once, twice}, 16}, {[]string{once, filepath.Join(f.store, once)}, 8}} {
		for _, args := range []string{"check STORE", "fix STORE --apply --yes"} {
			all := strings.Fields(args)
			for _, key := range c.follow {
				all = append(all, "--follow", key)
			}
			exit := f.run(all...)
			if c.exit == 16 && (exit != 16 || !strings.Contains(f.errs.String(), "under another name")) || c.exit != 16 && exit == 16 {
				t.Errorf("%q: exit %d, %s", all, exit, f.errs.String())
			}
			f.untouched(t, args, before)
		}
	}
}

// TestAStoreBehindALink: a followed link may lead to a whole store.
func TestAStoreBehindALink(t *testing.T) {
	f := newFix(t, small())
	docker, elsewhere := filepath.Join(f.store, "docker"), filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Rename(docker, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, docker); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("check", "STORE", "--follow", "docker"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestAV2Alone moves the v2 directory out of a store: by its path or that of its parent, it
// has the same findings and plan, is fixed and undone.
func TestAV2Alone(t *testing.T) {
	for name, b := range map[string]*fixtures.Builder{"littered": littered(), "rotten": rotten()} {
		f := newFix(t, b)
		want := f.plan(t)
		if len(want.Steps) == 0 {
			t.Fatal("there is nothing to do")
		}
		holder := filepath.Join(f.dir, "mounted")
		v2 := filepath.Join(holder, "v2")
		if err := os.Mkdir(holder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
			t.Fatal(err)
		}
		for _, f.store = range []string{holder, v2} {
			if got := f.plan(t); got.Plan != want.Plan || len(got.Steps) != len(want.Steps) {
				t.Errorf("%s, STORE %s: plan %s with %d steps, and %s with %d in its place",
					name, f.store, got.Plan, len(got.Steps), want.Plan, len(want.Steps))
			}
		}
		f.fixOne(t, name, false, nil)
		if _, err := os.Stat(filepath.Join(v2, outside.StateName)); err != nil {
			t.Errorf("the state directory isn't in the root: %v", err)
		}
	}
}

// TestPlacesInAV2Alone: keys of followed links, state directories and reports work as in a
// whole store.
func TestPlacesInAV2Alone(t *testing.T) {
	f := newFix(t, littered())
	v2 := filepath.Join(f.dir, "v2")
	if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
		t.Fatal(err)
	}
	f.store = v2
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	from := filepath.Join(v2, "repositories", "base")
	if err := os.Rename(from, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, from); err != nil {
		t.Fatal(err)
	}
	if f.judge(t).Complete {
		t.Error("a link was followed that nobody named")
	}
	for _, follow := range []string{layout.Repositories + "/base", from} {
		if !f.judge(t, "--follow", follow).Complete {
			t.Errorf("--follow %s isn't heeded: %s", follow, f.errs.String())
		}
	}
	for _, c := range [][]string{
		{"check", "STORE", "--report", "STORE/blobs/r.json"}, {"fix", "STORE", "--state", "STORE/blobs/state"},
	} {
		if exit := f.run(c...); exit != 16 || !strings.Contains(f.errs.String(), "STORE/blobs") && !strings.Contains(f.errs.String(), v2) {
			t.Errorf("%q: exit %d, %s", c, exit, f.errs.String())
		}
	}
}

// TestSchema1: tags of schema 1 are reported, with the version that can't serve them, and ls
// shows them.
func TestSchema1(t *testing.T) {
	b := small()
	const note = "registry 2.x serves it, 3.x does not"
	f := newWhole(t, b)
	if f.run("check", "STORE"); strings.Contains(f.out.String(), note) {
		t.Errorf("there is none:\n%s", f.out.String())
	}
	for n, tag := range []string{"one", "two", "three", "four"} {
		b.Schema1("old", tag, 2)
		f.rewrite(t, b)
		if exit := f.run("check", "STORE"); exit != 0 || !strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), note) || !strings.Contains(f.out.String(), "old:"+tag) && n < 3 {
			t.Errorf("exit %d\n%s", exit, f.out.String())
		}
		var doc struct {
			Totals struct {
				Schema1 int `json:"tags_schema1"`
			}
		}
		if f.document(t, &doc, "check", "STORE"); doc.Totals.Schema1 != n+1 {
			t.Errorf("%d tags of schema 1, and the document says %d", n+1, doc.Totals.Schema1)
		}
	}
	var list struct{ Tags []struct{ Kind string } }
	f.document(t, &list, "ls", "STORE", "old")
	if len(list.Tags) != 4 || list.Tags[0].Kind != "schema-1" {
		t.Errorf("%+v", list)
	}
	if f.run("ls", "STORE", "old"); strings.Count(f.out.String(), "schema-1") != 4 {
		t.Errorf("%s", f.out.String())
	}
}

// TestConcurrentChanges: a directory that was just emptied is waited for, with a message;
// with --no-wait its state is unknown, in exit code and verdict.
func TestConcurrentChanges(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	key := layout.CurrentKey("base", "stable")
	path := filepath.Join(f.store, filepath.FromSlash(key))
	write(t, path, "")
	written := f.now().Add(-20 * time.Second)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "fix"} {
		f.slept = nil
		code := f.run(command, "STORE", "--no-progress")
		want := "regfsck: something was written or removed within the last minute around " + key + ": waiting 40 s to look again (--no-wait judges at once)\n"
		if code != 4 || f.errs.String() != want || len(f.slept) != 1 || !f.slept[0].Equal(written.Add(time.Minute)) {
			t.Errorf("%s: exit %d, slept %v, %q", command, code, f.slept, f.errs.String())
		}
		if !strings.Contains(f.out.String(), "DAMAGED: ") && command == "check" {
			t.Errorf("%s", f.out.String())
		}
		f.slept = nil
		code = f.run(command, "STORE", "--no-progress", "--no-wait")
		if code != 8 || f.errs.Len() > 0 || len(f.slept) > 0 {
			t.Errorf("%s at once: exit %d, slept %v, %q", command, code, f.slept, f.errs.String())
		}
		if !strings.Contains(f.out.String(), "INCOMPLETE: 1 tag not judged") && command == "check" || strings.Contains(f.out.String(), "CLEAN") {
			t.Errorf("%s", f.out.String())
		}
	}
}
