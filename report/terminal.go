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
//   - Everything leaves through the helpers of printer. The first error of the
//     writer is kept and what follows is dropped.

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

type printer struct {
	out   *bufio.Writer
	color bool
	width int
}

func newPrinter(w io.Writer, color bool, width int) *printer {
	if width <= 0 || width > 100 {
		width = 100
	}
	return &printer{out: bufio.NewWriterSize(w, 64<<10), color: color, width: max(width, 40)}
}

// paint returns s in a style.
func (p *printer) paint(st style, s string) string {
	if !p.color || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// line writes one line, so many steps in. The parts are joined as they are.
func (p *printer) line(steps int, parts ...string) {
	for range steps {
		p.out.WriteString("  ")
	}
	for _, s := range parts {
		p.out.WriteString(s)
	}
	p.out.WriteByte('\n')
}

// blank writes an empty line.
func (p *printer) blank() { p.out.WriteByte('\n') }

// prose writes a text of ours or a cleaned one, folded at the width, so many
// steps in.
func (p *printer) prose(steps int, text string) {
	for _, s := range fold(text, p.width-2*steps) {
		p.line(steps, s)
	}
}

// flush writes what is left and returns the first error there was.
func (p *printer) flush() error { return p.out.Flush() }

// fold breaks text at spaces into lines of at most width runes. A word that is
// longer has a line of its own.
func fold(text string, width int) []string {
	var lines []string
	var line strings.Builder
	n := 0
	for _, word := range strings.Fields(text) {
		w := utf8.RuneCountInString(word)
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
