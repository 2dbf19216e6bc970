package main

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/settings"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/report"
)

var (
	colors   = []string{"auto", "always", "never"}
	failOns  = []string{"error", "warning", "garbage", "never"}
	verifies = []string{"manifests", "all"} // values of fix's --verify
)

// These are flags of the library that keep their names, which it derives by a regular
// expression each time they are asked for: some thousand times in a run.
type (
	switchOption struct {
		*cli.BoolFlag
		names []string
	}
	textOption struct {
		*cli.StringFlag
		names []string
	}
	listOption struct {
		*cli.StringSliceFlag
		names []string
	}
)

func (f switchOption) Names() []string { return f.names }
func (f textOption) Names() []string   { return f.names }
func (f listOption) Names() []string   { return f.names }

// switchFlag is a flag without a value.
func switchFlag(name, usage string, aliases ...string) cli.Flag {
	return switchOption{&cli.BoolFlag{Name: name, Aliases: aliases, Usage: usage}, append([]string{name}, aliases...)}
}

// textFlag is a flag with a value. shown is the default in its help.
func textFlag(name, usage string, shown ...string) cli.Flag {
	return textOption{&cli.StringFlag{Name: name, Usage: usage, DefaultText: strings.Join(shown, "")}, []string{name}}
}

// valueFlag is a flag with a default value.
func valueFlag(name, usual, usage string) cli.Flag {
	return textOption{&cli.StringFlag{Name: name, Value: usual, DefaultText: usual, Usage: usage}, []string{name}}
}

// listFlag is a flag that may be given several times.
func listFlag(name, usage string) cli.Flag {
	return listOption{&cli.StringSliceFlag{Name: name, Usage: usage}, []string{name}}
}

// outputFlags choose the format of the answer.
func outputFlags() []cli.Flag {
	return group(catalog.AboutOutput,
		switchFlag("json", "write one JSON document to stdout and nothing else"),
		listFlag("report", "also write the answer to `FILE`, in the form that its ending names: .json, .csv, .md, .html, .prom or .junit.xml (repeatable)"),
		switchFlag("quiet", "write nothing but errors and the verdict", "q"),
		switchFlag("verbose", "show every key of a plan", "v"),
		switchFlag("full-paths", "show paths and digests whole on a terminal"),
		switchFlag("no-progress", "show no progress on stderr"),
		switchFlag("no-pager", "show a long answer at once, not page by page"),
		valueFlag("color", "auto", "use colour `WHEN`: auto, always or never"),
		textFlag("workers", "read with `N` workers", "by the number of cores"),
		textFlag(settings.ConfigName, "read flags that aren't given from `FILE` (regfsck help settings)", usualSettings),
	)
}

// policyFlags define what is garbage and how findings are reported.
func policyFlags() []cli.Flag {
	return append(group(catalog.AboutGarbage,
		valueFlag("grace", "1h", "keep garbage that is newer than `DURATION`, and count it apart"),
		valueFlag("uploads-older-than", settings.UsualUploads, "count an upload as garbage once it is older than `DURATION`"),
		switchFlag("untagged", "count manifests that no tag references as garbage, as garbage-collect -m does", "m", "delete-untagged"),
		switchFlag("thorough", "also look for stray files next to blobs and links"),
		switchFlag("no-wait", "judge at once; otherwise what changed within the last minute is looked at again when it is over"),
		listFlag("follow", "enter the symbolic link or mount at `PATH`, which belongs to the store (repeatable)"),
	), group(catalog.AboutOutput, switchFlag(allAffectsName, "let JSON and CSV name every tag that a finding harms, not only the first 10"))...)
}

const allAffectsName = "all-affects"

// own returns flags that other commands have in a group, by name, as a command's own.
func (s *session) own(names ...string) (flags []cli.Flag) {
	all := slices.Concat(outputFlags(), policyFlags(), consentFlags(s))
	for _, name := range names {
		at := slices.IndexFunc(all, func(f cli.Flag) bool { return f.Names()[0] == name })
		flags = append(flags, group("", all[at])...)
	}
	return flags
}

// applyFlags choose between a dry run and a change.
func applyFlags() []cli.Flag {
	return []cli.Flag{
		switchFlag("apply", "apply the plan; on a terminal its id is asked for first"),
		switchFlag("dry-run", "show the plan and change nothing: the default", "n"),
	}
}

// policy holds what a check looks for.
type policy struct {
	gc.Policy
	grace, uploads time.Duration
	thorough       bool
	wait           bool // wait for concurrent changes
	follow         []string
	verify         graph.Verify
	allAffects     bool // findings name every tag that they block
}

// looked returns the policy as reports show it.
func (p policy) looked() report.Looked {
	return report.Looked{Verify: p.verify.String(), Thorough: p.thorough, Untagged: p.Untagged, GraceSeconds: int64(p.grace / time.Second)}
}

func policyOf(c *cli.Context) (p policy, err error) {
	p = policy{thorough: c.Bool("thorough"), allAffects: c.Bool(allAffectsName), follow: c.StringSlice("follow")}
	p.HealAll = c.Bool("from-all")
	p.Untagged, p.wait = c.Bool("untagged"), has(c, "no-wait") && !c.Bool("no-wait")
	if p.grace, err = value.Duration(c.String("grace")); err != nil {
		return p, failure.Misuse(seeHelp(c.Command.Name), "--grace %w", err)
	}
	if p.uploads, err = value.Duration(c.String("uploads-older-than")); err != nil {
		return p, failure.Misuse(seeHelp(c.Command.Name), "--uploads-older-than %w", err)
	}
	if !has(c, "verify") {
		return p, nil
	}
	if p.verify, err = value.Verify(c.String("verify")); err != nil {
		return p, failure.Misuse(seeHelp(c.Command.Name), "--verify %w", err)
	}
	return p, nil
}

