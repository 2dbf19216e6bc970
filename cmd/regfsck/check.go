package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/cmd/regfsck/target"
	"regfsck/graph"
	"regfsck/report"
)

// checkCommand examines a store and changes nothing.
func checkCommand(s *session) *cli.Command {
	flags := slices.Concat(outputFlags(), policyFlags(), judgeFlags())
	return complete(&cli.Command{
		Name:      "check",
		Usage:     "examine a registry's storage, change nothing",
		ArgsUsage: "[flags] [STORE]",
		Description: "STORE is a registry's folder, such as /var/lib/registry, or its config.yml.\n" +
			"Without it the configuration is sought at $REGISTRY_CONFIGURATION_PATH,\n" +
			"/etc/distribution/config.yml and /etc/docker/registry/config.yml.",
		Flags:  flags,
		Action: s.checkStore,
	})
}

func (s *session) checkStore(c *cli.Context) error {
	store, err := storeArgument(c)
	if err != nil {
		return err
	}
	p, err := policyOf(c)
	if err != nil {
		return err
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	failOn, err := oneOf(c, "fail-on", failOns)
	if err != nil {
		return err
	}
	found, err := s.resolve(store)
	if err != nil {
		return err
	}
	if err := out.open(found.Root, p.follow); err != nil {
		return err
	}
	defer out.discard()

	r := &report.Check{
		Version: version, Target: found.Name, Repeat: repeat(c), Fix: fixWords(c, found),
		BlobsHashed: p.verify.All, FailOn: severity(failOn),
	}
	if err := s.examine(c.Context, r, found, p.follow, s.options(p, found, out), out); err != nil {
		return err
	}
	return s.deliver(r, r.Exit, out)
}

// storeArgument returns STORE, or "" where it was left out.
func storeArgument(c *cli.Context) (string, error) {
	switch {
	case c.NArg() > 1:
		return "", misuse(seeHelp(c.Command.Name), "one STORE is checked at a time, and %d were given", c.NArg())
	case c.NArg() == 1 && c.Args().First() == "":
		return "", misuse(seeHelp(c.Command.Name), "STORE is empty")
	}
	return c.Args().First(), nil
}

// options says how a store is to be read and judged.
func (s *session) options(p policy, t target.Target, out *output) graph.Options {
	return graph.Options{
		Workers: out.workers, Grace: p.grace, UploadsOlderThan: p.uploads, Now: s.now(),
		Policy: p.Policy, Thorough: p.thorough, Cache: t.Cache, Verify: p.verify,
	}
}

// examine reads the store and fills in what was found.
func (s *session) examine(ctx context.Context, r *report.Check, t target.Target, follow []string, o graph.Options, out *output) error {
	if err := apart(t.Root, follow); err != nil {
		return err
	}
	keeper, err := file.Open(t.Root, file.Options{Workers: out.workers, Follow: follow})
	if err != nil {
		return misuse("", "%w", err)
	}
	defer keeper.Close()

	if bar := s.progress(out); bar != nil {
		defer bar.Close()
		o.Progress = bar
	}
	r.Started = o.Now
	r.Result, r.Phases, err = s.check(ctx, keeper, o)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return misuse("", "%s: %w", t.Name, err)
	case err != nil:
		return &failure{report.Incomplete, err, "Nothing can be said about this store. Nothing was changed."}
	}
	r.Finished = s.now()
	r.Cost = keeper.Cost()
	count(r)
	r.Exit = report.ExitOf(r.Result, r.FailOn)
	return nil
}

// count sums up what the phases went through.
func count(r *report.Check) {
	for _, p := range r.Phases {
		switch p.Unit {
		case "links":
			r.LinksRead += p.Count
			r.Objects += p.Count
		case "blobs":
			r.Objects += p.Count
		}
	}
}

var _ backend.Coster = (*file.Store)(nil)
