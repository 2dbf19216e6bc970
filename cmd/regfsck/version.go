package main

import (
	"github.com/urfave/cli/v2"

	"regfsck/report"
)

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
