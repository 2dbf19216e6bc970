package help

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// Program is what generated parts of the help are made of: the commands and their flags.
type Program struct {
	Brief, Version string
	Commands       catalog.Commands
}

// Page returns the help of a command or topic; that of the whole program if asked is "".
// short selects what --help of a command shows. ok reports whether there is such a page.
func (r Program) Page(asked string, short bool) (p Page, ok bool) {
	if asked == "" {
		return r.overview(), true
	}
	if c := r.Commands.Find(asked); c != nil {
		return commandPage(c, short), true
	}
	p, ok = Topic(asked)
	if made := generated[asked]; made != nil {
		p.Blocks = append(p.Blocks, made(r)...)
	}
	return p, ok
}

// generated are the parts of topics that are generated.
var generated = map[string]func(Program) []Block{
	"findings":   func(Program) []Block { return findingBlocks() },
	"commands":   Program.commandBlocks,
	"exit-codes": func(Program) []Block { return exitBlocks(^exitcode.Code(0)) },
}

// overview returns the help of the program.
func (r Program) overview() Page {
	blocks := []Block{
		{Kind: Code, Lines: []string{"regfsck COMMAND [flags] [arguments]"}},
		{Kind: Heading, Depth: 2, Text: "Commands"},
	}
	for _, c := range r.Commands {
		blocks = append(blocks, entry(c.Name, c.Brief))
	}
	blocks = append(blocks, Block{Kind: Heading, Depth: 2, Text: "Topics"})
	for _, p := range Topics() {
		blocks = append(blocks, entry(p.Name, p.Brief))
	}
	blocks = append(blocks,
		Block{Kind: Heading, Depth: 2, Text: "More"},
		entry("regfsck help COMMAND", "all about a command; regfsck COMMAND --help shows its flags"),
		entry("regfsck help TOPIC", "all about a topic"),
		entry("regfsck --version", "which version this is"),
	)
	return Page{Brief: r.Brief, Blocks: append(blocks, exitBlocks(^exitcode.Code(0))...)}
}

func entry(term, text string) Block {
	return Block{Kind: Entry, Term: Strong(term), Text: text}
}

// commandPage returns the help of a command: synopsis, description, examples, flags and exit
// codes; the whole text unless short is set.
func commandPage(c *catalog.Command, short bool) Page {
	p, _ := Command(c.Name)
	line := strings.TrimSpace("regfsck " + c.Name + " " + c.Arguments)
	blocks := []Block{{Kind: Code, Lines: []string{line}}}
	var more, examples []Block
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
	if c.Name == "schema" {
		blocks = append(blocks, Block{Kind: Heading, Depth: 2, Text: "Documents"})
		for _, n := range report.SchemaNames() {
			blocks = append(blocks, entry(n[0], n[1]))
		}
	}
	blocks = slices.Concat(blocks, more, examples, flagBlocks(c), exitBlocks(ExitsOf(c.Name)))
	if short && len(p.Parts()) > 2 {
		blocks = append(blocks, Block{Kind: Prose, Text: "All about it: " + Strong("regfsck help "+c.Name)})
	}
	return Page{Name: c.Name, Brief: c.Brief, Blocks: blocks}
}

// flagBlocks returns a list of a command's flags for each group.
func flagBlocks(c *catalog.Command) (blocks []Block) {
	titles := slices.Clone(catalog.GroupOrder)
	groups := map[string][]Block{}
	for _, f := range c.Flags {
		title := f.Group
		if !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
		groups[title] = append(groups[title], flagEntry(f))
	}
	for _, title := range titles {
		if len(groups[title]) > 0 {
			blocks = append(blocks, Block{Kind: Heading, Depth: 2, Text: cmp.Or(title, "Flags")})
			blocks = append(blocks, groups[title]...)
		}
	}
	return blocks
}

