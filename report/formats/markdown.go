package formats

import (
	"bufio"
	"io"
	"regexp"
	"strings"

	"regfsck/report"
	"regfsck/report/view"
)

// markdownLimit is the most entries of a list: Markdown is for issues and chats; JSON has
// everything.
const markdownLimit = 25

// markdownOptions are the options of the view.
var markdownOptions = view.Options{Terminal: true, Limit: markdownLimit}

// markdownWriter writes the text in GitHub's Markdown, the verdict first, with lists cut.
func markdownWriter(d report.Document) func(io.Writer) error {
	return func(w io.Writer) error {
		m := &markdown{out: bufio.NewWriter(w)}
		parts := map[view.BlockKind]int{view.TitleBlock: -2, view.VerdictBlock: -1} // the others have 0
		for part := -2; part <= 0; part++ {
			for b := range d.View(markdownOptions) {
				if parts[b.Kind] == part {
					m.block(&b)
				}
			}
		}
		m.end()
		return m.out.Flush()
	}
}

// markdown writes blocks.
type markdown struct {
	out    *bufio.Writer
	inside view.BlockKind // the kind of the lines since the last empty one, GapBlock for none
	table  view.Block     // the last one that began
	open   bool           // its header is written
}

func (m *markdown) say(parts ...string) {
	for _, s := range parts {
		m.out.WriteString(s)
	}
	m.out.WriteByte('\n')
}

// part separates blocks of different kinds.
func (m *markdown) part(kind view.BlockKind) {
	if m.inside != kind || kind != view.LineBlock && kind != view.RowBlock {
		m.end()
	}
	m.inside = kind
}

// end writes an empty line after a group of lines.
func (m *markdown) end() {
	if m.inside == view.LineBlock || m.inside == view.RowBlock {
		m.say()
	}
	m.inside, m.open = view.GapBlock, false
}

func (m *markdown) block(b *view.Block) {
	switch b.Kind {
	case view.TitleBlock:
		m.part(b.Kind)
		m.say("# ", inMarkdown(view.Unstyled(b.Text)), "\n")
	case view.HeadingBlock:
		m.part(b.Kind)
		m.say("## ", inMarkdown(view.Unstyled(b.Text)), "\n")
	case view.VerdictBlock:
		m.part(b.Kind)
		m.say("> ", inMarkdown(b.Text), "\n")
	case view.LineBlock:
		m.item(b.Depth, b.Text)
	case view.ProseBlock:
		if b.Depth > 1 { // it is a part of the line above
			m.item(b.Depth, b.Text)
			return
		}
		m.part(b.Kind)
		m.say(inMarkdown(b.Text), "\n")
	case view.TableBlock:
		if m.table = *b; !b.NoHeader {
			m.end()
		}
	case view.RowBlock:
		if m.table.NoHeader {
			m.item(m.table.Depth, strings.Join(b.Cells, "  "))
			return
		}
		m.part(b.Kind)
		m.row(b.Cells)
	case view.CommandsBlock:
		m.part(b.Kind)
		for _, c := range b.Commands {
			m.say(inMarkdown(c[1]), ":\n\n```sh\n", c[0], "\n```\n")
		}
	}
}

// item writes an indented line of a list.
func (m *markdown) item(steps int, text string) {
	m.part(view.LineBlock)
	m.say(strings.Repeat("  ", max(0, steps-1)), "- ", inMarkdown(text))
}

func (m *markdown) row(cells []string) {
	if !m.open {
		names, rules := "|", "|"
		for _, c := range m.table.Columns {
			rule := " --- |"
			if c.Right {
				rule = " ---: |"
			}
			names, rules = names+" "+inMarkdown(c.Name)+" |", rules+rule
		}
		m.say(names, "\n", rules)
		m.open = true
	}
	row := "|"
	for _, cell := range cells {
		row += " " + inMarkdown(cell) + " |"
	}
	m.say(row)
}

// markdownEscapes escapes special characters of Markdown.
var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "|", `\|`, "[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
	"https://", "https:<!-- -->//", "http://", "http:<!-- -->//", "www.", "www<!-- -->.",
)

// mention matches text that notifies a user of GitHub.
var mention = regexp.MustCompile(`(^|\W)@(\w)`)

// inMarkdown converts styled text: bold remains; the words alone express the others.
func inMarkdown(text string) string {
	var b strings.Builder
	for style, part := range view.Spans(text) {
		part = mention.ReplaceAllString(markdownEscapes.Replace(part), "$1@<!-- -->$2")
		if trimmed := strings.TrimSpace(part); style == string(view.Bold) && trimmed != "" {
			part = strings.Replace(part, trimmed, "**"+trimmed+"**", 1)
		}
		b.WriteString(part)
	}
	return strings.TrimSpace(b.String())
}
