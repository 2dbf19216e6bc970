package main

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/graph"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
)

// rmCommand plans the removal of what is named, and of what only that used, and
// carries the plan out if it is told so. It has neither --max-delete, since a
// person names what goes, nor --also, since no removal makes damage.
func rmCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), policyFlags(), without(choiceFlags(), "also", "verify"), s.driverFlags(), []cli.Flag{
		s.noCacheFlag(), &cli.BoolFlag{Name: "tags-only", Usage: "remove the tags, and leave the manifests that they mean"},
	}, applyFlags(), without(s.consentFlags(), "max-delete"))
	return complete(&cli.Command{
		Name:      "rm",
		ArgsUsage: "[flags] STORE REF...",
		Flags:     flags,
		Action:    s.removeRefs,
	})
}

func (s *session) removeRefs(c *cli.Context) error {
	refs, err := refsOf(c)
	if err != nil {
		return err
	}
	j, err := s.planned(c, c.Args().First())
	if err != nil {
		return err
	}
	j.choose = func(scan *graph.Scan) (*gc.Removal, error) {
		removal, err := gc.Select(scan, refs, c.Bool("tags-only"))
		if none, ok := errors.AsType[*gc.Unmatched](err); ok {
			near := ""
			if none.Name != "" {
				near = orNearest(none.Name, none.Names, "")
			}
			return nil, misuse(j.hint(scan), "%w%s", none, near)
		}
		return removal, err
	}
	return s.change(c.Context, j)
}

// refsOf reads what is to go.
func refsOf(c *cli.Context) (refs []gc.Selector, err error) {
	if c.NArg() < 2 || slices.Contains(c.Args().Slice(), "") {
		return nil, misuse(seeHelp("rm"), "rm takes a STORE and one REF at least, none of them empty")
	}
	for _, text := range c.Args().Tail() {
		r, err := gc.ParseSelector(text)
		if err != nil {
			return nil, misuse(seeHelp("rm"), "%s: %w", text, err)
		}
		if c.Bool("tags-only") && r.Tag == "" {
			return nil, misuse(seeHelp("rm"), "%s: names no tag, and --tags-only removes nothing else", text)
		}
		refs = append(refs, r)
	}
	if c.Bool("tags-only") && c.Bool("untagged") {
		return nil, misuse(seeHelp("rm"), "--tags-only leaves all manifests, and --untagged removes some")
	}
	return refs, nil
}

// hint says what may be behind a reference that names nothing.
func (j *job) hint(scan *graph.Scan) string {
	hint := "Nothing was changed."
	if !scan.Readable() {
		hint = "Part of the store could not be read, and it may be there: regfsck check tells. " + hint
	}
	runs, err := journal.Summaries(j.state)
	if err == nil && len(runs) > 0 && (runs[0].Status == journal.Unfinished || runs[0].Status == journal.Interrupted) {
		plan := filepath.Join(j.state, "runs", runs[0].ID, "plan.jsonl")
		hint = "Run " + runs[0].ID + " was interrupted and may have removed it: regfsck apply " + plan + " completes it, regfsck undo reverts it. " + hint
	}
	return hint
}
