package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/view"
)

// What the program knows by itself, without any store: kinds of findings, and the forms
// of documents.

// explainCommand says what the kinds of findings mean.
func explainCommand(s *session) *cli.Command {
	flags := []cli.Flag{noPagerFlag(), colorFlag()}
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
	show := func(v view.View) error {
		return pages(s, !c.Bool("no-pager"), func(w io.Writer) error { return v.WriteText(w, s.text(color)) })
	}
	switch c.NArg() {
	case 0:
		return show(report.Explanations())
	case 1:
	default:
		return misuse(seeHelp("explain"), "explain takes one ID, and %d were given", c.NArg())
	}
	id, ok := finding.Parse(c.Args().First())
	if !ok {
		return misuse("regfsck explain lists all of them.", "there is no finding %q%s", c.Args().First(), orNearest(c.Args().First(), findingNames(), ""))
	}
	return show(report.Explanation(id))
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
