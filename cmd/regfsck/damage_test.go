package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
)

var update = flag.Bool("update", false, "write the documents of checks to testdata instead of comparing them")

// golden is a check and its document.
type golden struct {
	Damage   string         `json:"damage"`
	Flags    []string       `json:"flags"`
	Document map[string]any `json:"document"`
}

// healthy returns stores without damage, with the flags that they need.
func healthy() (all []fixtures.Damage) {
	nothing := func(*fixtures.Builder) []fixtures.Found { return nil }
	return []fixtures.Damage{
		{ID: "healthy", Name: "none", Apply: nothing},
		{ID: "healthy", Name: "none, all looked at", Apply: nothing, Thorough: true, Verify: true, Untagged: true},
	}
}

// TestEachDamageAsAWholeDocument compares the document of each damage with testdata, and with
// a check of the same store in memory.
func TestEachDamageAsAWholeDocument(t *testing.T) {
	files := map[string][]golden{}
	f := newWhole(t, fixtures.New(1))
	for _, d := range append(healthy(), fixtures.Damages()...) {
		b := fixtures.Standard()
		found := d.Apply(b)
		f.rewrite(t, b)
		if d.Disk != nil {
			if err := d.Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}
		var asked check.Options
		f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			asked = o
			return check.Store(ctx, r, o)
		}
		got := f.judge(t, flagsFor(d)...)
		if got, want := got.lines(), told(found); !slices.Equal(got, want) {
			t.Errorf("%s/%s: found\n%s\nwant\n%s", d.ID, d.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		files[d.ID] = append(files[d.ID], golden{d.Name, flagsFor(d), lasting(t, f)})
		sameInMemory(t, d, b, asked, f.out.Bytes())
	}
	for id, checks := range files {
		compare(t, filepath.Join("testdata", "check", id+".json"), checks)
	}
	names, err := filepath.Glob("testdata/check/*")
	if err != nil || len(names) != len(files) {
		t.Errorf("%v: %q are the files of %q", err, names, slices.Sorted(maps.Keys(files)))
	}
}

// lasting returns the document on stdout without what varies between runs and systems.
func lasting(t *testing.T, f *fake) map[string]any {
	t.Helper()
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(f.out.Bytes()))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc["target"] != f.store {
		t.Errorf("the target is %v, not %s", doc["target"], f.store)
	}
	const varies = "varies"
	doc["target"], doc["started"], doc["finished"] = "STORE", varies, varies
	doc["tool"].(map[string]any)["version"] = varies
	delete(doc, "again") // it has the test's directory
	cost := doc["cost"].(map[string]any)
	for _, name := range []string{"seconds", "requests", "calls", "bytes_read"} {
		cost[name] = varies
	}
	for _, phase := range cost["phases"].([]any) {
		phase.(map[string]any)["seconds"] = varies
	}
	return doc
}

// compare compares checks with a golden file, or writes it.
func compare(t *testing.T, name string, checks []golden) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(checks); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Errorf("%s differs from line %d on; got\n%s", name, i+1, strings.Join(got[min(i, len(got)):min(i+8, len(got))], "\n"))
			return
		}
	}
}

// sameInMemory checks the same store in memory and compares the findings. Memory has no
// symbolic links: details about them differ.
func sameInMemory(t *testing.T, d fixtures.Damage, b *fixtures.Builder, o check.Options, document []byte) {
	t.Helper()
	var r backend.Reader = b.Memory()
	if d.Disk != nil {
		refused := d.Apply(b)[0].Path
		b.RemoveAll(refused)
		b.Put(refused, nil)
		r = fixtures.NewFaulty(b.Memory(), func(_ int, _ fixtures.Op, key string) fixtures.Wrong {
			if key == refused {
				return fixtures.Fail
			}
			return fixtures.Right
		})
	}
	sameIn(t, d, r, o, document)
}

// sameIn checks another store and compares the findings with a document.
func sameIn(t *testing.T, d fixtures.Damage, r backend.Reader, o check.Options, document []byte) {
	t.Helper()
	result, _, err := check.Store(context.Background(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := report.Check{Result: result, FailOn: finding.Error, Exit: exitcode.OfCheck(result, finding.Error, nil)}
	if err := report.WriteJSON(&out, &c); err != nil {
		t.Fatal(err)
	}
	var dir, memory map[string]json.RawMessage
	if err := json.Unmarshal(document, &dir); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &memory); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"complete", "verdict", "totals", "counts", "notes", "broken_tags", "findings", "exit"} {
		got, want := string(memory[name]), string(dir[name])
		if name == "findings" && d.Disk != nil {
			want = strings.Replace(want, backend.ErrSymlink.Error(), fixtures.ErrFaulty.Error(), 1)
		}
		if got != want {
			t.Errorf("%s/%s: in memory %s is\n%s\nand in a directory\n%s", d.ID, d.Name, name, got, want)
		}
	}
}

