package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// mixed returns the standard store with damage and garbage, and with a repository that shares
// blobs.
func mixed() *fixtures.Builder {
	b := damaged("blob-missing", "blob-orphan", "tag-without-current")
	b.Image("app/copy", "1", fixtures.Image{Shared: b.Image("app", "edge", fixtures.Image{Layers: []int{4000}}).Blobs[1:]})
	return b
}

// TestListsAreAsRead compares lists with testdata.
func TestListsAreAsRead(t *testing.T) {
	f := newWhole(t, mixed())
	for name, c := range map[string]struct {
		args string
		exit int
	}{
		"repositories.txt":  {"", 0},
		"repositories.json": {"--json", 0},
		"tags.txt":          {"app", 0},
		"signed.txt":        {"signed --sort own", 0},
		"lists.json":        {"lists --json --sort name", 0},
		"tree.txt":          {"lists:all", 0},
		"tree.json":         {"app/web:2.0 --json", 0},
		"broken.txt":        {"--broken", 0},
		"broken.json":       {"--broken --json", 0},
	} {
		exit := f.run(slices.Concat([]string{"ls", "STORE", "--no-progress"}, strings.Fields(c.args))...)
		if exit != c.exit || f.errs.Len() > 0 {
			t.Errorf("%s: exit %d, %s", name, exit, f.errs.String())
		}
		sameText(t, filepath.Join("testdata", "ls", name), strings.ReplaceAll(f.out.String(), f.store, "STORE"))
	}
}

