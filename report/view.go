package report

import (
	"io"
	"iter"
	"strings"
)

// Document is an answer of the program in a form that every renderer takes.
type Document interface {
	// View is the answer for people.
	View(TextOptions) View

	// Short is what matters most of it, mostly in one line.
	Short(TextOptions) View

	// Fields is the answer for machines: a struct whose tags are those of encoding/json.
	// Its type says the form of the document, and Schemas tell of it; lists in it may be
	// sequences, which are made while they are written.
	Fields() any
}

// Format is a form in which documents are written to files. To add one, write its
// renderer, over Document's View perhaps, and its line in Formats.
type Format struct {
	Name string
	Ext  string // the ending of its files, ".json"; "" where no file is written in it

	// Writer returns what writes the document in this form, nil where it has no such form.
	// It looks at the document's type alone.
	Writer func(Document) func(io.Writer) error

	Usage bool // it tells of who uses how much, where the document knows it
}

// Formats are all there are.
func Formats() []Format {
	return []Format{
		{"json", ".json", jsonWriterOf, false},
		{"csv", ".csv", csvWriter, false},
		{"markdown", ".md", markdownWriter, false},
		{"html", ".html", htmlWriter, true},
		{"prometheus", ".prom", promWriter, true},
		{"junit", ".junit.xml", junitWriter, false},
		{"dot", "", dotWriter, false},
	}
}

// FormatOf returns the form of a file, which its ending says.
func FormatOf(path string) (f Format, ok bool) {
	for _, f := range Formats() {
		if f.Ext != "" && strings.HasSuffix(path, f.Ext) {
			return f, true
		}
	}
	return Format{}, false
}

// Renderer returns what writes the document in the form that has this name, nil where
// there is none.
func Renderer(name string, d Document) func(io.Writer) error {
	for _, f := range Formats() {
		if name == f.Name {
			return f.Writer(d)
		}
	}
	return nil
}

// FileFormats are those in which files of such a document can be written.
func FileFormats(d Document) (all []Format) {
	for _, f := range Formats() {
		if f.Ext != "" && f.Writer(d) != nil {
			all = append(all, f)
		}
	}
	return all
}

// View is what an answer says, block by block, in the order in which it is read. It
// can be run through more than once. Lists are made while it is run through: a report
// of ten million lines needs no more memory than one.
type View iter.Seq[Block]

// Block is a part of a View. All text in it is fit for a terminal: what comes from a
// store went through Clean. A styled part stands between control sequences; Spans
// takes them apart.
type Block struct {
	Kind     BlockKind
	Depth    int         // how many steps in it stands
	Text     string      // of all but tables, rows and commands
	Columns  []Column    // of a table
	NoHeader bool        // of a table: its columns say what they are by themselves
	Cells    []string    // of a row: one for each column
	Commands [][2]string // each with what it is for
}

// BlockKind says what a block is.
type BlockKind uint8

// The kinds of blocks.
const (
	LineBlock     BlockKind = iota // a line. On a terminal that is too narrow what two spaces set apart goes onto lines of its own; a name, a path or a command stays whole, so that it can be copied
	ProseBlock                     // sentences, which may be folded
	TitleBlock                     // what was asked, and of which store
	HeadingBlock                   // begins a part
	VerdictBlock                   // what the answer comes to
	TableBlock                     // begins a table, whose rows follow; other blocks may stand between them
	RowBlock                       // of the table that was begun last
	CommandsBlock                  // commands that lead on
	GapBlock                       // sets apart what follows
)

// Column says how a column of a table is laid out in text.
type Column struct {
	Name  string
	Width int // in runes, Gap not counted; 0 for as wide as its cell
	Right bool
	Gap   int // spaces before it
	Drop  int // where a terminal is too narrow the highest is left out first; 0 always stays
}

// Spans returns the parts of a text that have one style each. A style is the
// parameters of an SGR control sequence, "" for none.
func Spans(text string) iter.Seq2[string, string] {
	return func(yield func(style, part string) bool) {
		style := ""
		for text != "" {
			part, rest, found := strings.Cut(text, escape)
			if part != "" && !yield(style, part) {
				return
			}
			if !found {
				return
			}
			style, text, _ = strings.Cut(rest, "m")
			if style == "0" {
				style = ""
			}
		}
	}
}

// printer makes the blocks of a View.
type printer struct {
	yield func(Block) bool
	ended bool // nobody takes more
}

func newPrinter(yield func(Block) bool) *printer { return &printer{yield: yield} }

func (p *printer) put(b Block) {
	p.ended = p.ended || !p.yield(b)
}

// paint returns s in a style.
func (p *printer) paint(st style, s string) string {
	if st == plain || s == "" {
		return s
	}
	return escape + string(st) + "m" + s + escape + "0m"
}

// line adds one line, so many steps in. The parts are joined as they are.
func (p *printer) line(steps int, parts ...string) {
	p.put(Block{Kind: LineBlock, Depth: steps, Text: strings.Join(parts, "")})
}

// title adds what was asked, and of which store.
func (p *printer) title(parts ...string) {
	p.put(Block{Kind: TitleBlock, Text: strings.Join(parts, "")})
}

// verdict adds what the answer comes to, in one line.
func (p *printer) verdict(parts ...string) {
	p.put(Block{Kind: VerdictBlock, Text: strings.Join(parts, "")})
}

// heading begins a part.
func (p *printer) heading(st style, s string) {
	p.put(Block{Kind: HeadingBlock, Text: p.paint(st, s)})
}

// blank sets apart what follows.
func (p *printer) blank() { p.put(Block{Kind: GapBlock}) }

// prose adds a text of ours or a cleaned one, so many steps in.
func (p *printer) prose(steps int, text string) {
	p.put(Block{Kind: ProseBlock, Depth: steps, Text: text})
}

// table begins a table with a header, so many steps in.
func (p *printer) table(steps int, columns ...Column) {
	p.put(Block{Kind: TableBlock, Depth: steps, Columns: columns})
}

// bareTable begins a table without a header.
func (p *printer) bareTable(steps int, columns ...Column) {
	p.put(Block{Kind: TableBlock, Depth: steps, Columns: columns, NoHeader: true})
}

// row adds a row to the table.
func (p *printer) row(cells ...string) { p.put(Block{Kind: RowBlock, Cells: cells}) }

// steps adds commands that lead on, each with what it is for.
func (p *printer) steps(steps [][2]string) {
	if len(steps) > 0 {
		p.put(Block{Kind: CommandsBlock, Commands: steps})
	}
}
