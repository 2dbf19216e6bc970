package report

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
)

// markdown is a format that somebody adds: this function, and its line in the table.
var markdown = Format{"markdown", ".md", func(d Document) func(io.Writer) error {
	return func(w io.Writer) error { return writeMarkdown(w, d.View(TextOptions{})) }
}}

func writeMarkdown(w io.Writer, v View) error {
	out := bufio.NewWriter(w)
	say := func(parts ...string) { out.WriteString(strings.Join(parts, "") + "\n") }
	styled := func(text string) string {
		var b strings.Builder
		for style, part := range Spans(text) {
			part = strings.NewReplacer("`", "\\`", "*", "\\*", "|", "\\|", "<", "&lt;").Replace(part)
			if trimmed := strings.TrimSpace(part); style == string(bold) && trimmed != "" {
				part = strings.Replace(part, trimmed, "**"+trimmed+"**", 1)
			}
			b.WriteString(part)
		}
		return strings.TrimSpace(b.String())
	}
	var columns []Column
	open := false // the table
	for b := range v {
		if b.Kind == RowBlock && !open {
			names, rule := "", ""
			for _, c := range columns {
				names, rule = names+"| "+c.Name+" ", rule+"|---"
			}
			say("\n", names, "|\n", rule, "|")
		}
		open = b.Kind == RowBlock
		switch b.Kind {
		case TitleBlock:
			say("# ", styled(b.Text))
		case HeadingBlock:
			say("\n## ", styled(b.Text), "\n")
		case VerdictBlock:
			say("\n**", strings.ReplaceAll(styled(b.Text), "**", ""), "**")
		case LineBlock:
			say(strings.Repeat("  ", b.Depth), "- ", styled(b.Text))
		case ProseBlock:
			say("\n", styled(b.Text), "\n")
		case TableBlock:
			columns = b.Columns
		case RowBlock:
			for _, cell := range b.Cells {
				out.WriteString("| " + styled(cell) + " ")
			}
			say("|")
		case CommandsBlock:
			for _, c := range b.Commands {
				say("\n    ", c[0], "\n\n", c[1])
			}
		}
	}
	return out.Flush()
}

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

// A new format renders every answer, over nothing but its view: it says all that the
// text says.
func TestAFormatIsOneRenderer(t *testing.T) {
	if kinds := len(answers()); kinds != 10 {
		t.Fatalf("%d kinds of answers", kinds)
	}
	for kind, answer := range answers() {
		var md, text bytes.Buffer
		if err := markdown.Writer(answer)(&md); err != nil {
			t.Fatal(err)
		}
		if err := answer.View(TextOptions{}).WriteText(&text, TextOptions{}); err != nil {
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
		if table := strings.Contains(md.String(), "\n|---"); table != slices.Contains([]string{"check", "plan", "run", "runs", "repositories", "tags"}, kind) {
			t.Errorf("%s: a table: %v\n%s", kind, table, md.String())
		}
		if err := markdown.Writer(answer)(full{}); err != errFull {
			t.Errorf("%s on a full disk: %v", kind, err)
		}
	}
}

// Each document can be written in the forms that it has, and in no other.
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
		want := []string{"json"}
		switch kind {
		case "repositories", "tags", "broken", "tree":
			want = []string{"json", "csv"}
		case "why":
			want = []string{"json", "dot"}
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s has the forms %v, want %v", kind, have, want)
		}
	}
	if Renderer("", damagedCheck()) != nil || Renderer(".dot", &Why{}) != nil {
		t.Error("a form without an ending is found by one")
	}
}

// A view can be run through twice, and left early.
func TestViewsAreSequences(t *testing.T) {
	for kind, answer := range answers() {
		v := answer.View(TextOptions{})
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
