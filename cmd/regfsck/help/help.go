// Package help holds the manual as Markdown files in the program: commands/ has a page for
// each command, this directory one for each topic. To add a topic, add a file.
//
// The first line is the title, "# heal: copy what is lost from a backup": the page's name and
// a summary. A page is parsed into blocks, which are written as text (text.go) or as a manual
// page (man.go). Callers add generated blocks, such as a command's flags.
//
// Pages may use headings, paragraphs, lists, tables, code blocks, emphasis and links.
// Anything else is an error that a test finds.
package help

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"regfsck/backend/words"
)

//go:embed *.md commands/*.md
var files embed.FS

// Page is the page of a command or topic.
type Page struct {
	Name, Brief string
	Blocks      []Block // without the title
}

// Kind is the kind of a block.
type Kind uint8

// The kinds of blocks.
const (
	Heading Kind = iota // Depth is 2 for a section of the page, more for subsections
	Prose               // a paragraph, wrapped to the width
	Item                // of a list: Term is "-" or a number
	Entry               // of a list of terms: Term and its description
	Code                // Lines, which are never wrapped, so that they can be copied
)

// Block is a part of a page. Styled text is enclosed in control sequences, as in reports
// (view.Spans).
type Block struct {
	Kind  Kind
	Depth int // for blocks other than headings: how many lists enclose it
	Term  string
	Text  string
	Lines []string
}

// Topics returns the pages of all topics, by name.
func Topics() []Page { return pages(".") }

// TopicNames returns the names of all topics.
func TopicNames() []string { return words.All(Topics(), func(p Page) string { return p.Name }) }

// Commands returns the pages of all commands, by name.
func Commands() []Page { return pages("commands") }

// Command returns the page of a command; ok reports whether there is one.
func Command(name string) (p Page, ok bool) { return find("commands", name) }

// CommandBrief returns the summary of a command, "" for none. It parses only the first line:
// each start of the program calls it for all commands.
func CommandBrief(name string) string {
	text, err := files.ReadFile(path.Join("commands", name+".md"))
	if err != nil {
		return ""
	}
	title, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(title, "# "+name+": ")
}

// Topic returns the page of a topic; ok reports whether there is one.
func Topic(name string) (p Page, ok bool) { return find(".", name) }

// find reads one page.
func find(dir, name string) (p Page, ok bool) {
	at := path.Join(dir, name+".md")
	if path.Dir(at) != path.Clean(dir) {
		return p, false
	}
	if _, err := fs.Stat(files, at); err != nil {
		return p, false
	}
	return page(at), true
}

// pages reads all pages of a directory.
func pages(dir string) (all []Page) {
	names, err := fs.Glob(files, path.Join(dir, "*.md"))
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		all = append(all, page(name))
	}
	return all
}

// page reads a page. It panics if a page can't be parsed; a test reads each one.
func page(name string) Page {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	p, err := Read(text)
	if err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	return p
}

// Parts splits a page at its headings of depth 2. The text before the first heading has the
// name "".
func (p Page) Parts() (all []Page) {
	all = []Page{{}}
	for _, b := range p.Blocks {
		if b.Kind == Heading && b.Depth == 2 {
			all = append(all, Page{Name: b.Text})
		}
		last := &all[len(all)-1]
		last.Blocks = append(last.Blocks, b)
	}
	return all
}

// Commands returns the command lines that the page shows, without comments, in order. If some
// lines of a code block begin with a dollar sign, the others are output.
func (p Page) Commands() (all []string) {
	for _, b := range p.Blocks {
		session := slices.ContainsFunc(b.Lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "$ ") })
		for _, line := range b.Lines {
			line, typed := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if typed != session || !strings.HasPrefix(line, "regfsck ") && !strings.HasPrefix(line, "bin/regfsck ") {
				continue
			}
			line, _, _ = strings.Cut(line, "  #")
			all = append(all, strings.TrimPrefix(strings.TrimSpace(line), "bin/"))
		}
	}
	return all
}
