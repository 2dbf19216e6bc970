package main

import (
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/location"
	"regfsck/report"
)

// diffCommand compares two reports.
func diffCommand(s *session) *cli.Command {
	return complete(&cli.Command{
		Name:      "diff",
		ArgsUsage: "[flags] OLD.json NEW.json",
		Flags:     without(outputFlags(), "workers", "no-progress"),
		Action:    s.diff,
	})
}

func (s *session) diff(c *cli.Context) error {
	if c.NArg() != 2 || slices.Contains(c.Args().Slice(), "") {
		return misuse(seeHelp("diff"), "diff takes two reports, and %d were given", c.NArg())
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	defer out.discard()
	d := &report.Comparison{Version: version}
	if d.Old, err = readPast(c.Args().Get(0)); err != nil {
		return err
	}
	if d.New, err = readPast(c.Args().Get(1)); err != nil {
		return err
	}
	if err := out.open(location.Location{}, nil); err != nil {
		return err
	}
	return s.deliver(d, 0, out)
}

// readPast reads a report of check.
func readPast(path string) (*report.Past, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, misuse("", "%w", unreadable(path, err))
	}
	defer f.Close()
	p, err := report.ReadPast(f)
	if err != nil {
		return nil, misuse("Give what regfsck check wrote for --json or --report FILE.json.", "%s: %w", path, err)
	}
	return p, nil
}
