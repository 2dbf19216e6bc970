package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestApplyAsAWholeDocument compares the documents of an apply and of its undo
// with testdata.
func TestApplyAsAWholeDocument(t *testing.T) {
	f := newFix(t, rotten())
	for _, c := range []struct{ name, args string }{
		{"apply", "fix STORE --apply --yes --json --no-progress"},
		{"undo", "undo STORE --json --no-progress"},
	} {
		f.run(strings.Fields(c.args)...)
		var doc map[string]any
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil {
			t.Fatalf("%v: %s%s", err, f.out.String(), f.errs.String())
		}
		if run, ok := doc["run"].(string); !ok || !runIDs.MatchString(run) {
			t.Errorf("the run is %v", doc["run"])
		}
		for _, varies := range []string{"run", "started", "finished", "kept_bytes"} { // the last is in blocks of the disk
			if _, ok := doc[varies]; !ok {
				t.Errorf("%s: no %s", c.name, varies)
			}
			doc[varies] = "varies"
		}
		doc["tool"].(map[string]any)["version"] = "varies"
		all, err := json.MarshalIndent(doc, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(runIDs.ReplaceAllString(string(all), "RUN"), f.store, "STORE")
		sameText(t, filepath.Join("testdata", "fix", c.name+".json"), text+"\n")
	}
}

// TestAnIncompleteScanWithNothingToDo: a fix that has nothing to do says all the
// same that not all could be read.
func TestAnIncompleteScanWithNothingToDo(t *testing.T) {
	for _, d := range fixtures.Damages() {
		if d.Disk == nil || d.ID != "store-unreadable" {
			continue
		}
		f := newFix(t, fixtures.Standard())
		if err := d.Disk(f.store, f.aside(t)); err != nil {
			t.Fatal(err)
		}
		if n := len(f.plan(t).Steps); n > 0 {
			t.Fatalf("%s: %d steps", d.Name, n)
		}
		before := f.content(t)
		for _, args := range []string{"fix STORE", "fix STORE --apply --yes", "fix STORE --apply --yes --untagged --max-delete 100%"} {
			if exit := f.run(strings.Fields(args)...); exit&8 == 0 || exit&64 != 0 {
				t.Errorf("%s, %s: exit %d\n%s%s", d.Name, args, exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, args, before)
		}
	}
}

// TestFewBlobsOfWhichHalfAreLost: a small store that really lost half of its
// blobs is refused, is told the flag that goes on, and goes on with it.
func TestFewBlobsOfWhichHalfAreLost(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{Layers: []int{10, 20}})
	for _, lost := range m.Blobs[1:] {
		b.Erase(lost.Key())
	}
	b.Put(layout.BlobKey(layout.Sum([]byte("nobody's"))), []byte("nobody's"))
	b.Image("b", "v1", fixtures.Image{Shared: m.Blobs[:1], Layers: []int{}})
	f := newFix(t, b)
	before := f.content(t)
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--max-delete 34%") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--max-delete", "33%"); exit != 64 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "refused", before)
	var a applied
	if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--max-delete", "34%"); exit != 4 || a.Totals.Done == 0 {
		t.Errorf("exit %d, %s, %+v", exit, f.errs.String(), a)
	}
}
