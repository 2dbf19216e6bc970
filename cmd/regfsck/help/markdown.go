package help

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	table "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// Read parses a page. Its first line is "# name: summary".
func Read(source []byte) (p Page, err error) {
	r := reader{source: source}
	top := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
	for n := top.FirstChild(); n != nil; n = n.NextSibling() {
		r.block(n, 0)
	}
	if r.err != nil {
		return p, r.err
	}
	if len(r.blocks) == 0 || r.blocks[0].Kind != Heading || r.blocks[0].Depth != 1 {
		return p, errors.New("it begins with no title")
	}
	name, brief, ok := strings.Cut(r.blocks[0].Text, ": ")
	if !ok {
		return p, fmt.Errorf("the title %q is no name with a line about it", r.blocks[0].Text)
	}
	return Page{Name: name, Brief: brief, Blocks: r.blocks[1:]}, nil
}

// reader converts a Markdown tree to blocks. It keeps the first error.
type reader struct {
	source []byte
	blocks []Block
	err    error
}

func (r *reader) put(b Block) { r.blocks = append(r.blocks, b) }

func (r *reader) block(n ast.Node, depth int) {
	switch n := n.(type) {
	case *ast.Heading:
		r.put(Block{Kind: Heading, Depth: n.Level, Text: r.inline(n)})
	case *ast.Paragraph, *ast.TextBlock:
		r.put(Block{Kind: Prose, Depth: depth, Text: r.inline(n)})
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		b := Block{Kind: Code, Depth: depth}
		for i := range n.Lines().Len() {
			line := n.Lines().At(i)
			b.Lines = append(b.Lines, strings.TrimRight(string(line.Value(r.source)), "\n"))
		}
		r.put(b)
	case *ast.List:
		r.list(n, depth)
	case *table.Table:
		r.table(n, depth)
	default:
		r.fail(n)
	}
}

func (r *reader) list(n *ast.List, depth int) {
	number := n.Start
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		term := "-"
		if n.IsOrdered() {
			term = strconv.Itoa(number) + "."
			number++
		}
		for part := item.FirstChild(); part != nil; part = part.NextSibling() {
			switch part.(type) {
			case *ast.Paragraph, *ast.TextBlock:
				if part == item.FirstChild() {
					r.put(Block{Kind: Item, Depth: depth, Term: term, Text: r.inline(part)})
					continue
				}
			}
			r.block(part, depth+1)
		}
	}
}

// table converts a table to a list of terms, which are its first column. With more than two
// columns, each value is preceded by its column's heading.
func (r *reader) table(n *table.Table, depth int) {
	var titles []string
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, r.inline(cell))
		}
		if _, ok := row.(*table.TableHeader); ok {
			titles = cells
			continue
		}
		said := cells[1:]
		if len(said) > 1 {
			said = nil
			for i, cell := range cells[1:] {
				if cell != "" {
					said = append(said, titles[1+i]+": "+cell)
				}
			}
		}
		r.put(Block{Kind: Entry, Depth: depth, Term: cells[0], Text: strings.Join(said, "; ")})
	}
}

// inline returns the text of a node.
func (r *reader) inline(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(escapedSign.ReplaceAll(c.Segment.Value(r.source), []byte("$1")))
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.CodeSpan:
			b.WriteString(Strong(strings.ReplaceAll(r.code(c), `\|`, "|")))
		case *ast.Emphasis:
			b.WriteString(Strong(r.inline(c)))
		case *ast.Link:
			b.WriteString(r.inline(c))
		case *ast.AutoLink:
			b.Write(c.URL(r.source))
		case *ast.Image:
			// links are not shown on a terminal
		default:
			r.fail(c)
		}
	}
	return b.String()
}

// code returns the text of a code span, unchanged.
func (r *reader) code(n *ast.CodeSpan) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c, ok := c.(*ast.Text); ok {
			b.Write(c.Segment.Value(r.source))
		}
	}
	return b.String()
}

// escapedSign matches a Markdown character with the backslash that escapes it.
var escapedSign = regexp.MustCompile("\\\\([\\\\`*_{}\\[\\]()#+\\-.!|<>])")

func (r *reader) fail(n ast.Node) {
	if r.err == nil {
		r.err = fmt.Errorf("a page has no %v", n.Kind())
	}
}

// Strong returns text in bold: a command, a flag, a name.
func Strong(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
