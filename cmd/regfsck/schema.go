package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/report"
)

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
