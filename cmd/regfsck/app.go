package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/help"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/settings"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/report"
)

// The library renders the help of every flag at each start. The program writes its own help.
func init() { cli.FlagStringer = func(cli.Flag) string { return "" } }

// newApp returns the program and a description of its commands. Commands write their exit
// code to the session.
func newApp(s *session) (*cli.App, catalog.Commands) {
	all := commands(s)
	known := catalogOf(all)
	return &cli.App{
		Name:                      "regfsck",
		Usage:                     "check and repair the storage of a Docker/CNCF Distribution registry",
		Version:                   version,
		Commands:                  append(all, &cli.Command{Name: completeName, Hidden: true, HideHelp: true, SkipFlagParsing: true, Action: func(c *cli.Context) error { return runComplete(s, c) }}),
		HideHelp:                  true, // the library's help flag is a global that concurrent runs would share
		HideVersion:               true,
		Flags:                     []cli.Flag{switchFlag("version", "", "v")},
		Action:                    func(*cli.Context) error { return s.print("regfsck version " + version + "\n") },
		DisableSliceFlagSeparator: true,
		Writer:                    s.stdout,
		ErrWriter:                 s.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		Metadata:                  map[string]any{}, // settings.Origin of flags that were not set on the command line, by flag name
	}, known
}

// catalogOf describes commands.
func catalogOf(commands []*cli.Command) (all catalog.Commands) {
	for _, c := range commands {
		one := catalog.Command{Name: c.Name, Arguments: c.ArgsUsage, Brief: c.Usage}
		for _, f := range c.Flags {
			doc := f.(cli.DocGenerationFlag)
			_, repeatable := f.(listOption)
			one.Flags = append(one.Flags, catalog.Flag{
				Names: f.Names(), Usage: doc.GetUsage(), Default: doc.GetDefaultText(), Group: f.(cli.CategorizableFlag).GetCategory(),
				TakesValue: doc.TakesValue(), Repeatable: repeatable,
			})
		}
		all = append(all, one)
	}
	return all
}

