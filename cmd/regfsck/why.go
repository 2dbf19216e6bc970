package main

import (
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/report"
)

// whyCommand tells what keeps a digest, or a tag's manifest.
func whyCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), []cli.Flag{
		&cli.BoolFlag{Name: "dot", Usage: "draw all paths for Graphviz on stdout"},
	}, usageFlags(), bucketFlags(), []cli.Flag{noCacheFlag()})
	return complete(&cli.Command{
		Name:      "why",
		Usage:     "tell what keeps a blob or a manifest, and what would free it",
		ArgsUsage: "[flags] STORE DIGEST|REF",
		Description: "STORE is a registry's folder, such as /var/lib/registry, an address like\n" +
			"s3://bucket/prefix, or the registry's config.yml. DIGEST is sha256:… or its first\n" +
			"eight hex digits or more; every path from a tag to it is told. REF is repo,\n" +
			"repo:tag or repo@sha256:…; what would be freed if only that went is told too.\n" +
			"The exit code is 0 whether or not anything keeps it, 8 when something could not\n" +
			"be read.",
		Flags:  flags,
		Action: s.why,
	})
}

func (s *session) why(c *cli.Context) error {
	if c.NArg() != 2 || c.Args().First() == "" {
		return misuse(seeHelp("why"), "why takes a STORE and one DIGEST or REF")
	}
	p, err := usagePolicy(c)
	if err != nil {
		return err
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	if c.Bool("dot") && (out.json || out.quiet) {
		return misuse(seeHelp("why"), "--dot is one form of the answer, and --json and --quiet are others")
	}
	q := &question{asked: c.Args().Get(1)}
	if err := q.read(); err != nil {
		return err
	}
	found, err := s.resolve(c, c.Args().First())
	if err != nil {
		return err
	}
	if err := out.open(found, p.follow); err != nil {
		return err
	}
	defer out.discard()
	q.Why.Check = report.Check{Version: version, Target: found.Name, Repeat: repeat(c), Reach: reach(c)}
	q.Grace = p.grace
	if err := s.examineAnd(c.Context, &q.Check, found, p.follow, s.options(p, found, out), out, q.answer); err != nil {
		return err
	}
	if q.Exit = 0; !q.Result.Complete {
		q.Exit = report.Incomplete
	}
	if c.Bool("dot") {
		return s.deliver(drawing{&q.Why}, q.Exit, out)
	}
	return s.deliver(&q.Why, q.Exit, out)
}

// drawing is an answer whose text is a drawing.
type drawing struct{ *report.Why }

// WriteText writes the drawing.
func (d drawing) WriteText(w io.Writer, _ report.TextOptions) error { return d.WriteDot(w) }
