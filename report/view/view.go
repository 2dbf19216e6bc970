// Package view holds an answer of the program as blocks (a View), makes these blocks (a
// Printer), and writes them as text for people. It knows nothing of registries.
//
// The rules of all text that a person reads:
//
//   - Text from a store is foreign: it goes through words.Clean, so it can neither move
//     the cursor nor change the direction of writing.
//   - A colour repeats what the words say, and adds nothing to it.
//   - Two spaces are one step of indentation. A heading has none, and a blank line
//     before it.
//   - No line is wider than the terminal: prose is folded, columns are left out, and the
//     parts of a line that two spaces separate get lines of their own. Names, paths and
//     commands are never folded, so that they can be copied whole.
package view

import (
	"iter"
	"strings"
)

// Options say for whom a view is made, and how its text is written.
type Options struct {
	Color    bool
	Terminal bool // it is for a terminal: long lists are cut
	Width    int  // of the terminal, in columns; 0 when unknown

	PhasesShown bool // the phases of the run were shown before

	Limit     int  // entries a list on a terminal; 0 for 10
	Verbose   bool // of a plan every step is shown, by its key
	FullPaths bool // paths and digests are whole on a terminal, too
}

// View is what an answer says, block by block, in the order in which it is read. It
// can be run through more than once. Lists are made while it is run through: a report
// of ten million lines needs no more memory than one.
type View iter.Seq[Block]

// Block is a part of a View. All text in it is fit for a terminal: what comes from a
// store went through Clean. A styled part is between control sequences; Spans
// takes them apart.
type Block struct {
	Kind     BlockKind
	Depth    int         // steps of indentation
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
	VerdictBlock                   // the answer in one line
	TableBlock                     // begins a table, whose rows follow; other blocks may be between them
	RowBlock                       // of the table that was begun last
	CommandsBlock                  // commands that can be run next
	GapBlock                       // sets apart what follows
)

// Column says how a column of a table is laid out in text.
type Column struct {
	Name  string
	Width int // in runes, Gap not counted; 0 for as wide as its cell
	Right bool
	Gap   int // spaces before it
	Drop  int // where a terminal is too narrow the highest is left out first; 0 is never left out
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
