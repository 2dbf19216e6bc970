package main

import (
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"regfsck/graph"
	"regfsck/report"
)

// sorts are the orders in which rows can stand.
var sorts = []string{"size", "own", "name", "pushed", "created"}

// lsCommand lists repositories, the tags of one, or what one tag leads to.
func lsCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), []cli.Flag{
		&cli.StringFlag{Name: "sort", Usage: "sort by `WHAT`: size, own, name, pushed or created", DefaultText: "own for repositories, pushed for tags"},
		&cli.StringFlag{Name: "limit", Usage: "list `N` rows at most, 0 for all", DefaultText: "all, and 30 on a terminal"},
		&cli.BoolFlag{Name: "broken", Usage: "list only tags that can't be pulled, each with its reasons"},
	}, usageFlags(), bucketFlags(), []cli.Flag{noCacheFlag()})
	return complete(&cli.Command{
		Name:      "ls",
		Usage:     "list repositories, their tags and what they use, change nothing",
		ArgsUsage: "[flags] STORE [REPO[:TAG]]",
		Description: "STORE is a registry's folder, such as /var/lib/registry, an address like\n" +
			"s3://bucket/prefix, or the registry's config.yml. Without REPO all repositories\n" +
			"are listed, with it its tags, and with TAG all that the tag leads to.\n" +
			"own is what would be freed if only that went, to the byte and over the whole\n" +
			"store; garbage belongs to nobody, and rm of a repository takes what is in it too.\n" +
			"The exit code is 0 whatever is wrong with the store, 8 when something could not\n" +
			"be read.",
		Flags:  flags,
		Action: s.list,
	})
}

func (s *session) list(c *cli.Context) error {
	l, err := s.listingOf(c)
	if err != nil {
		return err
	}
	found, err := s.resolve(c, c.Args().First())
	if err != nil {
		return err
	}
	if err := l.out.open(found, l.policy.follow); err != nil {
		return err
	}
	defer l.out.discard()
	l.List = report.List{Check: report.Check{Version: version, Target: found.Name, Repeat: repeat(c), Reach: reach(c)}}
	if l.out.text.Terminal && !c.IsSet("limit") {
		l.Cut = onTerminal
	}
	if err := s.examineAnd(c.Context, &l.Check, found, l.policy.follow, s.options(l.policy, found, l.out), l.out, l.fill); err != nil {
		return err
	}
	return s.deliver(l.answer(), l.Exit, l.out)
}

// onTerminal is how many rows are listed on a terminal.
const onTerminal = 30

// listing is one list on its way.
type listing struct {
	report.List
	ref    ref
	sort   string // "" for the usual
	limit  int    // 0 for none
	broken bool
	policy policy
	out    *output
	answer func() rendering // once it is filled
}

func (s *session) listingOf(c *cli.Context) (*listing, error) {
	l := &listing{broken: c.Bool("broken"), sort: c.String("sort")}
	var err error
	switch {
	case c.NArg() == 0 || c.Args().First() == "":
		return nil, misuse(seeHelp("ls"), "no STORE was given")
	case c.NArg() > 2:
		return nil, misuse(seeHelp("ls"), "ls takes a STORE and one REPO or REPO:TAG, and %d arguments were given", c.NArg())
	case c.NArg() == 2:
		if l.ref, err = refOf(c.Args().Get(1)); err != nil {
			return nil, misuse(seeHelp("ls"), "%s: %w", c.Args().Get(1), err)
		}
	}
	if l.ref.digest != "" {
		return nil, misuse("regfsck why tells what keeps a manifest.", "ls lists by tags, and %s names none", l.ref)
	}
	if c.IsSet("sort") {
		if _, err = oneOf(c, "sort", sorts); err != nil {
			return nil, err
		}
	}
	switch {
	case l.sort == "created" && l.ref.repository == "":
		return nil, misuse("A repository's tags can be: regfsck ls STORE REPO --sort created.", "repositories can't be sorted by when they were created: nothing says so")
	case c.IsSet("sort") && (l.broken || l.ref.tag != ""):
		return nil, misuse(seeHelp("ls"), "--sort is for lists of repositories and of tags")
	case l.broken && l.ref.tag != "":
		return nil, misuse(seeHelp("ls"), "--broken is for lists; what is wrong with one tag is said without it")
	}
	if n := c.String("limit"); n != "" {
		if l.limit, err = strconv.Atoi(n); err != nil || l.limit < 0 {
			return nil, misuse(seeHelp("ls"), "--limit is a number from 0, not %q", n)
		}
	}
	if l.policy, err = usagePolicy(c); err != nil {
		return nil, err
	}
	l.out, err = s.outputOf(c)
	return l, err
}

// usageFlags say what counts as used.
func usageFlags() []cli.Flag { return []cli.Flag{graceFlag(), untaggedFlag(), followFlag()} }

// usagePolicy reads them.
func usagePolicy(c *cli.Context) (p policy, err error) {
	p = policy{Policy: graph.Policy{Untagged: c.Bool("untagged"), Usage: true}, follow: c.StringSlice("follow")}
	if p.grace, err = span(c.String("grace")); err != nil {
		return p, misuse(seeHelp(c.Command.Name), "--grace %w", err)
	}
	p.uploads, err = span(usualUploads)
	return p, err
}
