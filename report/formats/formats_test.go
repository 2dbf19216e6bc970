package formats

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"encoding/csv"
	"encoding/json"
	"errors"
	"io"

	"regfsck/fixtures/reports"
	"regfsck/graph/usage"
	"regfsck/report"
	"regfsck/report/view"
)

// TestAFormatIsOneRenderer: a format can be written over the view alone, and contains all of
// the text.
func TestAFormatIsOneRenderer(t *testing.T) {
	if kinds := len(reports.All()); kinds != 10 {
		t.Fatalf("%d kinds of answers", kinds)
	}
	for kind, answer := range reports.All() {
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
		if err := Renderer("markdown", answer)(&reports.Full{}); err != reports.ErrFull {
			t.Errorf("%s on a full disk: %v", kind, err)
		}
	}
}

// TestFormatsOfDocuments: each type of document has its formats and no others, also for an
// empty document.
func TestFormatsOfDocuments(t *testing.T) {
	for kind, answer := range reports.All() {
		var have []string
		for _, f := range All() {
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
	for _, d := range []report.Document{&report.Check{}, &report.Plan{}, &report.Run{}, &report.Runs{}, &report.Purge{}, &report.RepositoryList{}, &report.TagList{}, &report.BrokenList{}, &report.TagTree{}, &report.Why{}, &report.Comparison{}} {
		if len(OfDocument(d)) < 2 {
			t.Errorf("%T has no forms", d)
		}
	}
	for path, want := range map[string]string{"a/b.json": "json", "x.junit.xml": "junit", "x.xml": "", "json": "", "dot": "", "x.md.prom": "prometheus"} {
		if f, ok := OfFile(path); f.Name != want || ok != (want != "") {
			t.Errorf("%s is of the form %q", path, f.Name)
		}
	}
	if Renderer("", reports.Damaged()) != nil {
		t.Error("there is a form without a name")
	}
}

// TestViewsAreSequences: a view can be iterated twice, and partly.
func TestViewsAreSequences(t *testing.T) {
	for kind, answer := range reports.All() {
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

func TestForeignTextInAnswers(t *testing.T) {
	for kind, answer := range reports.Hostile() {
		for form, write := range map[string]func(io.Writer) error{
			"text":     func(w io.Writer) error { return answer.View(view.Options{}).WriteText(w, view.Options{}) },
			"verdict":  func(w io.Writer) error { return answer.Short(view.Options{}).WriteText(w, view.Options{}) },
			"csv":      Renderer("csv", answer),
			"markdown": Renderer("markdown", answer),
			"dot":      Renderer("dot", answer),
		} {
			var b bytes.Buffer
			if write == nil { // only some have drawings
				continue
			}
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.String() {
				if r != '\n' && (r < ' ' || strings.ContainsRune("\u202e\u200b\ufffd", r)) {
					t.Errorf("%s, %s: %q is in\n%q", kind, form, r, b.String())
					break
				}
			}
			if form == "text" && !strings.Contains(b.String(), `a\x1b[31m`) {
				t.Errorf("%s: the stranger isn't shown", kind)
			}
		}
	}
}

// TestAnswersAreWellFormed: each answer is one document, and one table if it has one.
func TestAnswersAreWellFormed(t *testing.T) {
	for kind, answer := range reports.Hostile() {
		var b bytes.Buffer
		if err := report.WriteJSON(&b, answer); err != nil || !json.Valid(b.Bytes()) {
			t.Errorf("%s: %v\n%s", kind, err, b.String())
		}
		b.Reset()
		err := Renderer("csv", answer)(&b)
		rows, again := csv.NewReader(&b).ReadAll()
		if err != nil || again != nil || len(rows) < 2 {
			t.Errorf("%s: %v, %v, %d rows", kind, err, again, len(rows))
		}
		if err := report.WriteJSON(&reports.Full{}, answer); !errors.Is(err, reports.ErrFull) {
			t.Errorf("%s on a full disk: %v", kind, err)
		}
	}
}

// TestCellsAreNoFormulas: foreign text that a spreadsheet would compute remains text; numbers
// remain numbers.
func TestCellsAreNoFormulas(t *testing.T) {
	evil := `=HYPERLINK("http://example.com","x")`
	list := &report.TagList{Repository: usage.RepositoryUsage{Name: "app"}, Rows: []report.TagRow{{}}}
	row := &list.Rows[0]
	row.Name, row.ArtifactType, row.Platforms, row.Size, row.Because = "=1+1", "+1", []string{evil}, -5, []string{"@SUM(A1)"}
	var b bytes.Buffer
	if err := Renderer("csv", list)(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q: %v", rows, err)
	}
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[1][i]
	}
	for name, want := range map[string]string{"tag": "'=1+1", "artifact_type": "'+1", "platforms": "'" + evil, "size_bytes": "-5", "broken_because": "'@SUM(A1)", "repository": "app"} {
		if got[name] != want {
			t.Errorf("%s is %q, not %q", name, got[name], want)
		}
	}
	for cell, want := range map[string]string{"-1": "'-1", "\tx": "'\\tx", "\rx": "'\\rx", "a=1": "a=1", "": "", "'=1": "'=1"} {
		if got := textValue.csvCell(cell); got != want {
			t.Errorf("%q is written as %q, not %q", cell, got, want)
		}
	}
}