// rotten returns a store with objects that a check could change by mistake.
func rotten() *fixtures.Builder {
	return damaged("blob-missing", "manifest-corrupt", "link-invalid", "tag-dangling", "tag-without-current",
		"foreign-file", "name-invalid", "blob-orphan", "repo-empty", "upload-stale", "tmp-stale", "folder-empty", "signature-legacy")
}

// TestCheckNeverWrites compares bytes, modes and times of all files and directories before
// and after checks with all combinations of flags.
func TestCheckNeverWrites(t *testing.T) {
	f := newWhole(t, rotten())
	moved := filepath.Join(f.aside(t), "moved")
	repository := filepath.Join(f.store, "docker/registry/v2/repositories/base")
	if err := os.Rename(repository, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(moved, repository); err != nil {
		t.Fatal(err)
	}
	choices := [][]string{
		{"--json"}, {"--thorough", "--workers", "1"}, {"--untagged", "--grace", "0"}, {"--verify", "all"},
		{"--report", "DIR/r.json"}, {"--follow", repository},
	}
	before := snapshot(t, f.store)
	there := snapshot(t, moved)
	for set := range 1 << len(choices) {
		args := []string{"check", "STORE"}
		for i, flags := range choices {
			if set>>i&1 == 1 {
				args = append(args, flags...)
			}
		}
		want := 4
		if !strings.Contains(strings.Join(args, " "), "--follow") {
			want |= 8
		}
		if exit := f.run(args...); exit != want {
			t.Errorf("%q: exit %d, want %d\n%s", args, exit, want, f.errs.String())
		}
		if diff := append(before.Diff(snapshot(t, f.store)), there.Diff(snapshot(t, moved))...); len(diff) > 0 {
			t.Fatalf("%q changed\n%s", args, strings.Join(diff, "\n"))
		}
	}
	if files, err := os.ReadDir(f.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v: not just the report was written", files, err)
	}
	before = snapshot(t, filepath.Dir(f.store))
	for _, args := range [][]string{{"--help"}, {"--version"}, {"explain"}, {"explain", "blob-orphan"}, {"check", "STORE", "--help"}} {
		if exit := f.run(args...); exit != 0 {
			t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
		}
	}
	if diff := before.Diff(snapshot(t, filepath.Dir(f.store))); len(diff) > 0 {
		t.Errorf("changed\n%s", strings.Join(diff, "\n"))
	}
}

// TestHalfTheReadsFail checks a store with read errors: each unreadable key, or a directory
// above it, is reported, and the other findings are those of the whole store.
func TestHalfTheReadsFail(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	for name, b := range map[string]*fixtures.Builder{"healthy": fixtures.Standard(), "rotten": rotten()} {
		f.rewrite(t, b)
		f.check = check.Store
		flags := []string{"--thorough", "--verify", "all"}
		truth := f.judge(t, flags...)
		var broken []string
		for _, tag := range truth.Broken {
			broken = append(broken, tag.Ref)
		}
		for seed := range uint64(8) {
			var failed []string
			rule := fixtures.Share(seed, 0.5, fixtures.Fail)
			f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
				failed = nil
				return check.Store(ctx, fixtures.NewFaulty(r, func(n int, op fixtures.Op, key string) fixtures.Wrong {
					w := rule(n, op, key)
					if w != fixtures.Right {
						failed = append(failed, strings.TrimSuffix(key, "/"))
					}
					return w
				}), o)
			}
			a := f.judge(t, flags...)
			if a.Complete || a.Exit.Code&8 == 0 || len(failed) == 0 {
				t.Errorf("%s, seed %d: %d reads failed, complete is %v, exit %d", name, seed, len(failed), a.Complete, a.Exit.Code)
			}
			named := map[string]bool{}
			for _, x := range a.Findings {
				if x.ID == "store-unreadable" {
					named[x.Path] = true
				} else if !slices.ContainsFunc(truth.Findings, func(y found) bool { return x.ID == y.ID && x.Path == y.Path }) && x.ID != "folder-empty" {
					t.Errorf("%s, seed %d: invented %s %s", name, seed, x.ID, x.Path)
				}
			}
			for _, key := range failed {
				if !covered(named, key) {
					t.Errorf("%s, seed %d: %s could not be read, and isn't named", name, seed, key)
				}
			}
			for _, tag := range a.Broken {
				if !slices.Contains(broken, tag.Ref) {
					t.Errorf("%s, seed %d: called broken: %s", name, seed, tag.Ref)
				}
			}
			exit := f.run(slices.Concat([]string{"check", "STORE", "--no-progress"}, flags)...)
			if out := f.out.String(); exit&8 == 0 || !strings.Contains(out, "INCOMPLETE: ") || strings.Contains(out, "\nCLEAN") || !strings.Contains(out, failed[0]) {
				t.Errorf("%s, seed %d: exit %d\n%s", name, seed, exit, out)
			}
		}
	}
}

// covered reports whether named has key or a directory above it.
func covered(named map[string]bool, key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if named[key] {
			return true
		}
	}
	return false
}
