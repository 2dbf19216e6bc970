package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/view"
)

// What the program knows by itself, without any store: kinds of findings, and the forms
// of documents.

// runExplain says what the kinds of findings mean.
func runExplain(s *session, c *cli.Context) error {
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
		return failure.Misuse(seeHelp("explain"), "explain takes one ID, and %d were given", c.NArg())
	}
	id, ok := finding.Parse(c.Args().First())
	if !ok {
		return failure.Misuse("regfsck explain lists all of them.", "there is no finding %q%s", c.Args().First(), spelling.DidYouMean(c.Args().First(), findingNames(), ""))
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

// runSchema prints the forms of the JSON documents.
func runSchema(s *session, c *cli.Context) error {
	if c.NArg() != 1 {
		return failure.Misuse(seeHelp("schema"), "schema takes one NAME, and %d were given", c.NArg())
	}
	name := c.Args().First()
	text, ok := report.SchemaOf(name)
	if !ok {
		var names []string
		for _, n := range report.SchemaNames() {
			names = append(names, n[0])
		}
		return failure.Misuse("There are "+strings.Join(names, ", ")+".", "there is no document %q%s", name, spelling.DidYouMean(name, names, ""))
	}
	_, err := s.stdout.Write(text)
	return s.written(err)
}
