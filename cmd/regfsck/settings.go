package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/pager"
	"regfsck/cmd/regfsck/rediscache"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/value"
	"regfsck/cmd/regfsck/yamldoc"
	"regfsck/graph/apply"
)

// Flags can be set besides the command line: by variables, and in a file. What the
// command line says holds, else what a variable says, else what the file says under
// the command's name, else what the file says for all commands.

// maxSettings bounds the bytes of a file of settings.
const maxSettings = 1 << 20

// variablePrefix begins the variables that set flags.
const variablePrefix = "REGFSCK_"

// hookPrefix begins the variables that hooks are told by, which set nothing.
const hookPrefix = variablePrefix + "HOOK_"

// commandLineOnly are the flags that are meant in one moment, so that nothing sets
// them for good: that a plan is carried out, that nobody need be asked, that more is
// removed, and that a guard or the undo is left out.
var commandLineOnly = []string{
	"apply", "yes", "break-lease", "save-plan", "list", "all", "older-than", "damaged", "schema", "config", "dry-run",
	"undo", "registry-running-ok", "allow-tagless", "also", "may-remove", "honour-expiry", "keep-list-age", "pulled-log-gap",
}

// loosens says why a command that changes a store doesn't take a setting from elsewhere
// than its command line; "" where it does. What doesn't parse is told of by who reads it.
func loosens(command *cli.Command, set setting) string {
	if !takes(command, "undo") {
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
	case "uploads-older-than": // the abort of a multipart upload has no undo
		usual, _ := value.Duration(usualUploads)
		if d, err := value.Duration(text); err == nil && d < usual {
			return "is set shorter than " + usualUploads + ", which only the command line may do for a command that removes"
		}
	}
	return ""
}

// joined are the lists that protect: what one place names another can't leave out.
var joined = []string{"skip", "follow", "keep-tags", "keep-list", "pulled-log", "exclude-repo"}

// repeats begins the keys under which the app notes that a flag which was set elsewhere
// is said again by the commands that lead on: a shell without that variable or file
// would make another plan.
const repeats = "repeat "

// secret are the flags whose values are told to nobody.
var secret = []string{redisName, "before", "after"}

// setNotes says what a plan is made by that was not on the command line.
func setNotes(c *cli.Context) (notes []string) {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		where, set := elsewhere(c.App, name)
		if !set || slices.Contains(momentary, name) {
			continue
		}
		value := " " + c.String(name)
		switch f.(type) {
		case *cli.BoolFlag:
			value = ""
		case *cli.StringSliceFlag:
			value = " " + strings.Join(c.StringSlice(name), ",")
		}
		if slices.Contains(secret, name) {
			value = " …"
		}
		notes = append(notes, "Set by "+where+": --"+name+value)
	}
	return notes
}

const configName = "config"

// usualSettings is the file of settings that is read where no other is named.
const usualSettings = "/etc/regfsck.yml"

func configFlag() cli.Flag {
	return textFlag(configName, "take flags that aren't given from `FILE` (regfsck help settings)", usualSettings)
}

// setting is the value that a flag has from elsewhere than the command line.
type setting struct {
	flag   string
	values []string // one, but for flags that may be repeated
	where  string   // "REGFSCK_GRACE", or "/etc/regfsck.yml, line 3"
}

// elsewhere returns where a flag of this run was set, if not on the command line.
func elsewhere(app *cli.App, flag string) (where string, ok bool) {
	where, ok = app.Metadata[flag].(string)
	return where, ok
}

// withSettings adds to the flags that were given to a command those that are set
// elsewhere.
func (s *session) withSettings(app *cli.App, command *cli.Command, flags []string) ([]string, error) {
	if !takes(command, configName) {
		return flags, nil
	}
	given := map[string]bool{}
	values := map[string][]string{}
	file, named := "", false
	for i := 0; i < len(flags); i++ {
		f := flagOf(command, flagName(flags[i]))
		_, value, whole := strings.Cut(flags[i], "=")
		if f.(cli.DocGenerationFlag).TakesValue() && !whole {
			i++
			value = flags[i]
		}
		values[f.Names()[0]] = append(values[f.Names()[0]], value)
		if given[f.Names()[0]] = true; f.Names()[0] == configName {
			file, named = value, true
		}
	}
	variables, err := s.variables(app)
	if err != nil {
		return nil, err
	}
	if named && file == "" {
		return nil, failure.Misuse("", "--config names no file; --config "+os.DevNull+" does without")
	}
	if at := s.getenv(variablePrefix + "CONFIG"); !named && at != "" {
		file, named = at, true
	}
	fromFile, err := s.fileSettings(app, command.Name, file, named)
	if err != nil {
		return nil, err
	}
	for _, set := range append(variables, fromFile...) {
		f := flagOf(command, set.flag)
		if f == nil || given[set.flag] && !slices.Contains(joined, set.flag) {
			continue
		}
		again := given[set.flag] || named || strings.HasPrefix(set.where, variablePrefix) // what leads on says it, too
		given[set.flag] = true
		if _, is := f.(*cli.BoolFlag); is {
			on, err := strconv.ParseBool(set.values[0])
			if err != nil {
				return nil, failure.Misuse("", "%s: --%s is true or false, not %q", set.where, set.flag, set.values[0])
			}
			if !on {
				continue
			}
			s.json = s.json || set.flag == "json"
		}
		if why := loosens(command, set); why != "" {
			return nil, failure.Misuse("", "%s: --%s %s", set.where, set.flag, why)
		}
		if where, twice := elsewhere(app, set.flag); twice {
			set.where = where + ", and " + set.where
		}
		app.Metadata[set.flag] = set.where
		if again && !slices.Contains(secret, set.flag) && !among(s.reachFlags())(set.flag) {
			app.Metadata[repeats+set.flag] = true
		}
		for _, value := range set.values {
			if !slices.Contains(values[set.flag], value) {
				values[set.flag] = append(values[set.flag], value)
				flags = append(flags, "--"+set.flag+"="+value)
			}
		}
	}
	return flags, nil
}

