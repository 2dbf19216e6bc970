package help

import (
	"strings"
	"unicode/utf8"

	"regfsck/report/view"
)

// View returns the page for a terminal. All but code is wrapped to the width of the options.
func (p Page) View(o view.Options) view.View {
	return view.Of(o, func(to *view.Printer) {
		w := writer{to, view.TextWidth(o)}
		for i := range p.Blocks {
			w.block(p.Blocks, i)
		}
	})
}

// writer makes the lines of a page.
type writer struct {
	to    *view.Printer
	width int
}

func (w *writer) line(indent int, text string) { w.to.Line(0, strings.Repeat(" ", indent), text) }

// block writes the block at i, with an empty line before it if it starts something new.
func (w *writer) block(all []Block, i int) {
	b := &all[i]
	indent := 2 + 2*b.Depth
	if b.Kind == Heading {
		w.line(0, "")
		at := max(0, 2*b.Depth-4)
		w.folded(at, at+2, "", Strong(b.Text))
		return
	}
	if i == 0 || apart(&all[i-1], b) {
		w.line(0, "")
	}
	switch b.Kind {
	case Prose:
		w.folded(indent, indent, "", b.Text)
	case Item:
		w.folded(indent, indent+1+utf8.RuneCountInString(b.Term), b.Term+" ", b.Text)
	case Entry:
		w.entry(indent, column(all, i), b)
	case Code:
		for _, line := range b.Lines {
			w.line(indent+2, line)
		}
	}
}

// apart reports whether an empty line separates two blocks: all do but the entries and items
// of one list.
func apart(before, b *Block) bool {
	return before.Kind != Heading && (before.Kind != b.Kind || b.Kind != Item && b.Kind != Entry)
}

// column returns where the second column of the list of the entry at i begins, in runes:
// after its widest term, without terms wider than widestTerm.
func column(all []Block, i int) (wide int) {
	first := i
	for first > 0 && all[first-1].Kind == Entry && all[first-1].Depth == all[i].Depth {
		first--
	}
	for _, b := range all[first:] {
		if b.Kind != Entry || b.Depth != all[i].Depth {
			break
		}
		if n := view.TextLen(b.Term); n <= widestTerm {
			wide = max(wide, n)
		}
	}
	return wide + 2
}

// widestTerm is the widest term whose description begins on the same line.
const widestTerm = 30

func (w *writer) entry(indent, column int, b *Block) {
	n := view.TextLen(b.Term)
	if n+2 > column || column > w.width/2 {
		w.folded(indent, indent+2, "", b.Term)
		w.folded(indent+4, indent+4, "", b.Text)
		return
	}
	w.folded(indent, indent+column, b.Term+strings.Repeat(" ", column-n), b.Text)
}

// folded writes text after a lead, wrapped and with a hanging indent.
func (w *writer) folded(indent, hanging int, lead, text string) {
	lines := view.Fold(text, w.width-hanging)
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, line := range lines {
		if i > 0 {
			indent, lead = hanging, ""
		}
		w.line(indent, strings.TrimRight(lead+line, " "))
	}
}
