package help

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"regfsck/report/view"
)

// TestPages: every page has the name of its file, a summary, and content.
func TestPages(t *testing.T) {
	for dir, all := range map[string][]Page{"topics": Topics(), "commands": Commands()} {
		if len(all) < 12 {
			t.Errorf("%d %s", len(all), dir)
		}
		for _, p := range all {
			if len(p.Blocks) == 0 || len(p.Brief) > 72 || strings.HasSuffix(p.Brief, ".") {
				t.Errorf("%s: %d blocks, %q", p.Name, len(p.Blocks), p.Brief)
			}
			if file, err := files.ReadFile(map[string]string{"topics": "", "commands": "commands/"}[dir] + p.Name + ".md"); err != nil || !bytes.HasPrefix(file, []byte("# "+p.Name+": ")) {
				t.Errorf("%s: the name is not its file's: %v", p.Name, err)
			}
		}
	}
	for _, p := range Commands() {
		parts := p.Parts()
		if len(parts) < 2 || parts[0].Name != "" || len(parts[0].Blocks) == 0 || parts[1].Name != "Examples" || len(parts[1].Commands()) == 0 {
			t.Errorf("%s doesn't begin with what it does and examples", p.Name)
		}
		if brief := CommandBrief(p.Name); brief != p.Brief {
			t.Errorf("the line about %s is %q, and without its page %q", p.Name, p.Brief, brief)
		}
	}
	if _, ok := Topic("check"); ok {
		t.Error("a command is a topic")
	}
	if _, ok := Command("recipes"); ok || CommandBrief("recipes") != "" {
		t.Error("a topic is a command")
	}
}

// TestReadRefuses: unsupported Markdown is an error.
func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no title",
		"Only words.\n":                  "no title",
		"# name\n":                       "no name with a line about it",
		"# a: b\n\n> quoted\n":           "no Blockquote",
		"# a: b\n\n<div>x</div>\n":       "no HTMLBlock",
		"# a: b\n\nwith <b>html</b>\n":   "no RawHTML",
		"# a: b\n\nabove\n\n---\n":       "no ThematicBreak",
		"# a: b\n\n- in a list\n  > x\n": "no Blockquote",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

const sample = "# a: b\n\nSome `code \\| x` and *more*, [a link](x.md) \\<y>\nover lines.\n\n" +
	"- one\n- two `a`\n  - deep\n\n    and more\n\n1. first\n\n```sh\nregfsck check  # why\n  $ bin/regfsck fix\n  kubectl x\n```\n\n" +
	"## Part\n\n| A | B | C |\n|---|---|---|\n| `x` | y | z |\n| long long long long long long term | y \\| w | |\n"

// TestText compares a page as text in 40 columns.
func TestText(t *testing.T) {
	p, err := Read([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.View(view.Options{Width: 40}).WriteText(&out, view.Options{Width: 40}); err != nil {
		t.Fatal(err)
	}
	want := `
  Some code | x and more, a link <y>
  over lines.

  - one
  - two a
    - deep

      and more

  1. first

    regfsck check  # why
      $ bin/regfsck fix
      kubectl x

Part
  x  B: y; C: z
  long long long long long long term
      B: y | w
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if got := strings.Join(p.Commands(), "|"); got != "regfsck fix" {
		t.Errorf("commands %q", got)
	}
}

// TestWidth: only code and long words are wider than the terminal.
func TestWidth(t *testing.T) {
	for _, width := range []int{40, 60, 80, 100} {
		o := view.Options{Width: width, Color: true}
		for _, p := range append(Topics(), Commands()...) {
			code := map[string]bool{}
			for _, b := range p.Blocks {
				for _, line := range b.Lines {
					code[strings.TrimSpace(line)] = true
				}
			}
			var out bytes.Buffer
			if err := p.View(o).WriteText(&out, o); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimRight(view.Unstyled(line), "\n")
				words := strings.TrimLeft(line, " -")
				if utf8.RuneCountInString(line) > width && !code[strings.TrimSpace(line)] && strings.Contains(words, " ") {
					t.Errorf("%s: %d wide in %d: %q", p.Name, utf8.RuneCountInString(line), width, line)
				}
			}
		}
	}
}

// TestManEscapes: special characters of roff are escaped.
func TestManEscapes(t *testing.T) {
	p, err := Read([]byte("# a: b-c\n\n.dot 'quote \\\\ back\n\n    'code\n    .dot and " + strings.Repeat("long ", 30) + "\n\n" + strings.TrimPrefix(sample, "# a: b\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.WriteMan(&out, Manual{Title: "regfsck-a", Section: 7, Date: "2026-11-29", Program: "regfsck 1", See: []string{"regfsck (1)", "regfsck-b (1)"}}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{".TH REGFSCK-A 7 2026-11-29 \"regfsck 1\"\n", "\nregfsck\\-a \\- \\\nb\\-c\n", "\n\\&.dot 'quote \\e back\n", "\n\\&'code\n", "\n\\&.dot and long", " \\\nlong", ".SH PART\n", ".TP\n\\fBx\\fR\n", ".BR regfsck (1) ,\n.BR regfsck-b (1)\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Count(text, ".RS") != strings.Count(text, ".RE") {
		t.Errorf("what is moved in isn't moved out in\n%s", text)
	}
}

// TestGenerated: each generated part has a topic.
func TestGenerated(t *testing.T) {
	for name := range generated {
		if _, ok := Topic(name); !ok {
			t.Errorf("a part is made for %s, which is no topic", name)
		}
	}
}
