package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestSinceEqualsDiff: check --since prints what diff prints for both reports, in JSON, text
// and HTML; the rest of its answer is unchanged.
func TestSinceEqualsDiff(t *testing.T) {
	b := rotten()
	orphan := layout.BlobKey(layout.Sum([]byte("orphan")))
	b.PutAt(orphan, []byte("orphan"), fixtures.Epoch)
	f := newFix(t, b)
	f.run("check", "STORE", "--report", "DIR/old.json")
	b.Erase(b.Image("later", "v1", fixtures.Image{}).Blobs[1].Key())
	b.Image("app", "healed", fixtures.Image{})
	b.Erase(orphan)
	f.rewrite(t, b)
	var diff, with, without map[string]any
	f.run("check", "STORE", "--report", "DIR/new.json")
	f.document(t, &without, "check", "STORE")
	f.document(t, &with, "check", "STORE", "--since", "DIR/old.json")
	f.run("diff", "DIR/old.json", "DIR/new.json", "--json")
	if err := json.Unmarshal(f.out.Bytes(), &diff); err != nil {
		t.Fatal(err)
	}
	since := with["since"].(map[string]any)
	for _, key := range []string{"unchanged", "tags_broke", "tags_healed", "added", "gone", "not_looked_for", "old"} {
		if a, b := readable(t, since[key]), readable(t, diff[key]); a != b {
			t.Errorf("%s: the check says %s, and diff %s", key, a, b)
		}
	}
	if len(since["added"].([]any)) == 0 || len(since["gone"].([]any)) == 0 || len(since["tags_broke"].([]any)) != 1 {
		t.Errorf("since then: %s", readable(t, since))
	}
	delete(with, "since")
	for _, doc := range []map[string]any{with, without} {
		for _, key := range []string{"started", "finished", "cost", "again"} {
			delete(doc, key)
		}
	}
	if a, b := readable(t, with), readable(t, without); a != b {
		t.Errorf("with an earlier report it says\n%s\nand without\n%s", a, b)
	}
	f.run("check", "STORE", "--since", "DIR/old.json", "--report", "DIR/r.html")
	text := f.out.String()
	f.run("diff", "DIR/old.json", "DIR/new.json")
	_, said, _ := strings.Cut(f.out.String(), "TAGS BROKEN SINCE")
	if said == "" || !strings.Contains(text, "TAGS BROKEN SINCE"+said[:strings.Index(said, "WORSE: ")]) || !strings.Contains(text, "\nWORSE: ") || strings.Contains(text, "fix "+f.store+" --since") {
		t.Errorf("the check says\n%s\nand diff\n%s", text, f.out.String())
	}
	if page, err := os.ReadFile(f.dir + "/r.html"); err != nil || !strings.Contains(string(page), "What is new and what is gone") || !strings.Contains(string(page), "Since the report of ") {
		t.Errorf("%v: the page has no comparison", err)
	}
	for _, c := range []struct{ args, want string }{
		{"check STORE --since DIR/none.json", "no such file"},
		{"check STORE --since DIR/r.html", "Give what regfsck check wrote"},
		{"check STORE --since DIR/old.json --shard 1/2 --ledger DIR/l", "can't be used with --since"},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != 16 || !strings.Contains(f.errs.String(), c.want) {
			t.Errorf("%s: exit %d, %s", c.args, exit, f.errs.String())
		}
	}
}
