package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/help"
)

// pagesDate is when the pages were changed last. A manual page has to say it, and says the
// same wherever it is built.
const pagesDate = "2026-11-29"

// manCommand writes manual pages.
func manCommand(s *session) *cli.Command {
	return complete(&cli.Command{Name: "man", ArgsUsage: "DIR", Action: s.man})
}

func (s *session) man(c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return misuse(seeHelp("man"), "man takes one DIR, and %d were given", c.NArg())
	}
	dir := c.Args().First()
	pages := manPages(c.App)
	for _, m := range pages {
		var text bytes.Buffer
		if err := m.page.WriteMan(&text, m.Manual); err != nil {
			return err
		}
		path := filepath.Join(dir, fmt.Sprintf("man%d", m.Section), fmt.Sprintf("%s.%d", m.Title, m.Section))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return misuse("", "%w", unwritable(path, err))
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return misuse("", "%w", unwritable(path, err))
		}
	}
	_, err := fmt.Fprintf(s.stdout, "%d pages in %s\n", len(pages), dir)
	return s.written(err)
}

// manPage is a page of the manual.
type manPage struct {
	help.Manual
	page help.Page
}

// manPages are the pages of the program, of its commands and of its topics, each with
// the others that it leads to.
func manPages(app *cli.App) (all []manPage) {
	add := func(title string, section int, p help.Page) {
		all = append(all, manPage{help.Manual{Title: title, Section: section, Date: pagesDate, Program: "regfsck " + version}, p})
	}
	add("regfsck", 1, overview(app))
	for _, c := range app.VisibleCommands() {
		add("regfsck-"+c.Name, 1, commandPage(c, false))
	}
	for _, p := range help.Topics() {
		if p.Name == "commands" { // each has a page
			continue
		}
		p, _ := pageOf(app, p.Name, false)
		add("regfsck-"+p.Name, 7, p)
	}
	var names []string
	for _, m := range all {
		names = append(names, fmt.Sprintf("%s (%d)", m.Title, m.Section))
	}
	for i := range all {
		all[i].See = names[:1]
		if i == 0 {
			all[i].See = slices.Clone(names[1:])
		}
	}
	return all
}
