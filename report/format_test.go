package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/report/view"
)

// answers are one of each kind, with something in all of its parts.
func answers() map[string]Document {
	all := map[string]Document{
		"check": damagedCheck(),
		"plan":  planOf(manySteps(3, 3), damagedFindings()...),
		"run":   &Run{Command: "fix", Store: []string{"s"}, Outcome: &apply.Outcome{Run: "r", Counts: map[finding.Kind]apply.Tally{finding.BlobOrphan: {Done: 1}}}},
		"runs":  &Runs{State: "st", Store: []string{"s"}, Runs: []journal.Summary{{ID: "id", Command: "fix"}}, Others: []backend.StateDir{{Path: "/x", Here: true}}},
		"purge": &Purge{Runs: []Purged{{ID: "a"}}},
	}
	for kind, answer := range strange() {
		all[kind] = answer
	}
	return all
}

// Markdown is a format as anybody may add one: it renders every answer over nothing but
// its view, and says all that the text says.
func TestAFormatIsOneRenderer(t *testing.T) {
	if kinds := len(answers()); kinds != 10 {
		t.Fatalf("%d kinds of answers", kinds)
	}
	for kind, answer := range answers() {
		var md, text bytes.Buffer
		if err := Renderer("markdown", answer)(&md); err != nil {
			t.Fatal(err)
		}
		if err := answer.View(markdownOptions).WriteText(&text, view.Options{}); err != nil {
			t.Fatal(err)
		}
		word := func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", r)
		}
		said := strings.FieldsFunc(md.String(), word)
		for _, w := range strings.FieldsFunc(text.String(), word) {
			if w != "Next" && !slices.Contains(said, w) {
				t.Errorf("%s: Markdown lacks %q", kind, w)
			}
		}
		if strings.Contains(md.String(), "\x1b") {
			t.Errorf("%s: a control sequence is in the Markdown", kind)
		}
		if table := strings.Contains(md.String(), "\n| ---"); table == slices.Contains([]string{"purge", "why", "broken", "tree"}, kind) {
			t.Errorf("%s: a table: %v\n%s", kind, table, md.String())
		}
		if err := Renderer("markdown", answer)(full{}); err != errFull {
			t.Errorf("%s on a full disk: %v", kind, err)
		}
	}
}

// Each document can be written in the forms that it has, and in no other; a document of
// which nothing but the type is known says which these are.
func TestFormsOfDocuments(t *testing.T) {
	for kind, answer := range answers() {
		var have []string
		for _, f := range Formats() {
			if (f.Writer(answer) == nil) != (Renderer(f.Name, answer) == nil) {
				t.Errorf("%s: %s is found and isn't", kind, f.Name)
			}
			if f.Writer(answer) != nil {
				have = append(have, f.Name)
			}
		}
		want := []string{"json", "csv", "markdown", "html"}
		switch kind {
		case "check", "plan":
			want = append(want, "prometheus", "junit")
		case "run":
			want = append(want, "prometheus")
		case "runs", "purge":
			want = []string{"json", "markdown", "html"}
		case "why":
			want = append(want, "dot")
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s has the forms %v, want %v", kind, have, want)
		}
	}
	for _, d := range []Document{&Check{}, &Plan{}, &Run{}, &Runs{}, &Purge{}, &RepositoryList{}, &TagList{}, &BrokenList{}, &TagTree{}, &Why{}, &Comparison{}} {
		if len(FileFormats(d)) < 2 {
			t.Errorf("%T has no forms", d)
		}
	}
	for path, want := range map[string]string{"a/b.json": "json", "x.junit.xml": "junit", "x.xml": "", "json": "", "dot": "", "x.md.prom": "prometheus"} {
		if f, ok := FormatOf(path); f.Name != want || ok != (want != "") {
			t.Errorf("%s is of the form %q", path, f.Name)
		}
	}
	if Renderer("", damagedCheck()) != nil {
		t.Error("there is a form without a name")
	}
}

// A view can be run through twice, and left early.
func TestViewsAreSequences(t *testing.T) {
	for kind, answer := range answers() {
		v := answer.View(view.Options{})
		count := func(most int) (n int) {
			for range v {
				if n++; n == most {
					break
				}
			}
			return n
		}
		if n := count(-1); n != count(-1) || n < 2 || count(n-1) != n-1 {
			t.Errorf("%s: %d blocks, and then %d", kind, n, count(-1))
		}
	}
}
