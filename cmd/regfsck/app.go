package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/help"
	"regfsck/report"
)

// The library describes every flag of every command at each start, for a help that this
// program writes itself: a name is enough.
func init() { cli.FlagStringer = func(f cli.Flag) string { return f.Names()[0] } }

// newApp returns the commands. They leave their exit code in the session.
func newApp(s *session) *cli.App {
	return &cli.App{
		Name:                      "regfsck",
		Usage:                     "check and repair the storage of a Docker/CNCF Distribution registry",
		Version:                   version,
		Commands:                  []*cli.Command{checkCommand(s), fixCommand(s), rmCommand(s), pruneCommand(s), applyCommand(s), statusCommand(s), undoCommand(s), purgeCommand(s), lsCommand(s), whyCommand(s), diffCommand(s), showCommand(s), acceptCommand(s), exportCommand(s), explainCommand(s), schemaCommand(s), waitReadonlyCommand(s), versionCommand(s), helpCommand(s), manCommand(s), completionCommand(s), completeCommand(s)},
		HideHelp:                  true, // the library's own flags are shared by all that runs at once
		HideVersion:               true,
		Flags:                     []cli.Flag{&cli.BoolFlag{Name: "version", Aliases: []string{"v"}}},
		Action:                    s.version,
		DisableSliceFlagSeparator: true,
		Writer:                    s.stdout,
		ErrWriter:                 s.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              asItIs,
		Metadata:                  map[string]any{}, // where flags were set, by their names, if not on the command line
	}
}

// complete fills in what all commands have in common, and what the help says of this one.
func complete(c *cli.Command) *cli.Command {
	c.Usage = help.CommandBrief(c.Name)
	c.HideHelp = true
	c.OnUsageError = asItIs
	return c
}

// version says which program this is.
func (s *session) version(*cli.Context) error {
	_, err := fmt.Fprintln(s.stdout, "regfsck version", version)
	return s.written(err)
}

// versionCommand says which program this is.
func versionCommand(s *session) *cli.Command {
	return complete(&cli.Command{
		Name:      "version",
		ArgsUsage: "[flags]",
		Flags:     []cli.Flag{jsonFlag()},
		Action:    s.describe,
	})
}

func (s *session) describe(c *cli.Context) error {
	if c.NArg() > 0 {
		return misuse(seeHelp("version"), "version takes no arguments, and %d were given", c.NArg())
	}
	return s.deliver(&report.Program{Version: version}, 0, &output{json: c.Bool("json"), text: s.text("auto")})
}

// asItIs keeps the library from writing to stdout when a flag is wrong.
func asItIs(_ *cli.Context, err error, _ bool) error { return misuse(seeHelp(""), "%w", err) }

// seeHelp is the hint that ends most complaints about arguments.
func seeHelp(command string) string {
	if command == "" {
		return "See regfsck --help."
	}
	return "See regfsck " + command + " --help."
}

// arrange puts a command's flags before its other arguments, since the library
// stops looking for flags at the first argument that is none. What follows "--"
// is never taken for a flag. A flag or command that doesn't exist is an error. Where
// help is asked for, or nothing at all, the command is help. Flags that are set
// elsewhere come with those that were given.
func (s *session) arrange(args []string) ([]string, error) {
	app := s.app
	if len(args) < 2 {
		return append(args, "help"), nil
	}
	first := args[1]
	if strings.HasPrefix(first, "-") {
		switch name := flagName(first); name {
		case "help", "h":
			return []string{args[0], "help"}, nil
		case "version", "v":
			return args[:2], nil
		}
		return nil, misuse("Flags stand after the command: regfsck check "+first+" …", "there is no flag %s before a command", first)
	}
	command := app.Command(first)
	if command == nil {
		return nil, misuse(seeHelp(""), "there is no command %q%s", first, orNearest(first, commandNames(app), ""))
	}
	if command.SkipFlagParsing {
		return args, nil
	}
	if on, err := strconv.ParseBool(s.getenv(variableOf("json"))); err == nil && takes(command, configName) && takes(command, "json") {
		s.json = s.json || on
	}
	flags, others, err := separate(command, args[2:])
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(flags, asksHelp) {
		return []string{args[0], "help", "--short", first}, nil
	}
	if flags, err = s.withSettings(app, command, flags); err != nil {
		return nil, err
	}
	return slices.Concat(args[:2], flags, []string{"--"}, others), nil
}

// asksHelp reports whether a flag asks for the help of its command.
func asksHelp(flag string) bool {
	name := flagName(flag)
	return strings.HasPrefix(flag, "-") && (name == "help" || name == "h")
}

// separate sorts a command's arguments into flags, with their values, and the
// others.
func separate(command *cli.Command, args []string) (flags, others []string, err error) {
	known := map[string]bool{"help": false, "h": false} // whether it takes a value
	for _, f := range command.Flags {
		for _, name := range f.Names() {
			known[name] = f.(cli.DocGenerationFlag).TakesValue()
		}
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return flags, append(others, args...), nil
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			others = append(others, arg)
			continue
		}
		takes, ok := known[flagName(arg)]
		_, _, given := strings.Cut(arg, "=")
		switch {
		case !ok:
			return nil, nil, misuse(seeHelp(command.Name), "there is no flag %s%s", dashed(flagName(arg)), orNearest(flagName(arg), flagNames(known), "--"))
		case takes && !given && len(args) == 0:
			return nil, nil, misuse(seeHelp(command.Name), "%s needs a value", dashed(flagName(arg)))
		case !takes && given:
			return nil, nil, misuse(seeHelp(command.Name), "%s takes no value", dashed(flagName(arg)))
		}
		flags = append(flags, arg)
		if takes && !given {
			flags, args = append(flags, args[0]), args[1:]
		}
	}
	return flags, others, nil
}

// flagName returns the name in "-x", "--x" or "--x=y".
func flagName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	return name
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func flagNames(known map[string]bool) []string {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func commandNames(app *cli.App) []string {
	var names []string
	for _, c := range app.VisibleCommands() {
		names = append(names, c.Name)
	}
	return names
}

// orNearest returns a question that names what was probably meant, or "".
func orNearest(word string, names []string, before string) string {
	if n := nearest(word, names); n != "" {
		return "; did you mean " + before + n + "?"
	}
	return ""
}

// nearest returns the first of the names that are fewest typing errors away
// from a word, or "" if all are too far.
func nearest(word string, names []string) string {
	best, found := 1+len(word)/3, ""
	for _, n := range names {
		if d := distance(word, n); d < best || d == best && found == "" {
			best, found = d, n
		}
	}
	return found
}

// distance counts the letters to insert, remove or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
