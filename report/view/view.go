// Package view holds an answer as blocks (View), makes them (Printer), and writes them as
// text. It knows nothing of registries.
//
// Rules for all text:
//
//   - Text from a store is foreign: words.Clean removes what could move the cursor or
//     change the direction of writing.
//   - Colours repeat what the words say.
//   - Two spaces are one step of indentation. A heading has none, and an empty line
//     before it.
//   - No line is wider than the terminal: prose is wrapped, columns are omitted, and the
//     parts of a line that two spaces separate get lines of their own. Names, paths and
//     commands are never wrapped, so that they can be copied.
package view

import (
	"iter"
	"strings"
)

// Options are options of a view and its text.
type Options struct {
	Color    bool
	Terminal bool // long lists are cut
	Width    int  // of the terminal, in columns; 0 if unknown

	PhasesShown bool // progress has shown the phases

	Limit     int  // entries of a list on a terminal; 0 for 10
	Verbose   bool // show every step of a plan, by key
	FullPaths bool // don't shorten paths and digests on a terminal
}

// View is an answer as a sequence of blocks. It can be iterated more than once. Lists are
// computed on iteration: a report of ten million lines needs no more memory than one.
type View iter.Seq[Block]

// Block is a part of a View. Its text is safe for a terminal: text from a store was cleaned.
// Styled text is between control sequences; see Spans.
type Block struct {
	Kind     BlockKind
	Depth    int         // steps of indentation
	Text     string      // except of tables, rows and commands
	Columns  []Column    // of a table
	NoHeader bool        // the columns need no names
	Cells    []string    // one for each column
	Commands [][2]string // each with its description
}

// BlockKind is the kind of a block.
type BlockKind uint8

// The kinds of blocks.
const (
	LineBlock     BlockKind = iota // a line. If it is too wide, its parts, which two spaces separate, get lines of their own; names, paths and commands are never wrapped, so that they can be copied
	ProseBlock                     // sentences, which may be wrapped
	TitleBlock                     // the command and the store
	HeadingBlock                   // begins a section
	VerdictBlock                   // the verdict line
	TableBlock                     // begins a table; other blocks may be between its rows
	RowBlock                       // of the last table
	CommandsBlock                  // suggested commands
	GapBlock                       // an empty line
)

// Column is the layout of a table's column.
type Column struct {
	Name  string
	Width int // in runes, without Gap; 0 for the cell's
	Right bool
	Gap   int // spaces before it
	Drop  int // on a narrow terminal the highest is omitted first; 0 never
}

// Spans yields the parts of a text with one style each: the parameters of an SGR control
// sequence, "" for none.
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
