// Package catalog describes the commands of the program and their flags as plain values, for
// whatever tells of them: help, manual pages, completion and settings.
package catalog

import (
	"slices"
	"strings"
)

// The titles of groups of flags.
const (
	AboutChange  = "Changing the store"
	AboutPlan    = "What the plan is about"
	AboutStay    = "What stays"
	AboutCopies  = "Copies from elsewhere"
	AboutGarbage = "What is garbage"
	AboutLedger  = "What was hashed before"
	AboutOutput  = "Output"
)

// GroupOrder is the order of the groups, the command's own flags first. Any other group
// follows these.
var GroupOrder = []string{"", AboutStay, AboutPlan, AboutCopies, AboutChange, AboutLedger, AboutGarbage, AboutOutput}

// Flag is a flag of a command.
type Flag struct {
	Names      []string // without dashes; it is known by the first
	Usage      string   // what it is for, the name of its value between back quotes
	Default    string   // what holds without it, for people; "" where nothing is said
	Group      string   // the title of its group in help; "" for the command's own
	TakesValue bool
	Repeatable bool // it may be given several times, each time with a value
}

// Command is a command that people call.
type Command struct {
	Name, Arguments, Brief string
	Flags                  []Flag
}

// Flag returns the flag that has a name; nil for none, also where c is nil.
func (c *Command) Flag(name string) *Flag {
	if c == nil {
		return nil
	}
	at := slices.IndexFunc(c.Flags, func(f Flag) bool { return slices.Contains(f.Names, name) })
	if at < 0 {
		return nil
	}
	return &c.Flags[at]
}

// Commands are all commands, in the order of help.
type Commands []Command

// Find returns the command of a name; nil for none.
func (all Commands) Find(name string) *Command {
	at := slices.IndexFunc(all, func(c Command) bool { return c.Name == name })
	if at < 0 {
		return nil
	}
	return &all[at]
}

// Names returns the names of the commands.
func (all Commands) Names() (names []string) {
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names
}

// FlagName returns the name in "-x", "--x" or "--x=y".
func FlagName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	return name
}

// Dashed returns a flag's name as it is typed: "-x" or "--name".
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
