package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// Two reports of a store are compared: one before and one after a tag broke.
func TestReportsAreCompared(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	f.run("check", "STORE", "--report", "DIR/old.json", "--no-progress")
	key := layout.CurrentKey("twin", "a")
	if err := os.WriteFile(filepath.Join(f.store, key), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.run("check", "STORE", "--report", "DIR/new.json", "--no-progress", "--no-wait")
	if exit := f.run("diff", "DIR/old.json", "DIR/old.json", "--quiet"); exit != 0 || !strings.HasPrefix(f.out.String(), "THE SAME: ") {
		t.Errorf("with itself: exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	if exit := f.run("diff", "DIR/old.json", "DIR/new.json", "--report", "DIR/diff.html", "--report", "DIR/diff.csv"); exit != 0 || strings.Contains(f.out.String(), "THE SAME") || !strings.Contains(f.out.String(), key) {
		t.Errorf("exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	for _, file := range []string{"diff.html", "diff.csv"} {
		if body, err := os.ReadFile(filepath.Join(f.dir, file)); err != nil || !strings.Contains(string(body), key) {
			t.Errorf("%s: %v", file, err)
		}
	}
	f.run("diff", "DIR/old.json", "DIR/new.json", "--json")
	if f.run("diff", "DIR/new.json", "DIR/old.json", "--json"); !strings.Contains(f.out.String(), `"schema":"regfsck.diff/1"`) {
		t.Errorf("%s%s", f.out.String(), f.errs.String())
	}
	for args, want := range map[string]string{
		"diff": "takes two reports", "diff DIR/old.json": "takes two reports", "diff DIR/old.json DIR/nope": "can't be read: no such file",
		"diff DIR/old.json DIR/diff.csv": "no JSON report", "diff DIR/old.json DIR/new.json --report DIR/x.prom": "one of .json, .csv, .md and .html",
	} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}