// takes reports whether a command has a flag.
func takes(command *cli.Command, name string) bool {
	return command != nil && flagOf(command, name) != nil
}

// flagOf returns a command's flag by one of its names; nil if it has none.
func flagOf(command *cli.Command, name string) cli.Flag {
	for _, f := range command.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// settable are the flags of all commands that can be set elsewhere.
func settable(app *cli.App) (names []string) {
	for _, command := range app.Commands {
		if !takes(command, configName) {
			continue
		}
		for _, f := range command.Flags {
			if name := f.Names()[0]; !slices.Contains(names, name) && !slices.Contains(commandLineOnly, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func variableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// links are the variables by which Kubernetes and Docker tell of a service whose name
// begins with regfsck. They set nothing.
var links = regexp.MustCompile(`^REGFSCK_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[A-Z0-9_]+)?)$`)

// variables returns what variables set. One that nothing is called by is an error:
// what it was to say would not hold. Of a flag that may be repeated each line is a
// value.
func (s *session) variables(app *cli.App) (all []setting, err error) {
	names := settable(app)
	known := map[string]string{}
	for _, flag := range names {
		known[variableOf(flag)] = flag
	}
	for _, entry := range s.environ() {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || strings.HasPrefix(name, hookPrefix) || value == "" || name == variablePrefix+"CONFIG" || name == pager.Variable {
			continue
		}
		flag, ok := known[name]
		switch {
		case ok && repeatable(app, flag):
			all = append(all, setting{flag, strings.Split(strings.TrimRight(value, "\n"), "\n"), name})
		case ok:
			all = append(all, setting{flag, []string{value}, name})
		case slices.ContainsFunc(commandLineOnly, func(flag string) bool { return variableOf(flag) == name }):
			return nil, failure.Misuse("", "%s: --%s is taken from the command line alone", name, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "_", "-")))
		case name == variableOf("store"):
			return nil, failure.Misuse("", "%s: STORE is named on the command line", name)
		case !links.MatchString(name):
			var variables []string
			for _, flag := range names {
				variables = append(variables, variableOf(flag))
			}
			return nil, failure.Misuse("Take it out of the environment, or give it the name of a flag.", "there is no flag for the variable %s%s", name, spelling.DidYouMean(name, variables, ""))
		}
	}
	return all, nil
}

// repeatable reports whether a flag may be given several times.
func repeatable(app *cli.App, flag string) bool {
	return slices.ContainsFunc(app.Commands, func(c *cli.Command) bool {
		_, is := flagOf(c, flag).(*cli.StringSliceFlag)
		return is
	})
}

// fileSettings returns what a file sets for a command. It may be missing only where
// nobody named it. Settings under the command's name come first.
func (s *session) fileSettings(app *cli.App, command, file string, named bool) (all []setting, err error) {
	if !named {
		file = s.settings
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
	r := settingsReader{app: app, command: command, file: file}
	if err := r.read(body); err != nil {
		return nil, failure.Misuse(seeHelp(command), "--config %s%w", file, err)
	}
	all = append(r.own, r.common...)
	for _, set := range all {
		if shown && set.flag == redisName && rediscache.HasPassword(set.values[0]) && takes(app.Command(command), redisName) {
			s.say(set.where + ": --redis holds a password, and everybody on this machine can read it there (chmod o-r)")
		}
	}
	return all, nil
}

// readSettings returns what is in a file of settings. Since it can name commands that
// are run (--before), and places that are written to, nobody else may be able to write
// in it: it is refused where it belongs to somebody else than root or who runs this,
// or where a group or everybody may write in it or replace it. shown reports whether
// everybody may read it.
func readSettings(path string) (body []byte, shown bool, err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // opening it might wait for ever
		return nil, false, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	defer f.Close()
	info, err = f.Stat()
	if err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is no file", path)
	}
	if who := foreignWriters(info); who != "" {
		return nil, false, fmt.Errorf("%s is not trusted, since it can name commands: it can be changed by %s (chmod go-w, and chown it to root or to yourself, once you have seen that what it says is yours)", path, who)
	}
	if err := trustedWay(path); err != nil {
		return nil, false, fmt.Errorf("%s is not trusted, since it can name commands: %w", path, err)
	}
	if body, err = yamldoc.ReadAll(f, maxSettings); err != nil {
		return nil, false, failure.Unreadable(path, err)
	}
	return body, everybodyReads(info), nil
}

// trustedWay fails where somebody else can change a directory on the way to a file, so
// that another file would stand there. The ways of symbolic links are looked at too; in
// a directory that is everybody's nobody knows whose link it is, so none may stand there.
func trustedWay(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at := filepath.VolumeName(path) + string(filepath.Separator)
	parts := func(p string) []string {
		return strings.FieldsFunc(p[len(filepath.VolumeName(p)):], func(r rune) bool { return r < 128 && os.IsPathSeparator(uint8(r)) })
	}
	const most = 40 // links, as Linux follows
	for rest, links := parts(path), 0; len(rest) > 0; {
		dir, err := os.Stat(at)
		if err != nil {
			return err
		}
		who := foreignWriters(dir)
		if who != "" && dir.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("its directory %s can be changed by %s (chmod go-w, and chown it to root or to yourself)", at, who)
		}
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		target, err := os.Readlink(next)
		if links++; err == nil && links > most {
			err = errors.New("too many symbolic links")
		}
		if err != nil {
			return err
		}
		if who != "" {
			return fmt.Errorf("%s is a symbolic link in a directory that can be changed by %s (name the file itself)", next, who)
		}
		if filepath.IsAbs(target) {
			at = filepath.VolumeName(target) + string(filepath.Separator)
		}
		rest = append(parts(target), rest...)
	}
	return nil
}

// word is what names of flags and commands look like.
var word = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// settingsReader reads a file of settings.
type settingsReader struct {
	app         *cli.App
	command     string
	file        string
	own, common []setting // for the command alone, and for all
}

func (r *settingsReader) read(body []byte) error {
	var doc yaml.Node
	switch err := yamldoc.Decode(body, &doc); {
	case err == yamldoc.ErrEmpty:
		return nil
	case err == yamldoc.ErrMore:
		return fmt.Errorf(": %w", err)
	case err != nil:
		text, _, _ := strings.Cut(backend.OneLine(err.Error()), "'") // what it quotes may be a secret
		return errors.New(": " + strings.TrimSpace(text))
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf(", line %d: a file of settings has lines like grace: 2h", top.Line)
	}
	return r.mapping(top, "")
}

// mapping reads settings, for all commands or for the one whose name they stand under.
func (r *settingsReader) mapping(m *yaml.Node, under string) error {
	seen := map[string]bool{}
	names := settable(r.app)
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		failed := func(format string, values ...any) error {
			return fmt.Errorf(", line %d: "+format, append([]any{key.Line}, values...)...)
		}
		if !word.MatchString(key.Value) { // it may be a secret that slipped out of its line
			return failed("what stands before the colon is no name of a flag or a command, such as max-delete or check")
		}
		if seen[key.Value] {
			return failed("%s stands there twice", key.Value)
		}
		seen[key.Value] = true
		if value.Kind == yaml.MappingNode && under == "" {
			command := r.app.Command(key.Value)
			if !takes(command, configName) {
				return failed("there is no command %q that takes settings%s", key.Value, spelling.DidYouMean(key.Value, commandNames(r.app), ""))
			}
			if err := r.mapping(value, key.Value); err != nil {
				return err
			}
			continue
		}
		switch {
		case slices.Contains(commandLineOnly, key.Value):
			return failed("--%s is taken from the command line alone", key.Value)
		case key.Value == "store":
			return failed("there is no flag --store: STORE is named on the command line")
		case under == "" && takes(r.app.Command(key.Value), configName):
			return failed("%s is a command: below it stand lines like grace: 2h", key.Value)
		case !slices.Contains(names, key.Value):
			return failed("there is no flag --%s%s", key.Value, spelling.DidYouMean(key.Value, names, ""))
		case under != "" && !takes(r.app.Command(under), key.Value):
			return failed("%s has no flag --%s", under, key.Value)
		}
		values, err := yamldoc.Scalars(value, repeatable(r.app, key.Value))
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

// origins says where the flags that a complaint names were set, a line each, where it
// was not the command line.
func (s *session) origins(complaint string) (lines string) {
	if s.app == nil {
		return ""
	}
	for _, flag := range settable(s.app) {
		where, ok := elsewhere(s.app, flag)
		if ok && mentions(complaint, "--"+flag) {
			lines += "--" + flag + " is set by " + where + ".\n"
		}
	}
	return lines
}

// mentions reports whether a flag is named in a text, and no longer one.
func mentions(text, flag string) bool {
	for {
		_, rest, found := strings.Cut(text, flag)
		if !found {
			return false
		}
		if next := strings.IndexFunc(rest, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }); next == 0 || rest == "" {
			return true
		}
		text = rest
	}
}
