package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/graph/finding"
	"regfsck/report"
)

// What the program knows by itself, without any store: kinds of findings, and the forms
// of documents.

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

// schemaCommand prints the forms of the JSON documents.
func schemaCommand(s *session) *cli.Command {
	return complete(&cli.Command{
		Name:      "schema",
		ArgsUsage: "NAME",
		Action:    s.schema,
	})
}

func (s *session) schema(c *cli.Context) error {
	if c.NArg() != 1 {
		return misuse(seeHelp("schema"), "schema takes one NAME, and %d were given", c.NArg())
	}
	name := c.Args().First()
	text, ok := report.SchemaOf(name)
	if !ok {
		var names []string
		for _, n := range report.SchemaNames() {
			names = append(names, n[0])
		}
		return misuse("There are "+strings.Join(names, ", ")+".", "there is no document %q%s", name, orNearest(name, names, ""))
	}
	_, err := s.stdout.Write(text)
	return s.written(err)
}
