package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The rules of all text that a person reads:
//
//   - What comes from a store is a stranger's: it goes through Clean, and so
//     can neither move the cursor nor turn the line around.
//   - Colour helps the eye and says nothing that the words don't say too.
//   - Two spaces are one step in. A heading stands at the margin, a blank line
//     goes before it.
//   - Prose is folded at the terminal's width; names, paths and commands never
//     are, so that they can be copied whole.
//   - Everything leaves as blocks of a View, which printer makes and textWriter
//     writes.

// style is an SGR sequence; plain is none.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "1;31"
	green  style = "1;32"
	yellow style = "1;33"
	cyan   style = "36"
)

// escape begins a control sequence that sets a style, and m ends it.
const escape = "\x1b["

// textWriter writes blocks as text.
type textWriter struct {
	out     *bufio.Writer
	color   bool
	width   int
	depth   int // of the table
	columns []Column
}

// WriteText writes the view as text for people, in colour and in the width that the
// options say. The error is the writer's first.
func (v View) WriteText(w io.Writer, o TextOptions) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), color: o.Color, width: TextWidth(o)}
	for b := range v {
		t.block(&b)
	}
	return t.out.Flush()
}

// TextWidth returns the width at which text is folded, in columns: that of the
// terminal, but from 40 to 100.
func TextWidth(o TextOptions) int {
	width := o.Width
	if width <= 0 || width > 100 {
		width = 100
	}
	return max(width, 40)
}

func (t *textWriter) block(b *Block) {
	switch b.Kind {
	case GapBlock:
		t.line(0)
	case HeadingBlock:
		t.line(0)
		t.line(b.Depth, t.styled(b.Text))
	case ProseBlock:
		for _, s := range Fold(t.styled(b.Text), t.width-2*b.Depth) {
			t.line(b.Depth, s)
		}
	case TableBlock:
		t.depth, t.columns = b.Depth, b.Columns
		if b.NoHeader {
			return
		}
		header := ""
		for i := range b.Columns {
			header += b.Columns[i].pad(b.Columns[i].Name)
		}
		t.line(t.depth, t.styled(escape+string(dim)+"m"+header+escape+"0m"))
	case RowBlock:
		cells := make([]string, len(b.Cells))
		for i, cell := range b.Cells {
			cells[i] = t.columns[i].pad(t.styled(cell))
		}
		t.line(t.depth, cells...)
	case CommandsBlock:
		t.commands(b.Commands)
	default:
		t.line(b.Depth, t.styled(b.Text))
	}
}

// line writes one line, so many steps in.
func (t *textWriter) line(steps int, parts ...string) {
	for range steps {
		t.out.WriteString("  ")
	}
	for _, s := range parts {
		t.out.WriteString(s)
	}
	t.out.WriteByte('\n')
}

// commands writes commands that lead on under each other.
func (t *textWriter) commands(all [][2]string) {
	t.line(0)
	wide := 0
	for _, s := range all {
		wide = max(wide, len(s[0]))
	}
	for i, s := range all {
		lead := "      "
		if i == 0 {
			lead = "Next: "
		}
		t.line(0, t.styled(escape+string(bold)+"m"+lead+escape+"0m"), left(s[0], wide), "  ", t.styled(escape+string(dim)+"m"+s[1]+escape+"0m"))
	}
}

// styled returns text as it is to be written: without styles where there is no colour.
func (t *textWriter) styled(text string) string {
	if t.color {
		return text
	}
	return Unstyled(text)
}

// Unstyled returns a text without its styles.
func Unstyled(text string) string {
	if !strings.Contains(text, escape) {
		return text
	}
	var b strings.Builder
	for _, part := range Spans(text) {
		b.WriteString(part)
	}
	return b.String()
}

// TextLen returns how many runes of a text are seen: all but its styles.
func TextLen(text string) int { return utf8.RuneCountInString(Unstyled(text)) }

// pad returns a cell as wide as its column; what fills it up has the cell's style.
func (c *Column) pad(cell string) string {
	fill := strings.Repeat(" ", max(0, c.Width-TextLen(cell)))
	before, after := "", ""
	if open := strings.IndexByte(cell, 'm') + 1; open > 0 && strings.HasPrefix(cell, escape) {
		before, cell = cell[:open], cell[open:]
		if inner, ok := strings.CutSuffix(cell, escape+"0m"); ok {
			cell, after = inner, escape+"0m"
		}
	}
	if c.Right {
		cell = fill + cell
	} else {
		cell += fill
	}
	return strings.Repeat(" ", c.Gap) + before + cell + after
}

// Fold breaks text at spaces into lines of at most width runes, styles not counted. A
// word that is longer has a line of its own.
func Fold(text string, width int) []string {
	var lines []string
	var line strings.Builder
	n := 0
	for _, word := range strings.Fields(text) {
		w := TextLen(word)
		if n > 0 && n+1+w > width {
			lines = append(lines, line.String())
			line.Reset()
			n = 0
		}
		if n > 0 {
			line.WriteByte(' ')
			n++
		}
		line.WriteString(word)
		n += w
	}
	if n > 0 {
		lines = append(lines, line.String())
	}
	return lines
}

// Clean returns s fit for a terminal: control characters, bytes that are no
// UTF-8, marks that change the direction of writing and everything else that
// can't be seen are written as Go escapes, and so is the backslash itself.
func Clean(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || r == '\\' || !strconv.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// left and right pad s with spaces to n runes.
func left(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

func right(s string, n int) string {
	return strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) + s
}
