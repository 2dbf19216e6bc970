package report

import (
	"bufio"
	"io"
	"regexp"
	"strings"
)

// markdownLimit is how many entries of a list are written in Markdown: it is for an
// issue or a chat, which take a few hundred lines, and the JSON has all.
const markdownLimit = 25

// markdownOptions say how a view is made that is written as Markdown.
var markdownOptions = TextOptions{Terminal: true, Limit: markdownLimit}

// markdownWriter writes what the text says, in GitHub's Markdown: the verdict above,
// lists cut.
func markdownWriter(d Document) func(io.Writer) error {
	return func(w io.Writer) error {
		m := &markdown{out: bufio.NewWriter(w)}
		for b := range d.View(markdownOptions) {
			if b.Kind == TitleBlock {
				m.block(&b)
			}
		}
		for b := range d.View(markdownOptions) {
			if b.Kind == VerdictBlock {
				m.block(&b)
			}
		}
		for b := range d.View(markdownOptions) {
			if b.Kind != TitleBlock && b.Kind != VerdictBlock {
				m.block(&b)
			}
		}
		m.end()
		return m.out.Flush()
	}
}

// markdown writes blocks as Markdown.
type markdown struct {
	out    *bufio.Writer
	inside BlockKind // the kind of the lines that stand together, GapBlock for none
	table  Block     // that was begun last
	open   bool      // its header is written
}

func (m *markdown) say(parts ...string) {
	for _, s := range parts {
		m.out.WriteString(s)
	}
	m.out.WriteByte('\n')
}

// part sets a block of a kind apart from one of another.
func (m *markdown) part(kind BlockKind) {
	if m.inside != kind || kind != LineBlock && kind != RowBlock {
		m.end()
	}
	m.inside = kind
}

// end ends what stands together.
func (m *markdown) end() {
	if m.inside == LineBlock || m.inside == RowBlock {
		m.say()
	}
	m.inside, m.open = GapBlock, false
}

func (m *markdown) block(b *Block) {
	switch b.Kind {
	case TitleBlock:
		m.part(b.Kind)
		m.say("# ", inMarkdown(Unstyled(b.Text)), "\n")
	case HeadingBlock:
		m.part(b.Kind)
		m.say("## ", inMarkdown(Unstyled(b.Text)), "\n")
	case VerdictBlock:
		m.part(b.Kind)
		m.say("> ", inMarkdown(b.Text), "\n")
	case LineBlock:
		m.item(b.Depth, b.Text)
	case ProseBlock:
		if b.Depth > 1 { // it belongs to the line above
			m.item(b.Depth, b.Text)
			return
		}
		m.part(b.Kind)
		m.say(inMarkdown(b.Text), "\n")
	case TableBlock:
		if m.table = *b; !b.NoHeader {
			m.end()
		}
	case RowBlock:
		if m.table.NoHeader {
			m.item(m.table.Depth, strings.Join(b.Cells, "  "))
			return
		}
		m.part(b.Kind)
		m.row(b.Cells)
	case CommandsBlock:
		m.part(b.Kind)
		for _, c := range b.Commands {
			m.say(inMarkdown(c[1]), ":\n\n```sh\n", c[0], "\n```\n")
		}
	}
}

// item writes a line of a list, so many steps in.
func (m *markdown) item(steps int, text string) {
	m.part(LineBlock)
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

// markdownEscapes takes the meaning from what means something in Markdown.
var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "|", `\|`, "[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
	"https://", "https:<!-- -->//", "http://", "http:<!-- -->//", "www.", "www<!-- -->.",
)

// mention is what calls somebody on GitHub.
var mention = regexp.MustCompile(`(^|\W)@(\w)`)

// inMarkdown writes a text with styles as Markdown: bold stays, the others are said
// by the words.
func inMarkdown(text string) string {
	var b strings.Builder
	for style, part := range Spans(text) {
		part = mention.ReplaceAllString(markdownEscapes.Replace(part), "$1@<!-- -->$2")
		if trimmed := strings.TrimSpace(part); style == string(bold) && trimmed != "" {
			part = strings.Replace(part, trimmed, "**"+trimmed+"**", 1)
		}
		b.WriteString(part)
	}
	return strings.TrimSpace(b.String())
}
