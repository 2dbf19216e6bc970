// Package settings reads flags that are set by environment variables and by a file.
//
// In order of precedence: the command line, variables, the file's section for the command,
// the file's section for all commands. Flags for one occasion, and flags that weaken a guard,
// can't be set. A variable or key that isn't a flag is an error.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/pager"
	"regfsck/cmd/regfsck/rediscache"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/value"
	"regfsck/cmd/regfsck/yamldoc"
	"regfsck/graph/apply"
)

// maxSettings is the most bytes of a settings file.
const maxSettings = 1 << 20

// variablePrefix is the prefix of variables that set flags.
const variablePrefix = "REGFSCK_"

// HookPrefix is the prefix of variables that the program sets for hooks; they set no flags.
const HookPrefix = variablePrefix + "HOOK_"

// commandLineOnly are flags that can't be set: those that apply a plan, skip the
// confirmation, raise limits, or switch off a guard or the undo.
var commandLineOnly = []string{
	"apply", "yes", "break-lease", "save-plan", "list", "all", "older-than", "damaged", "schema", "config", "dry-run",
	"undo", "registry-running-ok", "allow-tagless", "also", "may-remove", "honour-expiry", "keep-list-age", "pulled-log-gap",
}

// loosens returns why a command that changes stores refuses a setting; "" if it accepts it.
// Invalid values are accepted here and refused by their parsers.
func loosens(command *catalog.Command, set setting) string {
	if command.Flag("undo") == nil {
		return ""
	}
	switch text := set.values[0]; set.flag {
	case "untagged", "no-wait":
		if on, err := strconv.ParseBool(text); err == nil && on {
			return "is taken from the command line alone by a command that removes"
		}
	case "max-delete":
		if n, err := value.Share(text); err == nil && n > apply.DefaultMaxDelete {
			return "is set wider than 25%, which only the command line may do"
		}
	case "grace":
		if d, err := value.Duration(text); err == nil && d < time.Hour {
			return "is set shorter than 1h, which only the command line may do for a command that removes"
		}
	case "uploads-older-than": // the abort of a multipart upload can't be undone
		usual, _ := value.Duration(UsualUploads)
		if d, err := value.Duration(text); err == nil && d < usual {
			return "is set shorter than " + UsualUploads + ", which only the command line may do for a command that removes"
		}
	}
	return ""
}

// joined are lists that protect objects: the values of all places apply together.
var joined = []string{"skip", "follow", "keep-tags", "keep-list", "pulled-log", "exclude-repo"}

// UsualUploads is the default of --uploads-older-than.
const UsualUploads = "168h"

// IsSecret reports whether a flag's value must not be printed.
func IsSecret(flag string) bool { return flag == RedisName || flag == "before" || flag == "after" }

// Flags with a meaning here: the settings file, and the registry's cache in Redis.
const (
	ConfigName = "config"
	RedisName  = "redis"
)

// setting is a flag's value from a variable or file.
type setting struct {
	flag   string
	values []string // several for repeatable flags
	where  string   // "REGFSCK_GRACE", or "/etc/regfsck.yml, line 3"
}

// Origin is where a flag was set, if not on the command line.
type Origin struct {
	Where string // "REGFSCK_GRACE", or "/etc/regfsck.yml, line 3"
	Again bool   // another shell may lack the variable or file: suggested commands repeat the flag
}

// Reader reads the settings of one run.
type Reader struct {
	Commands catalog.Commands
	Environ  []string // as os.Environ
	Getenv   func(name string) string
	Usual    string                // the file that is read if none is named; "" for none
	Say      func(sentence string) // prints a warning about a password in a file that everybody can read
}