func TestListsAreSorted(t *testing.T) {
	f := newWhole(t, mixed())
	first := func(args ...string) string {
		path := filepath.Join(f.dir, "x.csv")
		if exit := f.run(slices.Concat([]string{"ls", "STORE", "--no-progress", "--report", path}, args)...); exit != 0 {
			t.Fatalf("%q: exit %d, %s", args, exit, f.errs.String())
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, row := range rows[1:] {
			names = append(names, row[slices.Index(rows[0], map[bool]string{true: "tag", false: "repository"}[slices.Contains(rows[0], "tag")])])
		}
		return strings.Join(names[:min(3, len(names))], " ")
	}
	for args, want := range map[string]string{
		"":                          "app/web lists signed",
		"--sort name":               "aliased app app/copy",
		"--sort pushed":             "app/copy app twin",
		"--limit 2":                 "app/web lists",
		"lists --sort size":         "all arm deep",
		"lists --sort name":         "all arm deep",
		"lists --sort pushed":       "deep all arm",
		"lists":                     "deep all arm",
		"lists --sort created":      "arm all deep",
		"lists --sort own":          "all deep arm",
		"app --limit 1 --sort name": "1.0",
	} {
		if got := first(strings.Fields(args)...); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

func TestAListIsCutOnATerminal(t *testing.T) {
	b := fixtures.New(1)
	for i := range 40 {
		b.Tag("a", fmt.Sprintf("t%02d", i), b.Image("a", "x", fixtures.Image{Layers: []int{1}}).Digest)
	}
	f := newWhole(t, b)
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	for args, want := range map[string]int{"": 30, "--limit 0": 41, "--limit 35": 35} {
		f.run(slices.Concat([]string{"ls", "STORE", "a", "--no-progress", "--color", "never"}, strings.Fields(args))...)
		if n := strings.Count(f.out.String(), " sha256:"); n != want {
			t.Errorf("%q: %d rows\n%s", args, n, f.out.String())
		}
		if more := strings.Contains(f.out.String(), fmt.Sprintf("… and %d more: regfsck ls %s a --limit 0", 41-want, f.store)); more != (want < 41) {
			t.Errorf("%q: the end says\n%s", args, f.out.String())
		}
	}
}

func TestListsRefuse(t *testing.T) {
	f := newWhole(t, mixed())
	for args, want := range map[string]string{
		"ls":                                    "no STORE was given",
		"ls STORE a b":                          "3 arguments",
		"ls STORE sgned":                        "no repository sgned in " + f.store + "; did you mean signed?",
		"ls STORE app:1.2":                      "no tag app:1.2 in " + f.store + "; did you mean app:1.0?",
		"ls STORE zzzzzzzzzz:x":                 "no repository zzzzzzzzzz in " + f.store + "\n",
		"ls STORE sgned --broken":               "did you mean signed?",
		"ls STORE app@sha256:00":                "64 of the digits",
		"ls STORE app:":                         "there is no tag",
		"ls STORE :x":                           "names no repository",
		"ls STORE --sort tag":                   "--sort is size, own, name, pushed or created",
		"ls STORE --sort created":               "that is not recorded",
		"ls STORE --sort own --broken":          "--sort is for lists",
		"ls STORE app:1.0 --broken":             "--broken is for lists",
		"ls STORE --limit -1":                   "--limit is a number from 0",
		"ls STORE --grace x":                    "--grace is a duration",
		"ls STORE --report DIR/x.xml":           "one of .json, .csv, .md and .html",
		"ls STORE --verify all":                 "there is no flag --verify",
		"ls STORE --report DIR/x.prom":          "one of .json, .csv, .md and .html",
		"ls STORE app@" + layout.Empty.String(): "ls lists by tags",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || !f.refuses(strings.Fields(args)...) {
			t.Errorf("%s: exit %d\n%s%s", args, exit, f.errs.String(), f.out.String())
		}
	}
}

// TestAListThatIsIncomplete: a list reports unreadable keys, and that a missing name may be
// among them.
func TestAListThatIsIncomplete(t *testing.T) {
	f := newWhole(t, mixed())
	link := filepath.Join(f.store, layout.RepositoryKey("linked"))
	if err := os.Symlink(f.dir, link); err != nil {
		t.Fatal(err)
	}
	for args, out := range map[string]string{"": "INCOMPLETE", "--broken": "INCOMPLETE", "app": "INCOMPLETE", "linked": ""} {
		exit := f.run(slices.Concat([]string{"ls", "STORE", "--no-progress"}, strings.Fields(args))...)
		if exit&8 == 0 || !strings.Contains(f.out.String(), out) || out == "" && !strings.Contains(f.errs.String(), "could not be read") {
			t.Errorf("%q: exit %d\n%s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
}

// TestUnknownTagsInLists: a tag whose manifest can't be parsed is neither broken nor healthy.
func TestUnknownTagsInLists(t *testing.T) {
	b := small()
	f := newWhole(t, b)
	if exit := f.run("ls", "STORE", "--broken", "--no-progress"); exit != 0 || !strings.Contains(f.out.String(), "Every tag can be pulled.") {
		t.Errorf("exit %d\n%s", exit, f.out.String())
	}
	b.PushManifest("app", "alien", "x/y", []byte(`{"x":1}`))
	f.rewrite(t, b)
	f.run("ls", "STORE", "--broken", "--no-progress")
	if out := f.out.String(); strings.Contains(out, "Every tag") || !strings.Contains(out, "1 tag could not be judged") {
		t.Errorf("%s", out)
	}
}

// TestConfigsOfABucketAreFetchedOnce: only configs of rows that are shown are fetched, once.
func TestConfigsOfABucketAreFetchedOnce(t *testing.T) {
	f, b, _, proxy, _ := known(t)
	proxy.Forget()
	at := slices.IndexFunc(b.Keys(), func(key string) bool { return strings.HasSuffix(key, "/current/link") })
	key, err := layout.Parse(b.Keys()[at])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		f.run("ls", "STORE", key.Repository, "--s3-endpoint", proxy.Endpoint, "--no-progress", "--limit", "2")
		if got := fetched(proxy); len(got) != want || f.errs.Len() > 0 {
			t.Errorf("fetched %q, not %d\n%s", got, want, f.errs.String())
		}
	}
	f.run("ls", "STORE", key.Repository, "--s3-endpoint", proxy.Endpoint, "--no-progress", "--sort", "created", "--no-cache")
	got := slices.DeleteFunc(fetched(proxy), func(key string) bool {
		file, _ := b.File(key)
		return !strings.Contains(string(file.Body), `"rootfs"`)
	})
	if slices.Sort(got); len(got) < 3 || len(slices.Compact(slices.Clone(got))) < len(got) {
		t.Errorf("to sort by created, %q were fetched", got)
	}
	f.run("ls", "STORE", "--s3-endpoint", proxy.Endpoint, "--no-progress")
	if got := fetched(proxy); len(got) > 0 {
		t.Errorf("for a list of repositories %q were fetched", got)
	}
}

var (
	moment = regexp.MustCompile(`20\d\d-\d\d-\d\dT[\d:]+Z`)
	again  = regexp.MustCompile(`\n "again":.*`)
)

// TestABucketIsListedAsADirectory: a bucket's list equals that of a directory with the same
// files, except for times and flags.
func TestABucketIsListedAsADirectory(t *testing.T) {
	f, s := bucketed(t)
	b := mixed()
	f.rewrite(t, b)
	made := s.Make(t, "mixed")
	made.Fill(t, s3test.From(b.Into, "at/a/path/"))
	dir, orphan := f.store, ""
	for _, x := range f.judge(t).Findings {
		if x.ID == "blob-orphan" {
			orphan = x.Digest
		}
	}
	for _, arguments := range []string{
		"ls STORE --sort name", "ls STORE app --sort name", "ls STORE signed --sort name", "ls STORE lists:all", "ls STORE --broken",
		"why STORE signed:v1", "why STORE app", "why STORE " + orphan,
	} {
		var said [2]string
		for i, store := range []string{dir, "s3://mixed/at/a/path"} {
			f.store = store
			flags := []string{"--json", "--no-progress", "--grace", "0s"}
			if i == 1 {
				flags = append(flags, "--s3-endpoint", s.Endpoint)
			}
			f.run(append(strings.Fields(arguments), flags...)...)
			said[i] = moment.ReplaceAllString(strings.ReplaceAll(f.out.String(), store, "STORE"), "TIME")
			said[i] = again.ReplaceAllString(said[i], "")
		}
		if said[0] != said[1] || !strings.HasPrefix(said[0], `{"schema":`) {
			t.Errorf("%s:\n%s\nand of a bucket\n%s%s", arguments, said[0], said[1], f.errs.String())
		}
	}
}

// explained is a part of the document of why.
type explained struct {
	Schema, Digest, State string
	Own                   int64  `json:"own_bytes"`
	Until                 string `json:"kept_until"`
	Newest                string
	Paths                 []struct {
		Repository, Tag string
		HeldBy          string `json:"held_by"`
		Steps           []struct{ Digest, Role string }
	}
}
