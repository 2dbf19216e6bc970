package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/report"
)

var update = flag.Bool("update", false, "write the documents of checks to testdata instead of comparing them")

// golden is one check and the whole document that it gave.
type golden struct {
	Damage   string         `json:"damage"`
	Flags    []string       `json:"flags"`
	Document map[string]any `json:"document"`
}

// healthy are checks of a store without damage, by the flags they need.
func healthy() (all []fixtures.Damage) {
	nothing := func(*fixtures.Builder) []fixtures.Found { return nil }
	return []fixtures.Damage{
		{ID: "healthy", Name: "none", Apply: nothing},
		{ID: "healthy", Name: "none, all looked at", Apply: nothing, Thorough: true, Verify: true, Untagged: true},
	}
}

// TestEachDamageAsAWholeDocument compares all that a check says of each damage
// with testdata, and with what a check of the same store in memory says.
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
		var asked graph.Options
		f.check = func(ctx context.Context, r backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
			asked = o
			return graph.Check(ctx, r, o)
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

// lasting returns the document on stdout, without what differs from run to run
// and from system to system.
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
	cost := doc["cost"].(map[string]any)
	for _, name := range []string{"seconds", "requests", "calls", "bytes_read"} {
		cost[name] = varies
	}
	for _, phase := range cost["phases"].([]any) {
		phase.(map[string]any)["seconds"] = varies
	}
	return doc
}

// compare compares checks with the golden file, or writes it.
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

// sameInMemory checks the same store in memory and compares what is judged, to
// the byte. A memory can't hold a symbolic link: it refuses the place instead,
// and then the words for it differ.
func sameInMemory(t *testing.T, d fixtures.Damage, b *fixtures.Builder, o graph.Options, document []byte) {
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

// sameIn checks another store and compares what is judged with a document.
func sameIn(t *testing.T, d fixtures.Damage, r backend.Reader, o graph.Options, document []byte) {
	t.Helper()
	result, _, err := graph.Check(context.Background(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := report.Check{Result: result, FailOn: finding.Error, Exit: report.ExitOf(result, finding.Error)}
	if err := c.WriteJSON(&out); err != nil {
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
			t.Errorf("%s/%s: in memory %s is\n%s\nand in a folder\n%s", d.ID, d.Name, name, got, want)
		}
	}
}
