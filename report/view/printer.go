package view

import (
	"strings"

	"regfsck/backend/words"
)

// Style is the parameters of an SGR control sequence; "" is plain.
type Style string

// The styles: red is wrong, yellow needs attention, green is right.
const (
	plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "1;31"
	Green  Style = "1;32"
	Yellow Style = "1;33"
	Cyan   Style = "36"
)

// escape begins a control sequence, and m ends it.
const escape = "\x1b["

// Printer makes the blocks of a View.
type Printer struct {
	Options        // Limit is 0 for whole lists
	Rest    string // a command or hint that shows the rest of a list that was cut

	yield func(Block) bool
	ended bool // the consumer has stopped
	cut   bool
}

// Of returns the View whose blocks say makes on each iteration.
func Of(o Options, say func(*Printer)) View {
	switch {
	case !o.Terminal:
		o.Limit = 0
	case o.Limit <= 0:
		o.Limit = 10
	}
	return func(yield func(Block) bool) { say(&Printer{Options: o, yield: yield}) }
}

// Shown reports whether the nth entry of a list, from 0, is written.
func (p *Printer) Shown(n int) bool { return p.Limit == 0 || n < p.Limit }

// First returns how many of n entries are written.
func (p *Printer) First(n int) int {
	if p.Limit == 0 {
		return n
	}
	return min(n, p.Limit)
}

// Cut reports whether More has written that entries were left out.
func (p *Printer) Cut() bool { return p.cut }

// More writes how many entries of a list of n were left out. what follows the number: "" or "
// repositories".
func (p *Printer) More(steps, n int, what string) {
	if !p.Shown(n - 1) {
		p.cut = true
		p.Line(steps, p.Paint(Dim, "… and "+words.Number(n-p.Limit)+" more"+what+":  "+p.Rest))
	}
}

// Keys writes a list of keys.
func (p *Printer) Keys(steps int, keys []string) {
	for _, k := range keys[:p.First(len(keys))] {
		p.Line(steps, words.Clean(k))
	}
	p.More(steps, len(keys), "")
}

// Notes writes a section of notes, if there are any.
func (p *Printer) Notes(notes []string) {
	for i, n := range notes {
		if i == 0 {
			p.Heading(Bold, "NOTES")
		}
		p.Para(1, words.Clean(n))
	}
}

func (p *Printer) put(b Block) {
	p.ended = p.ended || !p.yield(b)
}

// Paint returns s in a style.
func (p *Printer) Paint(st Style, s string) string {
	if st == plain || s == "" {
		return s
	}
	return escape + string(st) + "m" + s + escape + "0m"
}

// Line adds an indented line of joined parts.
func (p *Printer) Line(steps int, parts ...string) {
	p.put(Block{Kind: LineBlock, Depth: steps, Text: strings.Join(parts, "")})
}

// Lead adds a line after a gap.
func (p *Printer) Lead(steps int, parts ...string) {
	p.Gap()
	p.Line(steps, parts...)
}

// Title adds the command and the store.
func (p *Printer) Title(parts ...string) {
	p.put(Block{Kind: TitleBlock, Text: strings.Join(parts, "")})
}

// Verdict adds the verdict line.
func (p *Printer) Verdict(parts ...string) {
	p.put(Block{Kind: VerdictBlock, Text: strings.Join(parts, "")})
}

// Heading begins a section.
func (p *Printer) Heading(st Style, s string) {
	p.put(Block{Kind: HeadingBlock, Text: p.Paint(st, s)})
}

// Section begins a section with a gap after its heading.
func (p *Printer) Section(st Style, s string) {
	p.Heading(st, s)
	p.Gap()
}

// Gap adds an empty line.
func (p *Printer) Gap() { p.put(Block{Kind: GapBlock}) }

// Prose adds indented text, which must be the program's or cleaned.
func (p *Printer) Prose(steps int, text string) {
	p.put(Block{Kind: ProseBlock, Depth: steps, Text: text})
}

// Para adds prose after a gap.
func (p *Printer) Para(steps int, text string) {
	p.Gap()
	p.Prose(steps, text)
}

// Table begins an indented table with a header.
func (p *Printer) Table(steps int, columns ...Column) {
	p.put(Block{Kind: TableBlock, Depth: steps, Columns: columns})
}

// BareTable begins a table without a header.
func (p *Printer) BareTable(steps int, columns ...Column) {
	p.put(Block{Kind: TableBlock, Depth: steps, Columns: columns, NoHeader: true})
}

// Row adds a row to the table.
func (p *Printer) Row(cells ...string) { p.put(Block{Kind: RowBlock, Cells: cells}) }

// Facts adds a table of names, of that width, and values. Those that are "" are left out.
func (p *Printer) Facts(width int, rows [][2]string) {
	p.BareTable(1, Column{Width: width}, Column{})
	for _, row := range rows {
		if row[1] != "" {
			p.Row(p.Paint(Dim, row[0]), row[1])
		}
	}
}

// Commands adds suggested commands with descriptions.
func (p *Printer) Commands(Commands [][2]string) {
	if len(Commands) > 0 {
		p.put(Block{Kind: CommandsBlock, Commands: Commands})
	}
}
