package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts a command's flags before its other arguments, since the library
// stops looking for flags at the first argument that is none. What follows "--"
// is never taken for a flag. A flag or command that doesn't exist is an error.
func arrange(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return nil, misuse(seeHelp(""), "no command was given")
	}
	first := args[1]
	if strings.HasPrefix(first, "-") {
		if name := flagName(first); !slices.Contains([]string{"help", "h", "version", "v"}, name) {
			return nil, misuse("Flags stand after the command: regfsck check "+first+" …", "there is no flag %s before a command", first)
		}
		return args[:2], nil
	}
	command := app.Command(first)
	if command == nil {
		return nil, misuse(seeHelp(""), "there is no command %q%s", first, orNearest(first, commandNames(app), ""))
	}
	flags, others, err := separate(command, args[2:])
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(flags, func(f string) bool { return f == "-h" || strings.HasSuffix(f, "-help") }) {
		return append(slices.Clone(args[:2]), "--help"), nil // the library would take STORE for a topic
	}
	return slices.Concat(args[:2], flags, []string{"--"}, others), nil
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
	for _, c := range app.Commands {
		names = append(names, c.Name)
	}
	return names
}