// Merge adds settings to the flags of a command line and returns their origins. With an
// error, it returns what was merged before.
func (r Reader) Merge(command *catalog.Command, flags []string) ([]string, map[string]Origin, error) {
	origins := map[string]Origin{}
	if command.Flag(ConfigName) == nil {
		return flags, origins, nil
	}
	values := map[string][]string{}
	for i := 0; i < len(flags); i++ {
		f := command.Flag(catalog.FlagName(flags[i]))
		_, value, whole := strings.Cut(flags[i], "=")
		if f.TakesValue && !whole {
			i++
			value = flags[i]
		}
		values[f.Names[0]] = append(values[f.Names[0]], value)
	}
	variables, err := r.variables()
	if err != nil {
		return nil, origins, err
	}
	named := values[ConfigName] != nil
	file := ""
	if named {
		if file = values[ConfigName][len(values[ConfigName])-1]; file == "" {
			return nil, origins, failure.Misuse("", "--config names no file; --config "+os.DevNull+" does without")
		}
	} else if file = r.Getenv(variablePrefix + "CONFIG"); file != "" {
		named = true
	}
	fromFile, err := r.file(command.Name, file, named)
	if err != nil {
		return nil, origins, err
	}
	given := map[string]bool{}
	for flag := range values {
		given[flag] = true
	}
	for _, set := range append(variables, fromFile...) {
		f := command.Flag(set.flag)
		if f == nil || given[set.flag] && !slices.Contains(joined, set.flag) {
			continue
		}
		again := given[set.flag] || named || strings.HasPrefix(set.where, variablePrefix)
		given[set.flag] = true
		if !f.TakesValue {
			on, err := strconv.ParseBool(set.values[0])
			if err != nil {
				return nil, origins, failure.Misuse("", "%s: --%s is true or false, not %q", set.where, set.flag, set.values[0])
			}
			if !on {
				continue
			}
		}
		if why := loosens(command, set); why != "" {
			return nil, origins, failure.Misuse("", "%s: --%s %s", set.where, set.flag, why)
		}
		o := Origin{set.where, again && !IsSecret(set.flag)}
		if before, twice := origins[set.flag]; twice {
			o = Origin{before.Where + ", and " + set.where, before.Again || o.Again}
		}
		origins[set.flag] = o
		for _, value := range set.values {
			if !slices.Contains(values[set.flag], value) {
				values[set.flag] = append(values[set.flag], value)
				flags = append(flags, "--"+set.flag+"="+value)
			}
		}
	}
	return flags, origins, nil
}

