package main

import (
	"github.com/urfave/cli/v2"

	"regfsck/graph/finding"
	"regfsck/report"
)

// explainCommand says what the kinds of findings mean.
func explainCommand(s *session) *cli.Command {
	flags := []cli.Flag{colorFlag()}
	return complete(&cli.Command{
		Name:      "explain",
		ArgsUsage: "[flags] [ID]",
		Flags:     flags,
		Action:    s.explain,
	})
}

func (s *session) explain(c *cli.Context) error {
	color, err := oneOf(c, "color", colors)
	if err != nil {
		return err
	}
	switch c.NArg() {
	case 0:
		return s.written(report.Explanations().WriteText(s.stdout, s.text(color)))
	case 1:
	default:
		return misuse(seeHelp("explain"), "explain takes one ID, and %d were given", c.NArg())
	}
	id, ok := finding.Parse(c.Args().First())
	if !ok {
		return misuse("regfsck explain lists all of them.", "there is no finding %q%s", c.Args().First(), orNearest(c.Args().First(), findingNames(), ""))
	}
	return s.written(report.Explanation(id).WriteText(s.stdout, s.text(color)))
}

func findingNames() []string {
	var names []string
	for id := range finding.Kinds {
		names = append(names, id.String())
	}
	return names
}
