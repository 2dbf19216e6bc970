package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// fixCommand plans repairs and the removal of garbage, and carries the plan out
// if it is told so.
func fixCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), policyFlags(), choiceFlags(), fromFlags(), s.driverFlags(),
		[]cli.Flag{s.noCacheFlag()}, applyFlags(), []cli.Flag{rateFlag(), repoFlag()}, s.consentFlags())
	return complete(&cli.Command{
		Name:      "fix",
		ArgsUsage: "[flags] STORE",
		Flags:     flags,
		Action:    s.fixStore,
	})
}

func (s *session) fixStore(c *cli.Context) error {
	store, err := namedStore(c)
	if err != nil {
		return err
	}
	if _, err = oneOf(c, "verify", verifies); err != nil {
		return err
	}
	j, err := s.planned(c, store)
	if err != nil {
		return err
	}
	if j.copyRate, err = rateOf(c); err != nil {
		return err
	}
	j.header.Repo = c.StringSlice("repo")
	if len(j.header.Repo) > 0 && !j.policy.Cures(finding.TagFromSource) {
		return misuse(seeHelp(c.Command.Name), "--repo goes with --also %s", finding.TagFromSource)
	}
	return s.withSources(c, j.target, j.out, func(ctx context.Context, from sources) error {
		j.from = from
		j.header.FromRepo = c.StringSlice("from-repo")
		for _, source := range from {
			j.header.From = append(j.header.From, source.String())
		}
		return s.change(ctx, j)
	})
}

// planned reads what all commands share that make a plan.
func (s *session) planned(c *cli.Context, store string) (j *job, err error) {
	j = &job{command: c.Command.Name, apply: c.Bool("apply"), savePlan: c.String("save-plan"), reach: s.reach(c)}
	if j.apply && c.Bool("dry-run") {
		return nil, misuse("Leave one of them out.", "--apply and --dry-run ask for opposite things")
	}
	if j.consent, err = consentOf(c); err != nil {
		return nil, err
	}
	if j.out, err = s.outputOf(c); err != nil {
		return nil, err
	}
	if j.policy, err = policyOf(c); err != nil {
		return nil, err
	}
	if err := choice(c, &j.policy.Policy); err != nil {
		return nil, err
	}
	if j.target, err = s.resolve(c, store); err != nil {
		return nil, err
	}
	j.repeat = commandLine(c)
	j.next = slices.Concat([]string{j.command}, j.repeat, []string{"--apply"})
	if j.savePlan != "" {
		j.next = slices.Concat([]string{"apply", j.savePlan}, j.reach, given(c, among([]cli.Flag{rateFlag()}, s.consentFlags())))
	}
	j.header, j.notes = headerOf(c, j), setNotes(c)
	return j, nil
}

// namedStore returns STORE where it can't be left out.
func namedStore(c *cli.Context) (string, error) {
	if c.NArg() == 0 {
		return "", misuse(seeHelp(c.Command.Name), "no STORE was given; what changes a store must be told which")
	}
	return storeArgument(c)
}

// headerOf says in a plan file how the plan was made.
func headerOf(c *cli.Context, j *job) plan.Header {
	return plan.Header{
		Tool: version, Command: j.command, Target: j.target.Source(),
		Grace: j.policy.grace.String(), Uploads: j.policy.uploads.String(),
		Untagged: j.policy.Untagged, FromAll: j.policy.HealAll, Thorough: j.policy.thorough, Verify: c.String("verify"),
		Off: names(j.policy.Skip), OnRequest: names(j.policy.Also),
	}
}
