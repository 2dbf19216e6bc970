package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"regfsck/backend/words"
)

// textWriter writes blocks as text.
type textWriter struct {
	out     *bufio.Writer
	color   bool
	width   int // of the terminal; 0 for none
	prose   int // of wrapped text
	depth   int // of the table
	columns []Column
	dropped []bool // columns that don't fit
}

// WriteText writes the view as text, with the colour and width of the options. The error is
// w's.
func (v View) WriteText(w io.Writer, o Options) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), color: o.Color, prose: TextWidth(o)}
	if o.Width > 0 {
		t.width = max(o.Width, 40)
	}
	for b := range v {
		t.block(&b)
	}
	return t.out.Flush()
}

// TextWidth returns the width of wrapped text, in columns: the terminal's, but from 40 to
// 100.
func TextWidth(o Options) int {
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
		t.parts(b.Depth, t.styled(b.Text))
	case ProseBlock:
		t.folded(b.Depth, t.styled(b.Text), t.prose)
	case VerdictBlock:
		if text := t.styled(b.Text); t.fits(0, text) {
			t.line(0, text)
		} else {
			t.folded(0, text, t.width)
		}
	case TableBlock:
		t.begin(b)
	case RowBlock:
		t.row(words.All(b.Cells, t.styled))
	case CommandsBlock:
		t.commands(b.Commands)
	default:
		t.parts(b.Depth, t.styled(b.Text))
	}
}

// fits reports whether an indented text fits on a line of the terminal.
func (t *textWriter) fits(steps int, text string) bool {
	return t.width == 0 || 2*steps+TextLen(text) <= t.width
}

// line writes an indented line.
func (t *textWriter) line(steps int, parts ...string) {
	for range steps {
		t.out.WriteString("  ")
	}
	for _, s := range parts {
		t.out.WriteString(s)
	}
	t.out.WriteByte('\n')
}

// folded writes indented text, wrapped to a width that includes the indentation.
func (t *textWriter) folded(steps int, text string, width int) {
	for _, s := range Fold(text, width-2*steps) {
		t.line(steps, s)
	}
}

// parts writes a line. If it is too wide, its parts, which two spaces separate, get lines of
// their own: sentences are wrapped, commands aren't. Text that begins with spaces was
// formatted before.
func (t *textWriter) parts(steps int, text string) {
	if t.fits(steps, text) || steps == 0 && strings.HasPrefix(text, " ") {
		t.line(steps, text)
		return
	}
	in, line := steps, ""
	flush := func() {
		switch {
		case line == "":
			return
		case t.fits(in, line) || strings.Contains(Unstyled(line), "regfsck "):
			t.line(in, line)
		default:
			t.folded(in, line, t.width)
		}
		in, line = steps+2, ""
	}
	for part := range strings.SplitSeq(text, "  ") {
		part = strings.TrimPrefix(part, " ")
		switch {
		case TextLen(part) == 0:
			line += part
		case TextLen(line) == 0:
			line += part
		case t.fits(in, line+"  "+part):
			line += "  " + part
		default:
			flush()
			line = part
		}
	}
	flush()
}

// begin begins a table: it omits columns that don't fit, and writes the header.
func (t *textWriter) begin(b *Block) {
	t.depth, t.columns = b.Depth, b.Columns
	t.dropped = make([]bool, len(b.Columns))
	for t.width > 0 {
		sum, last := 2*t.depth, -1
		for i, c := range t.columns {
			if t.dropped[i] {
				continue
			}
			sum += c.Gap + max(c.Width, utf8.RuneCountInString(c.Name))
			if c.Drop > 0 && (last < 0 || c.Drop > t.columns[last].Drop) {
				last = i
			}
		}
		if sum <= t.width || last < 0 {
			break
		}
		t.dropped[last] = true
	}
	if b.NoHeader {
		return
	}
	names := words.All(b.Columns, func(c Column) string { return c.Name })
	t.line(t.depth, t.styled(escape+string(Dim)+"m"+t.padded(names)+escape+"0m"))
}

// padded returns a row as one line without trailing spaces.
func (t *textWriter) padded(cells []string) string {
	last := len(cells) - 1
	for last > 0 && (t.dropped[last] || TextLen(cells[last]) == 0) {
		last--
	}
	var b strings.Builder
	for i, cell := range cells[:last+1] {
		c := t.columns[i]
		if i == last && !c.Right {
			c.Width = 0
		}
		if !t.dropped[i] {
			b.WriteString(c.pad(cell))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// row writes a row. If it is too wide, a first cell that is wider than its column gets a line
// of its own, and so does the last cell.
func (t *textWriter) row(cells []string) {
	line := t.padded(cells)
	if first := &t.columns[0]; !t.fits(t.depth, line) && first.Width > 0 && TextLen(cells[0]) > first.Width {
		t.parts(t.depth, cells[0])
		cells[0] = ""
		line = t.padded(cells)
	}
	if t.fits(t.depth, line) {
		t.line(t.depth, line)
		return
	}
	last := len(cells) - 1
	tail := strings.TrimLeft(cells[last], " ")
	cells[last] = ""
	if head := t.padded(cells); TextLen(head) > 0 {
		t.parts(t.depth, head)
	}
	t.parts(t.depth+2, tail)
}

// maxAligned is the longest command whose description is aligned.
const maxAligned = 60

// commands writes suggested commands, a line each.
func (t *textWriter) commands(all [][2]string) {
	t.line(0)
	wide := 0
	for _, s := range all {
		if n := utf8.RuneCountInString(s[0]); n <= maxAligned {
			wide = max(wide, n)
		}
	}
	for i, s := range all {
		lead := "      "
		if i == 0 {
			lead = "Next: "
		}
		lead, why := t.styled(escape+string(Bold)+"m"+lead+escape+"0m"), t.styled(escape+string(Dim)+"m"+s[1]+escape+"0m")
		if line := lead + fmt.Sprintf("%-*s", wide, s[0]) + "  " + why; t.fits(0, line) {
			t.line(0, line)
			continue
		}
		t.line(0, lead, s[0])
		t.folded(5, why, t.prose)
	}
}

// styled returns text, without styles if there is no colour.
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

// TextLen returns the number of runes of a text without styles.
func TextLen(text string) int { return utf8.RuneCountInString(Unstyled(text)) }

// pad returns a cell padded to its column; the padding has the cell's style.
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

// Fold wraps text at spaces to lines of at most width runes, without styles. A longer word
// gets a line of its own.
func Fold(text string, width int) (lines []string) {
	n := 0 // of the last line
	for _, word := range strings.Fields(text) {
		w := TextLen(word)
		switch last := len(lines) - 1; {
		case last < 0 || n > 0 && n+1+w > width:
			lines, n = append(lines, word), w
		case n == 0: // only the begin of a style
			lines[last], n = lines[last]+word, w
		default:
			lines[last], n = lines[last]+" "+word, n+1+w
		}
	}
	return lines
}
