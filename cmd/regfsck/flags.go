package main

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/graph"
)

var (
	colors  = []string{"auto", "always", "never"}
	failOns = []string{"error", "warning", "garbage", "never"}
)

func colorFlag() cli.Flag {
	return &cli.StringFlag{Name: "color", Value: "auto", DefaultText: "auto", Usage: "use colour `WHEN`: auto, always or never"}
}

// outputFlags say how the answer is to be given.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "write one JSON document to stdout, nothing else"},
		&cli.StringSliceFlag{Name: "report", Usage: "write the report to `FILE` too, its form by its ending: .json (repeatable)"},
		&cli.BoolFlag{Name: "quiet", Usage: "write nothing but errors and the verdict"},
		&cli.BoolFlag{Name: "no-progress", Usage: "show no progress on stderr"},
		colorFlag(),
		&cli.StringFlag{Name: "workers", Usage: "read with `N` workers", DefaultText: "by the number of cores"},
	}
}

// policyFlags say what counts as garbage.
func policyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "grace", Value: "1h", DefaultText: "1h", Usage: "count garbage younger than `DURATION` as kept"},
		&cli.StringFlag{Name: "uploads-older-than", Value: "168h", DefaultText: "168h", Usage: "count uploads as garbage after `DURATION`"},
		&cli.BoolFlag{Name: "untagged", Aliases: []string{"delete-untagged"}, Usage: "count manifests that no tag leads to as garbage"},
		&cli.BoolFlag{Name: "thorough", Usage: "look at what stands beside links and blobs too"},
		&cli.StringSliceFlag{Name: "follow", Usage: "enter the symbolic link or mount at `PATH` (repeatable)"},
	}
}

// judgeFlags belong to check alone.
func judgeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "verify", Value: "manifests", DefaultText: "manifests", Usage: "hash `WHAT`: manifests only, N% of the blobs, or all"},
		&cli.StringFlag{Name: "fail-on", Value: "error", DefaultText: "error", Usage: "let exit bit 4 begin at `SEVERITY`: error, warning, garbage, or never"},
	}
}

// policy is what decides what is found.
type policy struct {
	grace, uploads     time.Duration
	untagged, thorough bool
	follow             []string
	verify             graph.Verify
}

func policyOf(c *cli.Context) (p policy, err error) {
	p = policy{untagged: c.Bool("untagged"), thorough: c.Bool("thorough"), follow: c.StringSlice("follow")}
	if p.grace, err = span(c.String("grace")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--grace %w", err)
	}
	if p.uploads, err = span(c.String("uploads-older-than")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--uploads-older-than %w", err)
	}
	if p.verify, err = verify(c.String("verify")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--verify %w", err)
	}
	return p, nil
}

// repeat returns STORE and the flags under which a command finds the same again.
func repeat(c *cli.Context) []string {
	words := c.Args().Slice()
	for _, name := range []string{"grace", "uploads-older-than"} {
		if c.IsSet(name) {
			words = append(words, "--"+name, c.String(name))
		}
	}
	for _, name := range []string{"untagged", "thorough"} {
		if c.Bool(name) {
			words = append(words, "--"+name)
		}
	}
	for _, path := range c.StringSlice("follow") {
		words = append(words, "--follow", path)
	}
	if v := c.String("verify"); v != "manifests" {
		words = append(words, "--verify", v)
	}
	return words
}

// oneOf returns the value of a flag that has only a few.
func oneOf(c *cli.Context, name string, values []string) (string, error) {
	v := c.String(name)
	if !slices.Contains(values, v) {
		last := len(values) - 1
		return "", misuse(seeHelp(c.Command.Name), "--%s is %s or %s, not %q", name, strings.Join(values[:last], ", "), values[last], v)
	}
	return v, nil
}