// commands returns all commands with their arguments, actions and flags.
func commands(s *session) []*cli.Command {
	command := func(name, arguments string, run func(*session, *cli.Context) error, flags ...[]cli.Flag) *cli.Command {
		return &cli.Command{
			Name: name, Usage: help.CommandBrief(name), ArgsUsage: arguments, Flags: slices.Concat(flags...),
			Action: func(c *cli.Context) error { return run(s, c) }, HideHelp: true, OnUsageError: onUsageError,
		}
	}
	type flags = []cli.Flag
	read := func() []cli.Flag {
		return slices.Concat(s.own("grace", "untagged", "follow"), s.driverFlags(), flags{s.noCacheFlag(), listingFlag()})
	}
	plan := func() []cli.Flag {
		return slices.Concat(policyFlags(), without(choiceFlags(), "also", "verify"), s.driverFlags(), flags{s.noCacheFlag()})
	}
	return []*cli.Command{
		command("check", "[flags] [STORE]", runCheck, outputFlags(), policyFlags(), flags{
			valueFlag("verify", "manifests", "hash `WHAT`: manifests only, N% of the blobs, a part like 3/30, a size like 200GiB, what is missing, or all"),
			valueFlag("fail-on", "error", "let exit bit 4 begin at `SEVERITY`: error, warning, garbage, or never"),
		}, ledgerFlags(), fromFlags(), s.driverFlags(),
			flags{
				s.noCacheFlag(), listingFlag(),
				textFlag(sinceName, "show what is new, gone and unchanged since the JSON report `FILE` of an earlier check"),
				textFlag("state", "record what is found in the state directory `DIR`, for regfsck status", outside.StateName+" in the store's root, if it exists and can be written"),
				listFlag(acceptName, "show the findings that `FILE` accepts separately, and don't count them for the exit code (repeatable)"),
			}),
		command("fix", "[flags] STORE", runFix, outputFlags(), policyFlags(), choiceFlags(), fromFlags(), s.driverFlags(),
			flags{s.noCacheFlag()}, applyFlags(), flags{rateFlag(), group(catalog.AboutCopies, listFlag("repo", "with --also tag-from-source, restore tags of the repository `NAME` only (repeatable)"))[0]}, consentFlags(s)),
		// no --max-delete: a person names what is removed; no --also: a removal makes no
		// damage
		command("rm", "[flags] STORE REF...", runRm, outputFlags(), plan(),
			flags{switchFlag("tags-only", "remove the tags, and keep their manifests")}, applyFlags(), without(consentFlags(s), "max-delete")),
		command("prune", "[flags] STORE", runPrune, outputFlags(), ruleFlags(s.rules), plan(),
			flags{switchFlag("schema", "print the form of a policy file, a JSON Schema, and end")}, applyFlags(), consentFlags(s)),
		command("apply", "[flags] PLAN [STORE]", runApply, outputFlags(), s.own("follow"), flags{s.noCacheFlag(), rateFlag()}, consentFlags(s), s.driverFlags()),
		command("status", "[flags] STORE", runStatus, without(outputFlags(), "workers", "no-progress", "verbose", "full-paths"), s.own("follow", "state"), s.driverFlags()),
		command("undo", "[flags] STORE [RUN]", runUndo, outputFlags(),
			flags{switchFlag("list", "list the runs, newest first, and change nothing")}, s.own("follow", "state", "break-lease", "registry-running-ok"), s.driverFlags()),
		command("purge", "[flags] STORE RUN...", runPurge, outputFlags(), flags{
			switchFlag("all", "purge all completed runs"),
			textFlag("older-than", "purge those of them that are older than `DURATION`"),
			switchFlag("damaged", "also purge a RUN whose journal is damaged, which ends its undo"),
		}, s.own("yes", "follow", "state", "break-lease", "registry-running-ok"), s.driverFlags()),
		command("ls", "[flags] STORE [REPO[:TAG]]", runLs, outputFlags(), flags{
			textFlag("sort", "sort by `WHAT`: size, own, name, pushed or created", "own for repositories, pushed for tags"),
			textFlag("limit", "list `N` rows at most, 0 for all", "all, and 30 on a terminal"),
			switchFlag("broken", "list only tags that can't be pulled, each with its reasons"),
		}, read()),
		command("why", "[flags] STORE DIGEST|REF", runWhy, outputFlags(), flags{switchFlag("dot", "draw all paths for Graphviz on stdout")}, read()),
		command("diff", "[flags] OLD.json NEW.json", runDiff, without(outputFlags(), "workers", "no-progress")),
		command("show", "[flags] FILE | STORE RUN", runShow, without(outputFlags(), "workers", "no-progress"), s.own("follow", "state"), s.driverFlags()),
		command("accept", "[flags] REPORT.json", runAccept, flags{
			textFlag("reason", "record `WHY` as the reason; each report shows it"),
			textFlag("until", "let them be accepted until `DATE`, such as 2030-12-31, that day included; without it there is no end"),
			listFlag("id", "accept only findings of the kind `ID` (repeatable)"),
			listFlag("key", "accept only findings at `KEY`, which may be a glob like '**/.DS_Store' (repeatable)"),
			listFlag("severity", "accept only findings of `SEVERITY`: error, warning or garbage (repeatable)"),
			textFlag("output", "write to `FILE`, which must not exist yet, instead of stdout"),
		}),
		command("export", "[flags] STORE [DIR]", runExport, without(outputFlags(), "report", "verbose", "full-paths"), read(),
			flags{textFlag(batchName, "write the blobs that a batch job of the cloud has to hash to `FILE`, as the job's CSV manifest (regfsck help scale); without DIR nothing else is read or written")}),
		command("explain", "[flags] [ID]", runExplain, s.own("no-pager", "color")),
		command("schema", "NAME", runSchema),
		command("wait-readonly", "[flags] ADDRESS", runWaitReadonly, flags{
			valueFlag("timeout", "5m", "give up after `DURATION`; 0s asks once"),
			switchFlag("quiet", "write nothing but errors", "q"),
		}, s.own(settings.ConfigName)),
		command("version", "[flags]", runVersion, s.own("json")),
		command("help", "[flags] [COMMAND|TOPIC|ID]", runHelp, flags{switchFlag("short", "of a command only what its --help shows")}, s.own("no-pager", "color")),
		command("man", "DIR", runMan),
		command("completion", "SHELL", runCompletion),
	}
}

