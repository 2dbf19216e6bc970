// Package help holds what there is to read about the program, as Markdown that is built
// into it: a page for each command, in commands, and one for each topic, beside this
// file. A new topic is a new file; nothing else names it.
//
// The first line of a page is its title, "# heal: copy what is lost from a backup": the name by
// which it is asked for, and a line about it. A page is read into blocks, which are
// written as text for a terminal (text.go) or as a manual page (man.go); a caller may put
// blocks of its own among them, so that what the program knows by itself, such as the
// flags of a command, is written down nowhere twice.
//
// Of Markdown pages use headings, paragraphs, lists, tables, fenced or indented code,
// emphasis and links, and nothing else: anything more is an error that a test finds.
package help

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed *.md commands/*.md
var files embed.FS

// Page is a text about one command or topic.
type Page struct {
	Name, Brief string
	Blocks      []Block // without the title
}

// Kind says what a block is.
type Kind uint8

// The kinds of blocks.
const (
	Heading Kind = iota // begins a part; Depth is 2 for one of the page, and more for those within
	Prose               // sentences, which are folded
	Item                // of a list: Term is "-" or a number
	Entry               // of a list of terms: Term, and what is said of it
	Code                // Lines, which are never folded, so that they can be copied
)

// Block is a part of a page. A styled part of its texts stands between control
// sequences, as in a report's: view.Spans takes them apart.
type Block struct {
	Kind  Kind
	Depth int // of all but headings: how many lists it stands in
	Term  string
	Text  string
	Lines []string
}

// Topics are the pages of all topics, by name.
func Topics() []Page { return pages(".") }

// TopicNames are the names of all topics.
func TopicNames() (names []string) {
	for _, p := range Topics() {
		names = append(names, p.Name)
	}
	return names
}

// Commands are the pages of all commands, by name.
func Commands() []Page { return pages("commands") }

// Command returns the page of a command. ok is false where there is none.
func Command(name string) (p Page, ok bool) { return find("commands", name) }

// CommandBrief returns the line about a command, "" where there is none. It reads no more
// than that line: each start of the program asks for those of all commands.
func CommandBrief(name string) string {
	text, err := files.ReadFile(path.Join("commands", name+".md"))
	if err != nil {
		return ""
	}
	title, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(title, "# "+name+": ")
}

// Topic returns the page of a topic. ok is false where there is none.
func Topic(name string) (p Page, ok bool) { return find(".", name) }

// find reads the page of that name alone.
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

// page reads a page. They are a part of the program, and tests read each one: one that
// can't be read is a defect.
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

// Parts splits a page at its headings of depth 2. What stands before the first has the
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

// Commands are the command lines of the program that the page shows, each without a
// comment, in their order. Where some lines of a code begin with a dollar sign, the others
// are what was answered.
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
