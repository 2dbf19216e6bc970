package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestReportsAreCompared compares reports before and after a tag broke.
func TestReportsAreCompared(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	f.run("check", "STORE", "--report", "DIR/old.json", "--no-progress")
	key := layout.CurrentKey("twin", "a")
	write(t, filepath.Join(f.store, key), "")
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

// TestNotLookedForIsNotGone: findings that the new check didn't look for aren't gone, and
// their tags aren't healed.
func TestNotLookedForIsNotGone(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	for _, key := range b.Keys() {
		if k, err := layout.Parse(key); err == nil && k.Kind == layout.Blob {
			path := filepath.Join(f.store, key)
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(body) > 0 && body[0] != '{' { // neither manifest nor config
				body[0]++
				if err := os.WriteFile(path, body, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	f.run("check", "STORE", "--verify", "all", "--untagged", "--thorough", "--report", "DIR/old.json", "--no-progress", "--no-wait")
	f.run("check", "STORE", "--report", "DIR/new.json", "--no-progress", "--no-wait")
	f.run("diff", "DIR/old.json", "DIR/new.json")
	text := f.out.String()
	for _, want := range []string{"verify: all in the old one, manifests in the new one", "thorough: true in the old one, false in the new one", "FINDINGS THAT THE NEW CHECK DID NOT LOOK FOR", "blob-corrupt  "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "GONE") || strings.Contains(text, "WHOLE NOW") {
		t.Errorf("damage that nobody looked for is called gone:\n%s", text)
	}
	f.run("diff", "DIR/old.json", "DIR/new.json", "--json")
	for _, want := range []string{`"tags_healed":[]`, `"gone":[]`, `"not_looked_for":[` + "\n", `"looked":{"verify":"all","thorough":true,"untagged":true,"grace_seconds":3600}`} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, f.out.String())
		}
	}
}
