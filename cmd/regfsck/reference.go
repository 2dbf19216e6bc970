package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/completion"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/help"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/view"
)

// Commands that need no store: explain, schema, completion, help and man.

// runExplain prints what kinds of findings mean.
func runExplain(s *session, c *cli.Context) error {
	color, err := oneOf(c, "color", colors)
	if err != nil {
		return err
	}
	show := func(v view.View) error {
		return pages(s, !c.Bool("no-pager"), func(w io.Writer) error { return v.WriteText(w, s.text(color)) })
	}
	switch n := c.NArg(); {
	case n == 0:
		return show(report.Explanations())
	case n > 1:
		return failure.Misuse(seeHelp("explain"), "explain takes one ID, and %d were given", n)
	}
	id, ok := finding.Parse(c.Args().First())
	if !ok {
		return failure.Misuse("regfsck explain lists all of them.", "there is no finding %q%s", c.Args().First(), spelling.DidYouMean(c.Args().First(), findingNames(), ""))
	}
	return show(report.Explanation(id))
}

// findingNames returns the ids of all findings.
func findingNames() []string { return finding.Names(func(finding.Kind) bool { return true }) }

// runSchema prints the schemas of the JSON documents.
func runSchema(s *session, c *cli.Context) error {
	if c.NArg() != 1 {
		return failure.Misuse(seeHelp("schema"), "schema takes one NAME, and %d were given", c.NArg())
	}
	name := c.Args().First()
	text, ok := report.SchemaOf(name)
	if !ok {
		names := words.All(report.SchemaNames(), func(n [2]string) string { return n[0] })
		return failure.Misuse("There are "+strings.Join(names, ", ")+".", "there is no document %q%s", name, spelling.DidYouMean(name, names, ""))
	}
	return s.print(string(text))
}

// runCompletion prints a shell's completion script.
func runCompletion(s *session, c *cli.Context) error {
	script, ok := completion.Script(c.Args().First())
	if c.NArg() != 1 || !ok {
		return failure.Misuse(seeHelp("completion"), "completion takes one SHELL: bash, zsh or fish")
	}
	return s.print(script)
}

// completeName is the hidden command that completion scripts call.
const completeName = "__complete"

// runComplete prints the completions at the cursor.
func runComplete(s *session, c *cli.Context) error {
	r := completion.Completer{Commands: s.commands, Values: map[string][]string{
		"color": colors, "fail-on": failOns, "undo": undos, "sort": sorts, "time": {"pushed", "created"}, "verify": verifies, "severity": acceptedSeverities,
	}}
	return s.print(r.Complete(c.Args().Slice()))
}

// runHelp prints a help topic, a command's help, or the overview.
func runHelp(s *session, c *cli.Context) error {
	color, err := oneOf(c, "color", colors)
	if err != nil {
		return err
	}
	if c.NArg() > 1 {
		return failure.Misuse(seeHelp("help"), "help takes one COMMAND, TOPIC or ID, and %d were given", c.NArg())
	}
	o, asked := s.text(color), c.Args().First()
	if id, ok := finding.Parse(asked); ok {
		return pages(s, !c.Bool("no-pager"), func(w io.Writer) error { return report.Explanation(id).WriteText(w, o) })
	}
	p, ok := manualOf(s).Page(asked, c.Bool("short"))
	if !ok {
		return failure.Misuse("regfsck help lists commands and topics.", "there is no command and no topic %q%s", asked, spelling.DidYouMean(asked, slices.Concat(s.commands.Names(), help.TopicNames(), findingNames()), ""))
	}
	title := view.Of(o, func(to *view.Printer) { to.Prose(0, help.Strong(strings.TrimSpace("regfsck "+p.Name))+": "+p.Brief) })
	return pages(s, asked != "" && !c.Bool("short") && !c.Bool("no-pager"), func(w io.Writer) error {
		return cmp.Or(title.WriteText(w, o), p.View(o).WriteText(w, o))
	})
}

// manualOf returns the help of the program.
func manualOf(s *session) help.Program {
	return help.Program{Brief: s.app.Usage, Version: version, Commands: s.commands}
}

// runMan writes the manual pages.
func runMan(s *session, c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return failure.Misuse(seeHelp("man"), "man takes one DIR, and %d were given", c.NArg())
	}
	dir := c.Args().First()
	pages := manualOf(s).ManPages()
	for _, m := range pages {
		var text bytes.Buffer
		if err := m.Page.WriteMan(&text, m.Manual); err != nil {
			return err
		}
		path := filepath.Join(dir, fmt.Sprintf("man%d", m.Section), fmt.Sprintf("%s.%d", m.Title, m.Section))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, text.Bytes(), 0o644)
		}
		if err != nil {
			return failure.Misuse("", "%w", failure.Unwritable(path, err))
		}
	}
	return s.print(fmt.Sprintf("%d pages in %s\n", len(pages), dir))
}
