// Package catalog describes the commands of the program and their flags as plain values, for
// help, manual pages, completion and settings.
package catalog

import (
	"slices"
	"strings"

	"regfsck/backend/words"
)

// The titles of groups of flags.
const (
	AboutChange  = "Changing the store"
	AboutPlan    = "What the plan is about"
	AboutStay    = "What is kept"
	AboutCopies  = "Copies from elsewhere"
	AboutGarbage = "What is garbage"
	AboutLedger  = "What was hashed before"
	AboutOutput  = "Output"
)

// GroupOrder is the order of the groups in help; "" is the command's own flags. Other groups
// follow.
var GroupOrder = []string{"", AboutStay, AboutPlan, AboutCopies, AboutChange, AboutLedger, AboutGarbage, AboutOutput}

// Flag is a flag of a command.
type Flag struct {
	Names      []string // without dashes; the first is the main one
	Usage      string   // what it does; the name of its value is in back quotes
	Default    string   // the default as help shows it; "" for none
	Group      string   // the title of its group in help; "" for the command's own
	TakesValue bool
	Repeatable bool // it may be given several times
}

// Command is a command of the program.
type Command struct {
	Name, Arguments, Brief string
	Flags                  []Flag
}

// Flag returns the flag with a name; nil if there is none or c is nil.
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

// Commands lists all commands in the order of help.
type Commands []Command

// Find returns the command with a name; nil if there is none.
func (all Commands) Find(name string) *Command {
	at := slices.IndexFunc(all, func(c Command) bool { return c.Name == name })
	if at < 0 {
		return nil
	}
	return &all[at]
}

// Names returns the commands' names.
func (all Commands) Names() []string { return words.All(all, func(c Command) string { return c.Name }) }

// FlagName returns the name of a flag in the form "-x", "--x" or "--x=y".
func FlagName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	return name
}

// Dashed returns a flag as it is typed: "-x" or "--name".
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