// flagEntry returns the entry of a flag.
func flagEntry(f catalog.Flag) Block {
	before, rest, _ := strings.Cut(f.Usage, "`")
	value, after, _ := strings.Cut(rest, "`")
	names := words.All(shortFirst(f.Names), func(name string) string { return Strong(catalog.Dashed(name)) })
	text := before + value + after
	if f.TakesValue && f.Default != "" {
		text += " (default " + f.Default + ")"
	}
	return Block{Kind: Entry, Term: strings.TrimSpace(strings.Join(names, ", ") + " " + value), Text: text}
}

// shortFirst returns a flag's names, those of one letter first.
func shortFirst(names []string) []string {
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int {
		return cmp.Compare(min(len(a), 2), min(len(b), 2))
	})
}

// exits are the exit code bits of each command, without those of wrong arguments and of an
// answer that can't be written, which all have.
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

// ExitsOf returns the bits of the exit codes of a command.
func ExitsOf(command string) exitcode.Code {
	return exits[command] | exitcode.Incomplete | exitcode.Usage
}

// exitBlocks returns the list of exit codes with these bits.
func exitBlocks(can exitcode.Code) []Block {
	blocks := []Block{{Kind: Heading, Depth: 2, Text: "Exit codes, added up"}, entry("0", exitcode.Code(0).Meaning())}
	for _, e := range exitcode.Bits() {
		if can&e.Bit != 0 {
			blocks = append(blocks, entry(fmt.Sprint(int(e.Bit)), e.Meaning))
		}
	}
	return blocks
}

// commandBlocks returns the reference of all commands and flags.
func (r Program) commandBlocks() (blocks []Block) {
	for _, c := range r.Commands {
		blocks = append(blocks,
			Block{Kind: Heading, Depth: 2, Text: strings.TrimSpace("regfsck " + c.Name + " " + c.Arguments)},
			Block{Kind: Prose, Text: c.Brief + "."})
		for _, b := range flagBlocks(&c) {
			if b.Kind == Heading {
				b.Depth++
			}
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// findingBlocks returns all kinds of findings, by severity.
func findingBlocks() (blocks []Block) {
	before := finding.Severity(255)
	for id := range finding.All {
		if s := id.Severity(); s != before {
			blocks = append(blocks, Block{Kind: Heading, Depth: 2, Text: s.String() + ": " + report.SeverityMeaning(s)})
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

// curesOf returns how fix repairs findings of a kind.
func curesOf(id finding.Kind) (all []string) {
	for _, c := range id.Cures() {
		word := cureWords[c]
		if c.Asks() {
			word += " with " + Strong("--also "+id.String())
		}
		all = append(all, word)
	}
	return all
}

var cureWords = map[finding.Cure]string{
	finding.CureRemove: "fix removes it", finding.CureAbort: "fix aborts it, which can't be undone",
	finding.CureRebuild: "fix rebuilds it", finding.CureHeal: "fix copies it from its own past or with " + Strong("--from"),
	finding.CureRemoveAsk: "fix removes it", finding.CureMoveAsk: "fix moves it away",
	finding.CureWriteAsk: "fix writes a link", finding.CureWithdrawAsk: "fix withdraws the images that need it",
}

// pagesDate is the date in manual pages. It is fixed, so that builds are reproducible.
const pagesDate = "2026-11-29"

// ManPage is a manual page.
type ManPage struct {
	Manual
	Page Page
}

// ManPages returns the manual pages of the program, its commands and its topics, each with
// its references.
func (r Program) ManPages() (all []ManPage) {
	add := func(title string, section int, p Page) {
		all = append(all, ManPage{Manual{Title: title, Section: section, Date: pagesDate, Program: "regfsck " + r.Version}, p})
	}
	add("regfsck", 1, r.overview())
	for _, c := range r.Commands {
		add("regfsck-"+c.Name, 1, commandPage(&c, false))
	}
	for _, p := range Topics() {
		if p.Name == "commands" { // commands have pages of their own
			continue
		}
		p, _ := r.Page(p.Name, false)
		add("regfsck-"+p.Name, 7, p)
	}
	names := words.All(all, func(m ManPage) string { return fmt.Sprintf("%s (%d)", m.Title, m.Section) })
	for i := range all {
		all[i].See = names[:1]
		if i == 0 {
			all[i].See = slices.Clone(names[1:])
		}
	}
	return all
}
