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

	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/help"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// runHelp shows what there is to read.
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
	p, ok := pageOf(c.App, asked, c.Bool("short"))
	if !ok {
		return failure.Misuse("regfsck help lists commands and topics.", "there is no command and no topic %q%s", asked, spelling.DidYouMean(asked, slices.Concat(commandNames(c.App), topicNames(), findingNames()), ""))
	}
	title := view.View(func(yield func(view.Block) bool) {
		yield(view.Block{Kind: view.ProseBlock, Text: help.Strong(strings.TrimSpace("regfsck "+p.Name)) + ": " + p.Brief})
	})
	return pages(s, asked != "" && !c.Bool("short") && !c.Bool("no-pager"), func(w io.Writer) error {
		return cmp.Or(title.WriteText(w, o), p.View(o).WriteText(w, o))
	})
}

// pageOf returns what help shows of a command or a topic; of neither, of the program.
func pageOf(app *cli.App, asked string, short bool) (p help.Page, ok bool) {
	if asked == "" {
		return overview(app), true
	}
	if c := app.Command(asked); c != nil {
		return commandPage(c, short), true
	}
	p, ok = help.Topic(asked)
	if made := generated[asked]; made != nil {
		p.Blocks = append(p.Blocks, made(app)...)
	}
	return p, ok
}

// generated are the parts of topics that the program knows by itself.
var generated = map[string]func(*cli.App) []help.Block{
	"findings":   findingBlocks,
	"commands":   commandBlocks,
	"exit-codes": func(*cli.App) []help.Block { return exitBlocks(^exitcode.Code(0)) },
}

// overview is the help of the whole program.
func overview(app *cli.App) help.Page {
	blocks := []help.Block{
		{Kind: help.Code, Lines: []string{"regfsck COMMAND [flags] [arguments]"}},
		{Kind: help.Heading, Depth: 2, Text: "Commands"},
	}
	for _, c := range app.VisibleCommands() {
		blocks = append(blocks, entry(c.Name, c.Usage))
	}
	blocks = append(blocks, help.Block{Kind: help.Heading, Depth: 2, Text: "Topics"})
	for _, p := range help.Topics() {
		blocks = append(blocks, entry(p.Name, p.Brief))
	}
	blocks = append(blocks,
		help.Block{Kind: help.Heading, Depth: 2, Text: "More"},
		entry("regfsck help COMMAND", "all about a command; regfsck COMMAND --help shows its flags"),
		entry("regfsck help TOPIC", "all about a topic"),
		entry("regfsck --version", "which version this is"),
	)
	return help.Page{Brief: app.Usage, Blocks: append(blocks, exitBlocks(^exitcode.Code(0))...)}
}

func entry(term, text string) help.Block {
	return help.Block{Kind: help.Entry, Term: help.Strong(term), Text: text}
}

// commandPage is the help of a command: how it is called, what it does, its examples,
// flags and exit codes; and all there is to read about it, unless only the short form
// is asked for.
func commandPage(c *cli.Command, short bool) help.Page {
	p, _ := help.Command(c.Name)
	line := strings.TrimSpace("regfsck " + c.Name + " " + c.ArgsUsage)
	blocks := []help.Block{{Kind: help.Code, Lines: []string{line}}}
	var more, examples []help.Block
	for _, part := range p.Parts() {
		switch part.Name {
		case "":
			blocks = append(blocks, part.Blocks...)
		case "Examples":
			examples = part.Blocks
		default:
			more = append(more, part.Blocks...)
		}
	}
	if short {
		more = nil
	}
	blocks = slices.Concat(blocks, listOf[c.Name].blocks(), more, examples, flagBlocks(c), exitBlocks(exitsOf(c.Name)))
	if short && len(p.Parts()) > 2 {
		blocks = append(blocks, help.Block{Kind: help.Prose, Text: "All about it: " + help.Strong("regfsck help "+c.Name)})
	}
	return help.Page{Name: c.Name, Brief: c.Usage, Blocks: blocks}
}

// listOf has, for commands that take a name of something the program knows, a list of
// these.
var listOf = map[string]vocabulary{"schema": {"Documents", report.SchemaNames}}

type vocabulary struct {
	title string
	names func() [][2]string
}

func (l vocabulary) blocks() (blocks []help.Block) {
	if l.names == nil {
		return nil
	}
	blocks = append(blocks, help.Block{Kind: help.Heading, Depth: 2, Text: l.title})
	for _, n := range l.names() {
		blocks = append(blocks, entry(n[0], n[1]))
	}
	return blocks
}

// Titles of the help for groups of flags.
const (
	aboutChange  = "Changing the store"
	aboutPlan    = "What the plan is about"
	aboutStay    = "What stays"
	aboutCopies  = "Copies from elsewhere"
	aboutGarbage = "What is garbage"
	aboutLedger  = "What was hashed before"
	aboutOutput  = "Output"
)

// groupOrder is the order of the groups, the command's own flags first. Any other group
// follows these.
var groupOrder = []string{"", aboutStay, aboutPlan, aboutCopies, aboutChange, aboutLedger, aboutGarbage, aboutOutput}

// group puts flags under a title of the help.
func group(title string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.Category = title
		case *cli.StringFlag:
			f.Category = title
		case *cli.StringSliceFlag:
			f.Category = title
		}
	}
	return flags
}

