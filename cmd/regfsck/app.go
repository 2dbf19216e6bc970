package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/report"
)

// newApp returns the commands. They leave their exit code in the session.
func newApp(s *session) *cli.App {
	return &cli.App{
		Name:                      "regfsck",
		Usage:                     "check and repair the storage of a Docker/CNCF Distribution registry",
		Version:                   version,
		Commands:                  []*cli.Command{checkCommand(s), fixCommand(s), rmCommand(s), pruneCommand(s), applyCommand(s), undoCommand(s), purgeCommand(s), lsCommand(s), whyCommand(s), explainCommand(s)},
		CustomAppHelpTemplate:     appHelp + exitHelp(),
		HideHelp:                  true, // the library's own flags are shared by all that runs at once
		HideVersion:               true,
		Flags:                     []cli.Flag{helpFlag(), &cli.BoolFlag{Name: "version", Aliases: []string{"v"}}},
		Action:                    s.version,
		DisableSliceFlagSeparator: true,
		Writer:                    s.stdout,
		ErrWriter:                 s.stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              asItIs,
	}
}

// complete fills in what all commands have in common.
func complete(c *cli.Command) *cli.Command {
	c.CustomHelpTemplate = commandHelp + flagHelp(c.Flags) + exitHelp()
	c.Flags = append(c.Flags, helpFlag())
	c.HideHelp = true
	c.OnUsageError = asItIs
	return c
}

func helpFlag() cli.Flag { return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}} }

// version says which program this is.
func (s *session) version(*cli.Context) error {
	_, err := fmt.Fprintln(s.stdout, "regfsck version", version)
	return s.written(err)
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

const appHelp = `regfsck: {{.Usage}}

  regfsck COMMAND [flags] [arguments]

Commands
{{range .VisibleCommands}}  {{.Name}}{{"\t"}}{{.Usage}}
{{end}}
Flags
  --help, -h{{"\t"}}show this, or after a command the help of it
  --version, -v{{"\t"}}show the version
`

const commandHelp = `regfsck {{.Name}}: {{.Usage}}

  regfsck {{.Name}} {{.ArgsUsage}}

{{.Description}}

`

// flagHelp is the table of a command's flags.
func flagHelp(flags []cli.Flag) string {
	var b strings.Builder
	b.WriteString("Flags\n")
	for _, f := range flags {
		doc := f.(cli.DocGenerationFlag)
		before, rest, _ := strings.Cut(doc.GetUsage(), "`")
		value, after, _ := strings.Cut(rest, "`")
		fmt.Fprintf(&b, "  --%s\t%s", strings.TrimSpace(strings.Join(f.Names(), ", --")+" "+value), before+value+after)
		if doc.TakesValue() && doc.GetDefaultText() != "" {
			fmt.Fprintf(&b, " (default %s)", doc.GetDefaultText())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// exitHelp is the table of exit codes.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("\nExit codes, added up\n")
	fmt.Fprintf(&b, "  %d\t%s\n", 0, report.Exit(0).Meaning())
	for _, e := range report.ExitBits() {
		fmt.Fprintf(&b, "  %d\t%s\n", e.Bit, e.Meaning)
	}
	return b.String()
}
