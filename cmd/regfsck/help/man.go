package help

import (
	"fmt"
	"io"
	"strings"

	"regfsck/report/view"
)

// Manual says of which manual a page is to be a part.
type Manual struct {
	Title   string // "regfsck-check"
	Section int    // 1 for commands, 7 for topics
	Date    string // of the last change, "2026-11-29"
	Program string // with its version
	See     []string
}

// WriteMan writes the page as a manual page in the man macros, which man-db, mandoc and
// groff read alike.
func (p Page) WriteMan(w io.Writer, m Manual) error {
	r := roff{}
	r.printf(".TH %s %d %s \"%s\"\n", strings.ToUpper(m.Title), m.Section, m.Date, m.Program)
	r.printf(".SH NAME\n%s \\- \\\n%s\n", escaped(m.Title), escaped(p.Brief)) // one line for who reads it, in two
	if len(p.Blocks) > 0 && p.Blocks[0].Kind != Heading {
		r.printf(".SH DESCRIPTION\n")
	}
	for i := range p.Blocks {
		r.block(p.Blocks, i)
	}
	r.indent(0)
	if len(m.See) > 0 {
		r.printf(".SH SEE ALSO\n.BR %s\n", strings.Join(m.See, " ,\n.BR "))
	}
	_, err := io.WriteString(w, r.out.String())
	return err
}

// roff makes a manual page.
type roff struct {
	out   strings.Builder
	depth int // how many steps in the text stands
}

func (r *roff) printf(format string, values ...any) { fmt.Fprintf(&r.out, format, values...) }

// indent goes so many steps in or out.
func (r *roff) indent(depth int) {
	for ; r.depth < depth; r.depth++ {
		r.printf(".RS 4\n")
	}
	for ; r.depth > depth; r.depth-- {
		r.printf(".RE\n")
	}
}

func (r *roff) block(all []Block, i int) {
	b := &all[i]
	if b.Kind == Heading {
		r.indent(0)
	} else {
		r.indent(b.Depth)
	}
	first := i == 0 || all[i-1].Kind == Heading
	switch b.Kind {
	case Heading:
		if b.Depth <= 2 {
			r.printf(".SH %s\n", strings.ToUpper(escaped(view.Unstyled(b.Text))))
		} else {
			r.printf(".SS %s\n", escaped(view.Unstyled(b.Text)))
		}
	case Prose:
		if !first {
			r.printf(".PP\n")
		}
		r.text(b.Text)
	case Item:
		r.printf(".IP %s 3\n", b.Term)
		r.text(b.Text)
	case Entry:
		r.printf(".TP\n")
		r.text(b.Term)
		r.text(b.Text)
	case Code:
		if !first {
			r.printf(".PP\n")
		}
		r.printf(".RS 4\n.nf\n")
		for _, line := range b.Lines {
			r.verbatim(line)
		}
		r.printf(".fi\n.RE\n")
	}
}

// text writes text in lines that are not too long. None begins with a sign that would
// make it a request.
func (r *roff) text(s string) {
	for _, line := range view.Fold(roffed(s), 70) {
		r.printf("%s\n", guarded(line))
	}
}

// guarded returns a line that is no request.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// verbatim writes a line as it is. Where it is too long for the source it goes on in the
// next, which a reader doesn't see.
func (r *roff) verbatim(s string) {
	line := guarded(roffed(s))
	for len(line) > 78 {
		at := strings.LastIndexByte(line[:78], ' ')
		if at <= 0 {
			break
		}
		r.printf("%s\\\n", line[:at+1])
		line = line[at+1:]
	}
	r.printf("%s\n", line)
}

// roffed returns a text with its styles as fonts.
func roffed(s string) string {
	var b strings.Builder
	for style, part := range view.Spans(s) {
		part = escaped(part)
		if style != "" {
			part = `\fB` + part + `\fR`
		}
		b.WriteString(part)
	}
	return b.String()
}

// escaped returns a text in which roff reads no sign as its own, and a hyphen stays one
// that can be typed.
var escaped = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace
