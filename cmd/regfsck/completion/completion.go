// Package completion has the shells' completion scripts, and computes the completions at the
// cursor.
//
// The scripts contain no names of commands or flags: they call the program. So a new flag
// needs no change here, and all shells complete alike.
package completion

import (
	"embed"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/help"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/formats"
)

//go:embed regfsck.*
var scripts embed.FS

// Shells are the shells with a script.
var Shells = []string{"bash", "zsh", "fish"}

// Script returns a shell's script; ok reports whether there is one.
func Script(shell string) (text string, ok bool) {
	body, err := scripts.ReadFile("regfsck." + shell)
	return string(body), err == nil
}

// Completer computes the completions of a command line.
type Completer struct {
	Commands catalog.Commands
	Values   map[string][]string // of flags that accept only these
}

// Complete returns the completions of the last word, one a line, each with a tab and its
// description. A last line ":" means that file names are possible too.
func (r Completer) Complete(words []string) string {
	last := max(len(words)-1, 0)
	found, files := r.candidates(words[:last], strings.Join(words[last:], ""))
	var b strings.Builder
	for _, f := range found {
		b.WriteString(f[0] + "\t" + f[1] + "\n")
	}
	if files {
		b.WriteString(":\n")
	}
	return b.String()
}

// candidates returns the completions of word after the words before it; files reports whether
// file names are possible too.
func (r Completer) candidates(before []string, word string) (found [][2]string, files bool) {
	if len(before) == 0 {
		return beginning(r.commands(), word), false
	}
	command := r.Commands.Find(before[0])
	if command == nil {
		return nil, false
	}
	before = before[1:]
	if len(before) > 0 {
		if f := flagNamed(command, before[len(before)-1]); f != nil && f.TakesValue {
			return r.valuesOf(f.Names[0], word)
		}
	}
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "-") {
		if f := flagNamed(command, name); f != nil {
			found, files = r.valuesOf(f.Names[0], value)
			for i := range found {
				found[i][0] = name + "=" + found[i][0]
			}
		}
		return found, files
	}
	if strings.HasPrefix(word, "-") && !slices.Contains(before, "--") {
		return beginning(flagsOf(command), word), false
	}
	return r.argumentsOf(command, word)
}

// argumentsOf returns the completions of an argument of a command.
func (r Completer) argumentsOf(command *catalog.Command, word string) (found [][2]string, files bool) {
	switch command.Name {
	case "help":
		all := r.commands()
		for _, name := range help.TopicNames() {
			all = append(all, [2]string{name, "topic"})
		}
		return beginning(append(all, kindsOf(everyKind)...), word), false
	case "explain":
		return beginning(kindsOf(everyKind), word), false
	case "schema":
		return beginning(report.SchemaNames(), word), false
	case "completion":
		return beginning(described(Shells), word), false
	}
	return nil, true
}

// valuesOf returns the completions of a flag's value.
func (r Completer) valuesOf(flag, word string) (found [][2]string, files bool) {
	switch flag {
	case "only", "skip":
		all := kindsOf(isFound)
		for _, g := range finding.Groups {
			all = append(all, [2]string{g.Name, g.Brief})
		}
		return inList(all, word), false
	case "also":
		return inList(kindsOf(finding.Kind.OnRequest), word), false
	case "id":
		return beginning(kindsOf(isFound), word), false
	case "report":
		return reportNames(word), true
	}
	if all := r.Values[flag]; all != nil {
		return beginning(described(all), word), false
	}
	return nil, true
}

func everyKind(finding.Kind) bool { return true }
func isFound(k finding.Kind) bool { return k.Severity() != finding.Asked }

// kindsOf returns the kinds of findings that wanted selects.
func kindsOf(wanted func(finding.Kind) bool) (all [][2]string) {
	for id := range finding.All {
		if wanted(id) {
			all = append(all, [2]string{id.String(), id.Explanation().Brief})
		}
	}
	return all
}

// commands returns the commands that help lists.
func (r Completer) commands() (all [][2]string) {
	for _, c := range r.Commands {
		all = append(all, [2]string{c.Name, c.Brief})
	}
	return all
}

// flagsOf returns a command's flags under all of their names.
func flagsOf(command *catalog.Command) (all [][2]string) {
	for _, f := range command.Flags {
		for _, name := range f.Names {
			all = append(all, [2]string{catalog.Dashed(name), strings.ReplaceAll(f.Usage, "`", "")})
		}
	}
	return append(all, [2]string{"--help", "show the help of the command"})
}

// flagNamed returns the flag with that name, or nil.
func flagNamed(command *catalog.Command, word string) *catalog.Flag {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return nil
	}
	return command.Flag(catalog.FlagName(word))
}

func described(names []string) (all [][2]string) {
	for _, n := range names {
		all = append(all, [2]string{n, ""})
	}
	return all
}

// beginning returns the candidates that begin with word.
func beginning(all [][2]string, word string) [][2]string {
	return slices.DeleteFunc(all, func(c [2]string) bool { return !strings.HasPrefix(c[0], word) })
}

// inList returns the completions of the last element of a comma-separated list, without the
// elements that the list has.
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

// reportNames returns file names for a report, one for each format.
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
