package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/sources"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// runFix plans repairs and the removal of garbage, and applies the plan with --apply.
func runFix(s *session, c *cli.Context) error {
	store, err := namedStore(c)
	if err != nil {
		return err
	}
	if _, err = oneOf(c, "verify", verifies); err != nil {
		return err
	}
	j, err := jobOf(s, c, store)
	if err != nil {
		return err
	}
	if j.copyRate, err = rateOf(c); err != nil {
		return err
	}
	j.header.Repo = c.StringSlice("repo")
	if len(j.header.Repo) > 0 && !j.policy.Cures(finding.TagFromSource) {
		return failure.Misuse(seeHelp(c.Command.Name), "--repo can only be used with --also %s", finding.TagFromSource)
	}
	return withSources(s, c, j.target, j.out, func(ctx context.Context, from sources.All) error {
		j.from = from
		j.header.FromRepo = c.StringSlice("from-repo")
		j.header.From = words.All(from, sources.Source.String)
		return j.change(ctx)
	})
}

// jobOf reads the arguments that all planning commands share.
func jobOf(s *session, c *cli.Context, store string) (j *job, err error) {
	j = &job{s: s, command: c.Command.Name, apply: c.Bool("apply"), savePlan: c.String("save-plan"), reach: s.reach(c)}
	if j.apply && c.Bool("dry-run") {
		return nil, failure.Misuse("Leave one of them out.", "--apply and --dry-run ask for opposite things")
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
		j.next = slices.Concat([]string{"apply", j.savePlan}, j.reach, given(c, among([]cli.Flag{rateFlag()}, consentFlags(s))))
	}
	j.notes = setNotes(c)
	j.header = plan.Header{
		Tool: version, Command: j.command, Target: j.target.Source(),
		Grace: j.policy.grace.String(), Uploads: j.policy.uploads.String(),
		Untagged: j.policy.Untagged, FromAll: j.policy.HealAll, Thorough: j.policy.thorough, Verify: c.String("verify"),
		Off: j.policy.Skip.Names(), OnRequest: j.policy.Also.Names(),
	}
	return j, nil
}

// namedStore returns STORE, which is required.
func namedStore(c *cli.Context) (string, error) {
	if c.NArg() == 0 {
		return "", failure.Misuse(seeHelp(c.Command.Name), "no STORE was given; a command that changes a store needs it")
	}
	return storeArgument(c)
}

// sourcesFor returns an opener of sources. The flags to reach the store apply to sources of
// the same kind.
func sourcesFor(s *session, c *cli.Context, target location.Location, out *output) sources.Opener {
	return sources.Opener{Target: target, Names: s.locationOptions(c), Workers: out.workers, Say: out.say}
}

// withSources calls do with the sources of --from, and closes them.
func withSources(s *session, c *cli.Context, target location.Location, out *output, do func(ctx context.Context, from sources.All) error) error {
	names := c.StringSlice("from")
	renamed, err := sources.Renames(c.StringSlice("from-repo"), names)
	if err != nil {
		return failure.Misuse(seeHelp(c.Command.Name), "--from-repo %w", err)
	}
	from, err := sourcesFor(s, c, target, out).Open(c.Context, names, renamed)
	if err != nil {
		return failure.Misuse("", "--from %w", err)
	}
	defer from.Close()
	return do(c.Context, from)
}

// runRm plans the removal of the given references and what only they use, and applies the
// plan with --apply.
func runRm(s *session, c *cli.Context) error {
	refs, err := refsOf(c)
	if err != nil {
		return err
	}
	j, err := jobOf(s, c, c.Args().First())
	if err != nil {
		return err
	}
	j.choose = func(scan *graph.Scan) (*gc.Removal, error) {
		removal, err := gc.Select(scan, refs, c.Bool("tags-only"))
		if none, ok := errors.AsType[*gc.Unmatched](err); ok {
			near := ""
			if none.Name != "" {
				near = spelling.DidYouMean(none.Name, none.Names, "")
			}
			return nil, failure.Misuse(j.hint(scan), "%w%s", none, near)
		}
		return removal, err
	}
	return j.change(c.Context)
}

// refsOf parses the references to remove.
func refsOf(c *cli.Context) (refs []gc.Selector, err error) {
	if c.NArg() < 2 || slices.Contains(c.Args().Slice(), "") {
		return nil, failure.Misuse(seeHelp("rm"), "rm takes a STORE and one REF at least, none of them empty")
	}
	for _, text := range c.Args().Tail() {
		r, err := gc.ParseSelector(text)
		if err != nil {
			return nil, failure.Misuse(seeHelp("rm"), "%s: %w", text, err)
		}
		if c.Bool("tags-only") && r.Tag == "" {
			return nil, failure.Misuse(seeHelp("rm"), "%s: is not a tag, and --tags-only removes only tags", text)
		}
		refs = append(refs, r)
	}
	if c.Bool("tags-only") && c.Bool("untagged") {
		return nil, failure.Misuse(seeHelp("rm"), "--tags-only leaves all manifests, and --untagged removes some")
	}
	return refs, nil
}

// hint suggests why a reference matches nothing.
func (j *job) hint(scan *graph.Scan) string {
	hint := "Nothing was changed."
	if !scan.Readable() {
		hint = "Part of the store could not be read, and it may be there: see regfsck check. " + hint
	}
	runs, err := journal.Summaries(j.state)
	if err == nil && len(runs) > 0 && (runs[0].Status == journal.Unfinished || runs[0].Status == journal.Interrupted) {
		plan := filepath.Join(j.state, "runs", runs[0].ID, "plan.jsonl")
		hint = "Run " + runs[0].ID + " was interrupted and may have removed it: regfsck apply " + plan + " completes it, regfsck undo reverts it. " + hint
	}
	return hint
}