// has reports whether the command accepts the flag.
func has(c *cli.Context, name string) bool {
	return slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

// without returns the flags except those named.
func without(flags []cli.Flag, names ...string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return slices.Contains(names, f.Names()[0]) })
}

// unrepeated are flags of one answer or one confirmation: suggested commands don't repeat
// them.
var unrepeated = []string{"json", "report", "quiet", "verbose", "full-paths", allAffectsName, "no-progress", "no-pager", "color", "limit", "dot", "apply", "dry-run", "yes", "save-plan", "break-lease", "schema"}

// given returns the flags that were set and that wanted selects, as command-line arguments in
// the order of the help. Suggested commands are made of it, so that they read the same store
// in the same way and exit with the same code.
func given(c *cli.Context, wanted func(name string) bool) (words []string) {
	set := c.LocalFlagNames()
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !slices.Contains(set, name) || slices.Contains(unrepeated, name) || !wanted(name) {
			continue
		}
		if set, ok := elsewhere(c.App, name); ok && !set.Again { // the settings apply again, or the value is secret
			continue
		}
		switch f.(type) {
		case switchOption:
			if c.Bool(name) {
				words = append(words, "--"+name)
			}
		case listOption:
			for _, value := range c.StringSlice(name) {
				words = append(words, "--"+name, value)
			}
		default:
			words = append(words, "--"+name, c.String(name))
		}
	}
	return words
}

// among returns a function that reports whether a name is one of the flags.
func among(flags ...[]cli.Flag) func(name string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(slices.Concat(flags...), func(f cli.Flag) bool { return f.Names()[0] == name })
	}
}

// commandLine returns the positional arguments and all flags that were set, except those
// named: a command with them finds the same.
func commandLine(c *cli.Context, without ...string) []string {
	return append(c.Args().Slice(), given(c, func(name string) bool { return !slices.Contains(without, name) })...)
}

// fixLine returns commandLine for a fix, which requires STORE, verifies all blobs or none,
// and has no severities.
func fixLine(c *cli.Context, found location.Location) []string {
	without := append([]string{"fail-on", listingName, sinceName, acceptName}, ledgerNames...)
	if !slices.Contains(verifies, c.String("verify")) {
		without = append(without, "verify")
	}
	words := commandLine(c, without...)
	if c.NArg() == 0 {
		words = append([]string{found.Source()}, words...)
	}
	return words
}

// oneOf returns the value of a flag that accepts only values.
func oneOf(c *cli.Context, name string, values []string) (string, error) {
	v := c.String(name)
	if !slices.Contains(values, v) {
		last := len(values) - 1
		return "", failure.Misuse(seeHelp(c.Command.Name), "--%s is %s or %s, not %q", name, strings.Join(values[:last], ", "), values[last], v)
	}
	return v, nil
}

// severities maps the values of --fail-on to the lowest severity that raises the exit code.
var severities = map[string]finding.Severity{
	"error": finding.Error, "warning": finding.Warning, "garbage": finding.Garbage, "never": finding.Fatal,
}

// fromFlags name sources of blobs that the store lacks.
func fromFlags() []cli.Flag {
	return group(catalog.AboutCopies,
		listFlag("from", "copy what is missing or corrupt from `SOURCE`: a registry's storage as STORE, a directory with blobs/sha256/…, or a registry https://host[/prefix] (repeatable, the first that has it is taken)"),
		switchFlag("from-all", "also copy what no tag is known to need: the missing blobs of manifests without a tag"),
		listFlag("from-repo", "look in a registry's repository NEW for what OLD needs here, as `OLD=NEW` (repeatable)"),
	)
}

// rateFlag limits the rate of copies.
func rateFlag() cli.Flag {
	return group(catalog.AboutCopies, textFlag("from-rate", "copy at most `BYTES` in a second from all sources together, such as 10MiB"))[0]
}

// rateOf returns the limit of --from-rate in bytes a second; 0 is none.
func rateOf(c *cli.Context) (int64, error) {
	if !c.IsSet("from-rate") {
		return 0, nil
	}
	n, err := value.Bytes(c.String("from-rate"))
	if err != nil {
		return 0, failure.Misuse(seeHelp(c.Command.Name), "--from-rate %w", err)
	}
	return n, nil
}

// setNotes returns a note on the flags that the settings set.
func setNotes(c *cli.Context) (notes []string) {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		set, ok := elsewhere(c.App, name)
		if !ok || slices.Contains(unrepeated, name) {
			continue
		}
		value := " " + c.String(name)
		switch f.(type) {
		case switchOption:
			value = ""
		case listOption:
			value = " " + strings.Join(c.StringSlice(name), ",")
		}
		if settings.IsSecret(name) {
			value = " …"
		}
		notes = append(notes, "Set by "+set.Where+": --"+name+value)
	}
	return notes
}

// usualSettings is the settings file that is read if --config names none.
const usualSettings = "/etc/regfsck.yml"

// elsewhere returns where a flag was set, if not on the command line.
func elsewhere(app *cli.App, flag string) (set settings.Origin, ok bool) {
	set, ok = app.Metadata[flag].(settings.Origin)
	return set, ok
}

// group puts flags under a title of the help.
func group(title string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case switchOption:
			f.Category = title
		case textOption:
			f.Category = title
		case listOption:
			f.Category = title
		}
	}
	return flags
}