// flagBlocks is a list of a command's flags for each group.
func flagBlocks(c *cli.Command) (blocks []help.Block) {
	titles := slices.Clone(groupOrder)
	groups := map[string][]help.Block{}
	for _, f := range c.Flags {
		title := f.(cli.CategorizableFlag).GetCategory()
		if !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
		groups[title] = append(groups[title], flagEntry(f))
	}
	for _, title := range titles {
		if len(groups[title]) > 0 {
			blocks = append(blocks, help.Block{Kind: help.Heading, Depth: 2, Text: cmp.Or(title, "Flags")})
			blocks = append(blocks, groups[title]...)
		}
	}
	return blocks
}

// flagEntry says what a flag is for.
func flagEntry(f cli.Flag) help.Block {
	doc := f.(cli.DocGenerationFlag)
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	value, after, _ := strings.Cut(rest, "`")
	var names []string
	for _, n := range shortFirst(f.Names()) {
		names = append(names, help.Strong(dashed(n)))
	}
	text := before + value + after
	if doc.TakesValue() && doc.GetDefaultText() != "" {
		text += " (default " + doc.GetDefaultText() + ")"
	}
	return help.Block{Kind: help.Entry, Term: strings.TrimSpace(strings.Join(names, ", ") + " " + value), Text: text}
}

// shortFirst returns the names of a flag, those of one letter before the others.
func shortFirst(names []string) []string {
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int {
		return cmp.Compare(min(len(a), 2), min(len(b), 2))
	})
}

// exits are the bits of exit codes that a command can end with, besides those that every
// command can: when its arguments are wrong, or when its answer can't be written.
var exits = map[string]exitcode.Code{
	"check": exitcode.DamageLeft | exitcode.Cancelled,
	"fix":   exitcode.Repaired | exitcode.DamageLeft | exitcode.Cancelled | exitcode.Refused,
	"rm":    exitcode.Repaired | exitcode.Cancelled | exitcode.Refused,
	"prune": exitcode.Repaired | exitcode.Cancelled | exitcode.Refused,
	"apply": exitcode.Repaired | exitcode.DamageLeft | exitcode.Cancelled | exitcode.Refused,
	"undo":  exitcode.Cancelled | exitcode.Refused,
	"purge": exitcode.Cancelled | exitcode.Refused,
	"ls":    exitcode.Cancelled,
	"why":   exitcode.Cancelled,

	"export":        exitcode.Cancelled,
	"wait-readonly": exitcode.Cancelled | exitcode.Refused,
}

func exitsOf(command string) exitcode.Code {
	return exits[command] | exitcode.Incomplete | exitcode.Usage
}

// exitBlocks is the list of exit codes with these bits.
func exitBlocks(can exitcode.Code) []help.Block {
	blocks := []help.Block{{Kind: help.Heading, Depth: 2, Text: "Exit codes, added up"}, entry("0", exitcode.Code(0).Meaning())}
	for _, e := range exitcode.Bits() {
		if can&e.Bit != 0 {
			blocks = append(blocks, entry(fmt.Sprint(int(e.Bit)), e.Meaning))
		}
	}
	return blocks
}

// commandBlocks is the reference of all commands and their flags.
func commandBlocks(app *cli.App) (blocks []help.Block) {
	for _, c := range app.VisibleCommands() {
		blocks = append(blocks,
			help.Block{Kind: help.Heading, Depth: 2, Text: strings.TrimSpace("regfsck " + c.Name + " " + c.ArgsUsage)},
			help.Block{Kind: help.Prose, Text: c.Usage + "."})
		for _, b := range flagBlocks(c) {
			if b.Kind == help.Heading {
				b.Depth++
			}
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// findingBlocks is a list of all kinds of findings, by severity.
func findingBlocks(*cli.App) (blocks []help.Block) {
	before := finding.Severity(255)
	for id := range finding.All {
		if s := id.Severity(); s != before {
			blocks = append(blocks, help.Block{Kind: help.Heading, Depth: 2, Text: s.String() + ": " + report.SeverityMeaning(s)})
			before = s
		}
		text := id.Explanation().Brief
		if cures := curesOf(id); len(cures) > 0 {
			text += ": " + strings.Join(cures, ", or ")
		}
		blocks = append(blocks, entry(id.String(), text))
	}
	return blocks
}

// curesOf says what a fix can do about findings of a kind.
func curesOf(id finding.Kind) (all []string) {
	for _, c := range id.Cures() {
		word := cureWords[c]
		if c.Asks() {
			word += " with " + help.Strong("--also "+id.String())
		}
		all = append(all, word)
	}
	return all
}

var cureWords = map[finding.Cure]string{
	finding.CureRemove: "fix removes it", finding.CureAbort: "fix aborts it, which can't be undone",
	finding.CureRebuild: "fix rebuilds it", finding.CureHeal: "fix copies it from its own past or with " + help.Strong("--from"),
	finding.CureRemoveAsk: "fix removes it", finding.CureMoveAsk: "fix moves it away",
	finding.CureWriteAsk: "fix writes a link", finding.CureWithdrawAsk: "fix withdraws the images that need it",
}

// topicNames are the names of all topics.
func topicNames() (names []string) {
	for _, p := range help.Topics() {
		names = append(names, p.Name)
	}
	return names
}

// pagesDate is when the pages were changed last. A manual page has to say it, and says the
// same wherever it is built.
const pagesDate = "2026-11-29"

// runMan writes manual pages.
func runMan(s *session, c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return failure.Misuse(seeHelp("man"), "man takes one DIR, and %d were given", c.NArg())
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
			return failure.Misuse("", "%w", failure.Unwritable(path, err))
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return failure.Misuse("", "%w", failure.Unwritable(path, err))
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
