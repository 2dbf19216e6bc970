package help

import (
	"fmt"
	"io"
	"strings"

	"regfsck/report/view"
)

// Manual is the header of a manual page.
type Manual struct {
	Title   string // "regfsck-check"
	Section int    // 1 for commands, 7 for topics
	Date    string // of the last change, "2026-11-29"
	Program string // name and version
	See     []string
}

// WriteMan writes the page in the man macros that man-db, mandoc and groff support.
func (p Page) WriteMan(w io.Writer, m Manual) error {
	r := roff{}
	r.printf(".TH %s %d %s \"%s\"\n", strings.ToUpper(m.Title), m.Section, m.Date, m.Program)
	r.printf(".SH NAME\n%s \\- \\\n%s\n", escaped(m.Title), escaped(p.Brief)) // one line of text; two lines of source
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

// roff writes a manual page.
type roff struct {
	out   strings.Builder
	depth int // current indentation
}

func (r *roff) printf(format string, values ...any) { fmt.Fprintf(&r.out, format, values...) }

// indent sets the indentation.
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

// text writes text in short lines. No line begins with a character that makes it a request.
func (r *roff) text(s string) {
	for _, line := range view.Fold(roffed(s), 70) {
		r.printf("%s\n", guarded(line))
	}
}

// guarded returns a line that roff doesn't read as a request.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// verbatim writes a line unchanged. If it is too long for the source, a continuation joins
// its parts.
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

// roffed returns text with its styles as fonts.
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

// escaped escapes backslashes, and hyphens so that copied text has the ASCII character.
var escaped = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace
