package main

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/failure"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/formats"
)

// The scripts of the shells hold no words of the program: each asks it what may stand at
// the cursor. So a new flag is completed without a line more, and all shells complete
// alike.
var (
	//go:embed completion/regfsck.bash
	bashScript string
	//go:embed completion/regfsck.zsh
	zshScript string
	//go:embed completion/regfsck.fish
	fishScript string
)

var scripts = map[string]*string{"bash": &bashScript, "zsh": &zshScript, "fish": &fishScript}

var shells = []string{"bash", "zsh", "fish"}

// runCompletion prints what makes a shell complete.
func runCompletion(s *session, c *cli.Context) error {
	script := scripts[c.Args().First()]
	if c.NArg() != 1 || script == nil {
		return failure.Misuse(seeHelp("completion"), "completion takes one SHELL: bash, zsh or fish")
	}
	_, err := fmt.Fprint(s.stdout, *script)
	return s.written(err)
}

const completeName = "__complete"

// runComplete is what the scripts call: it prints what may stand in the place of the last
// word, one a line, each with what it is after a tab. A last line that is a colon alone says
// that names of files may stand there too.
func runComplete(s *session, c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 {
		words = []string{""}
	}
	found, files := candidates(c.App, words[:len(words)-1], words[len(words)-1])
	var b strings.Builder
	for _, f := range found {
		b.WriteString(f[0] + "\t" + f[1] + "\n")
	}
	if files {
		b.WriteString(":\n")
	}
	_, err := fmt.Fprint(s.stdout, b.String())
	return s.written(err)
}

// candidates are what may stand in the place of a word, after those before it. Each
// begins with the word. files reports whether names of files may stand there too.
func candidates(app *cli.App, before []string, word string) (found [][2]string, files bool) {
	if len(before) == 0 {
		return beginning(commandsOf(app), word), false
	}
	command := app.Command(before[0])
	if command == nil || command.Hidden {
		return nil, false
	}
	before = before[1:]
	if len(before) > 0 {
		if f := flagNamed(command, before[len(before)-1]); f != nil && f.(cli.DocGenerationFlag).TakesValue() {
			return valuesOf(f.Names()[0], word)
		}
	}
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "-") {
		if f := flagNamed(command, name); f != nil {
			found, files = valuesOf(f.Names()[0], value)
			for i := range found {
				found[i][0] = name + "=" + found[i][0]
			}
		}
		return found, files
	}
	if strings.HasPrefix(word, "-") && !slices.Contains(before, "--") {
		return beginning(flagsOf(command), word), false
	}
	return argumentsOf(app, command, word)
}

// argumentsOf are what may stand as an argument of a command.
func argumentsOf(app *cli.App, command *cli.Command, word string) (found [][2]string, files bool) {
	switch command.Name {
	case "help":
		all := commandsOf(app)
		for _, name := range topicNames() {
			all = append(all, [2]string{name, "topic"})
		}
		return beginning(append(all, kindsOf(everyKind)...), word), false
	case "explain":
		return beginning(kindsOf(everyKind), word), false
	case "schema":
		return beginning(report.SchemaNames(), word), false
	case "completion":
		return beginning(described(shells), word), false
	}
	return nil, true
}

// valuesOf are what may stand as the value of a flag.
func valuesOf(flag, word string) (found [][2]string, files bool) {
	switch flag {
	case "only", "skip":
		all := kindsOf(foundKind)
		for _, g := range finding.Groups {
			all = append(all, [2]string{g.Name, g.Brief})
		}
		return inList(all, word), false
	case "also":
		return inList(kindsOf(finding.Kind.OnRequest), word), false
	case "id":
		return beginning(kindsOf(foundKind), word), false
	case "report":
		return reportNames(word), true
	}
	for name, all := range map[string][]string{
		"color": colors, "fail-on": failOns, "undo": undos, "sort": sorts, "time": {"pushed", "created"},
		"verify": verifies, "severity": acceptedSeverities,
	} {
		if name == flag {
			return beginning(described(all), word), false
		}
	}
	return nil, true
}

func everyKind(finding.Kind) bool   { return true }
func foundKind(k finding.Kind) bool { return k.Severity() != finding.Asked }

// kindsOf are the kinds of findings that wanted chooses.
func kindsOf(wanted func(finding.Kind) bool) (all [][2]string) {
	for id := range finding.All {
		if wanted(id) {
			all = append(all, [2]string{id.String(), id.Explanation().Brief})
		}
	}
	return all
}

// commandsOf are the commands that help lists.
func commandsOf(app *cli.App) (all [][2]string) {
	for _, c := range app.VisibleCommands() {
		all = append(all, [2]string{c.Name, c.Usage})
	}
	return all
}

// flagsOf are the flags of a command, each under all of its names.
func flagsOf(command *cli.Command) (all [][2]string) {
	for _, f := range command.Flags {
		for _, name := range f.Names() {
			all = append(all, [2]string{dashed(name), strings.ReplaceAll(f.(cli.DocGenerationFlag).GetUsage(), "`", "")})
		}
	}
	return append(all, [2]string{"--help", "show the help of the command"})
}

// flagNamed returns the flag that a word names, or nil.
func flagNamed(command *cli.Command, word string) cli.Flag {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return nil
	}
	at := slices.IndexFunc(command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), flagName(word)) })
	if at < 0 {
		return nil
	}
	return command.Flags[at]
}

func described(names []string) (all [][2]string) {
	for _, n := range names {
		all = append(all, [2]string{n, ""})
	}
	return all
}

// beginning keeps what begins with a word.
func beginning(all [][2]string, word string) [][2]string {
	return slices.DeleteFunc(all, func(c [2]string) bool { return !strings.HasPrefix(c[0], word) })
}

// inList are what may stand as the last part of a list that commas separate. What is in
// the list already isn't offered again.
func inList(all [][2]string, word string) [][2]string {
	at := strings.LastIndexByte(word, ',') + 1
	given := strings.Split(word[:at], ",")
	all = slices.DeleteFunc(all, func(c [2]string) bool { return slices.Contains(given, c[0]) })
	all = beginning(all, word[at:])
	for i := range all {
		all[i][0] = word[:at] + all[i][0]
	}
	return all
}

// reportNames are names for a report, one in each form.
func reportNames(word string) (all [][2]string) {
	dir, base := filepath.Split(word)
	base, _, _ = strings.Cut(base, ".")
	if base == "" {
		base = "regfsck"
	}
	for _, f := range formats.All() {
		if f.Ext != "" {
			all = append(all, [2]string{dir + base + f.Ext, "report"})
		}
	}
	return beginning(all, word)
}