// Settable returns the flags of all commands that can be set, sorted.
func Settable(commands catalog.Commands) (names []string) {
	for _, command := range commands {
		if command.Flag(ConfigName) == nil {
			continue
		}
		for _, f := range command.Flags {
			if name := f.Names[0]; !slices.Contains(names, name) && !slices.Contains(commandLineOnly, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// VariableOf returns the name of the variable that sets a flag.
func VariableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// links are the variables that Kubernetes and Docker set for a service whose name begins with
// regfsck. They are ignored.
var links = regexp.MustCompile(`^REGFSCK_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[A-Z0-9_]+)?)$`)

// variables returns the settings of variables. A variable that isn't a flag is an error. For
// a repeatable flag, each line is a value.
func (r Reader) variables() (all []setting, err error) {
	names := Settable(r.Commands)
	for _, entry := range r.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || strings.HasPrefix(name, HookPrefix) || value == "" || name == variablePrefix+"CONFIG" || name == pager.Variable {
			continue
		}
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "_", "-"))
		ok := name == VariableOf(flag) && slices.Contains(names, flag)
		switch {
		case ok && r.repeatable(flag):
			all = append(all, setting{flag, strings.Split(strings.TrimRight(value, "\n"), "\n"), name})
		case ok:
			all = append(all, setting{flag, []string{value}, name})
		case name == VariableOf(flag) && slices.Contains(commandLineOnly, flag):
			return nil, failure.Misuse("", "%s: --%s can be given only on the command line", name, flag)
		case name == VariableOf("store"):
			return nil, failure.Misuse("", "%s: STORE is named on the command line", name)
		case !links.MatchString(name):
			near := spelling.DidYouMean(name, words.All(names, VariableOf), "")
			return nil, failure.Misuse("Take it out of the environment, or give it the name of a flag.", "there is no flag for the variable %s%s", name, near)
		}
	}
	return all, nil
}

// repeatable reports whether a flag may be given several times.
func (r Reader) repeatable(flag string) bool {
	return slices.ContainsFunc(r.Commands, func(c catalog.Command) bool { f := c.Flag(flag); return f != nil && f.Repeatable })
}

// file returns the settings of a file for a command, the command's own section first. A
// missing file is an error only if it was named.
func (r Reader) file(command, file string, named bool) (all []setting, err error) {
	if !named {
		file = r.Usual
	}
	if file == "" || file == os.DevNull {
		return nil, nil
	}
	body, shown, err := readSettings(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		hint := ""
		if !named {
			hint = "--config " + os.DevNull + " does without it."
		}
		return nil, failure.Misuse(hint, "--config %w", err)
	}
	p := parser{commands: r.Commands, repeatable: r.repeatable, command: command, file: file}
	if err := p.read(body); err != nil {
		return nil, failure.Misuse("See regfsck "+command+" --help.", "--config %s%w", file, err)
	}
	all = append(p.own, p.common...)
	for _, set := range all {
		if shown && set.flag == RedisName && rediscache.HasPassword(set.values[0]) && r.Commands.Find(command).Flag(RedisName) != nil {
			r.Say(set.where + ": --redis holds a password, and everybody on this machine can read it there (chmod o-r)")
		}
	}
	return all, nil
}

// word matches names of flags and commands.
var word = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// parser parses a settings file.
type parser struct {
	commands    catalog.Commands
	repeatable  func(flag string) bool
	command     string
	file        string
	own, common []setting // for the command, and for all commands
}

func (r *parser) read(body []byte) error {
	var doc yaml.Node
	switch err := yamldoc.Decode(body, &doc); {
	case err == yamldoc.ErrEmpty:
		return nil
	case err == yamldoc.ErrMore:
		return fmt.Errorf(": %w", err)
	case err != nil:
		text, _, _ := strings.Cut(backend.OneLine(err.Error()), "'") // a quoted value may be a secret
		return errors.New(": " + strings.TrimSpace(text))
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf(", line %d: a file of settings has lines like grace: 2h", top.Line)
	}
	return r.mapping(top, "")
}

// mapping parses the settings of all commands, or of the command under.
func (r *parser) mapping(m *yaml.Node, under string) error {
	seen := map[string]bool{}
	names := Settable(r.commands)
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		failed := func(format string, values ...any) error {
			return fmt.Errorf(", line %d: "+format, append([]any{key.Line}, values...)...)
		}
		if !word.MatchString(key.Value) { // it may be a secret with wrong indentation
			return failed("the text before the colon isn't the name of a flag or a command, such as max-delete or check")
		}
		if seen[key.Value] {
			return failed("%s is given twice", key.Value)
		}
		seen[key.Value] = true
		if value.Kind == yaml.MappingNode && under == "" {
			if r.commands.Find(key.Value).Flag(ConfigName) == nil {
				return failed("no command %q has settings%s", key.Value, spelling.DidYouMean(key.Value, r.commands.Names(), ""))
			}
			if err := r.mapping(value, key.Value); err != nil {
				return err
			}
			continue
		}
		switch {
		case slices.Contains(commandLineOnly, key.Value):
			return failed("--%s can be given only on the command line", key.Value)
		case key.Value == "store":
			return failed("there is no flag --store: STORE is named on the command line")
		case under == "" && r.commands.Find(key.Value).Flag(ConfigName) != nil:
			return failed("%s is a command: write lines like grace: 2h below it", key.Value)
		case !slices.Contains(names, key.Value):
			return failed("there is no flag --%s%s", key.Value, spelling.DidYouMean(key.Value, names, ""))
		case under != "" && r.commands.Find(under).Flag(key.Value) == nil:
			return failed("%s has no flag --%s", under, key.Value)
		}
		values, err := yamldoc.Scalars(value, r.repeatable(key.Value))
		if err != nil {
			return failed("%s: %w", key.Value, err)
		}
		one := setting{key.Value, values, fmt.Sprintf("%s, line %d", r.file, key.Line)}
		switch under {
		case "":
			r.common = append(r.common, one)
		case r.command:
			r.own = append(r.own, one)
		}
	}
	return nil
}

// flagIn matches a flag in the text of an error.
var flagIn = regexp.MustCompile(`--[a-z-]+`)

// Origins returns a line for each flag in the text of an error that was not set on the
// command line. where returns a flag's origin.
func Origins(complaint string, commands catalog.Commands, where func(flag string) (Origin, bool)) (lines string) {
	mentioned := flagIn.FindAllString(complaint, -1)
	for _, flag := range Settable(commands) {
		if set, ok := where(flag); ok && slices.Contains(mentioned, "--"+flag) {
			lines += "--" + flag + " is set by " + set.Where + ".\n"
		}
	}
	return lines
}