// runVersion prints the version.
func runVersion(s *session, c *cli.Context) error {
	if c.NArg() > 0 {
		return failure.Misuse(seeHelp("version"), "version takes no arguments, and %d were given", c.NArg())
	}
	return s.deliver(&report.Program{Version: version}, 0, &output{json: c.Bool("json"), text: s.text("auto")})
}

// onUsageError returns a flag error without printing it; the library would print it to
// stdout.
func onUsageError(_ *cli.Context, err error, _ bool) error {
	return failure.Misuse(seeHelp(""), "%w", err)
}

// seeHelp returns the hint that ends most errors about arguments.
func seeHelp(command string) string {
	if command == "" {
		return "See regfsck --help."
	}
	return "See regfsck " + command + " --help."
}

// arrange puts a command's flags before its other arguments, since the library stops parsing
// flags at the first argument that is none. Arguments after "--" are never flags. An unknown
// flag or command is an error. If help is asked for, or there are no arguments, the command
// becomes help. Flags from the settings are added to those given.
func arrange(s *session, args []string) ([]string, error) {
	if len(args) < 2 {
		return append(args, "help"), nil
	}
	first := args[1]
	if strings.HasPrefix(first, "-") {
		switch name := catalog.FlagName(first); name {
		case "help", "h":
			return []string{args[0], "help"}, nil
		case "version", "v":
			return args[:2], nil
		}
		return nil, failure.Misuse("Put flags after the command: regfsck check "+first+" …", "there is no flag %s before a command", first)
	}
	if first == completeName {
		return args, nil
	}
	command := s.commands.Find(first)
	if command == nil {
		return nil, failure.Misuse(seeHelp(""), "there is no command %q%s", first, spelling.DidYouMean(first, s.commands.Names(), ""))
	}
	if on, err := strconv.ParseBool(s.getenv(settings.VariableOf("json"))); err == nil && command.Flag(settings.ConfigName) != nil && command.Flag("json") != nil {
		s.json = s.json || on
	}
	flags, others, err := separate(command, args[2:])
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(flags, asksHelp) {
		return []string{args[0], "help", "--short", first}, nil
	}
	r := settings.Reader{Commands: s.commands, Environ: s.environ(), Getenv: s.getenv, Usual: s.settings, Say: s.say}
	flags, set, err := r.Merge(command, flags)
	for flag, origin := range set {
		s.json = s.json || flag == "json"
		origin.Again = origin.Again && !among(s.reachFlags())(flag) // the flags to reach a store are repeated by reach
		s.app.Metadata[flag] = origin
	}
	if err != nil {
		return nil, err
	}
	return slices.Concat(args[:2], flags, []string{"--"}, others), nil
}

// asksHelp reports whether a flag asks for the help of its command.
func asksHelp(flag string) bool {
	name := catalog.FlagName(flag)
	return strings.HasPrefix(flag, "-") && (name == "help" || name == "h")
}

// separate splits a command's arguments into flags with their values and others.
func separate(command *catalog.Command, args []string) (flags, others []string, err error) {
	names := []string{"h", "help"}
	for _, f := range command.Flags {
		names = append(names, f.Names...)
	}
	slices.Sort(names)
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
		name := catalog.FlagName(arg)
		f := command.Flag(name)
		takes := f != nil && f.TakesValue
		_, _, given := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(names, name):
			return nil, nil, failure.Misuse(seeHelp(command.Name), "there is no flag %s%s", catalog.Dashed(name), spelling.DidYouMean(name, names, "--"))
		case takes && !given && len(args) == 0:
			return nil, nil, failure.Misuse(seeHelp(command.Name), "%s needs a value", catalog.Dashed(name))
		case !takes && given:
			return nil, nil, failure.Misuse(seeHelp(command.Name), "%s takes no value", catalog.Dashed(name))
		}
		flags = append(flags, arg)
		if takes && !given {
			flags, args = append(flags, args[0]), args[1:]
		}
	}
	return flags, others, nil
}
