package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/sources"
	"regfsck/cmd/regfsck/value"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// runApply applies a saved plan.
func runApply(s *session, c *cli.Context) error {
	if n := c.NArg(); n < 1 || n > 2 || slices.Contains(c.Args().Slice(), "") {
		return failure.Misuse(seeHelp("apply"), "apply takes a PLAN, and a STORE where that stands elsewhere than the plan says")
	}
	j := &job{s: s, command: "apply", apply: true, reach: s.reach(c), file: c.Args().First()}
	var err error
	if j.consent, err = consentOf(c); err != nil {
		return err
	}
	if j.copyRate, err = rateOf(c); err != nil {
		return err
	}
	if j.out, err = s.outputOf(c); err != nil {
		return err
	}
	if j.plan, j.header, err = loadPlan(c.Args().First()); err != nil {
		return err
	}
	if j.policy, err = policyFrom(j.header); err != nil {
		return failure.Misuse("", "%s: %w", c.Args().First(), err)
	}
	j.policy.follow, j.notes = c.StringSlice("follow"), setNotes(c)
	switch j.header.Command { // the plan itself lists what to remove
	case "rm":
		j.policy.Removal = j.plan.Removal()
		_, set := elsewhere(c.App, "max-delete") // a value from the settings doesn't limit a removal that a person named
		j.consent.limits.AnyAmount = set || !c.IsSet("max-delete")
	case "prune":
		j.policy.Removal = j.plan.Removal()
		j.consent.limits.ByRule = true
	}
	store := j.header.Target
	if c.NArg() == 2 {
		store = c.Args().Get(1)
	}
	if j.target, err = s.resolve(c, store); err != nil {
		return err
	}
	j.repeat = slices.Concat([]string{store}, wordsOf(j.header), j.reach)
	renamed, _ := sources.Renames(j.header.FromRepo, j.header.From) // checked when the plan was made
	j.from = sourcesFor(s, c, j.target, j.out).OpenSaved(c.Context, j.header.From, renamed)
	defer j.from.Close()
	return j.change(c.Context)
}

// policyFrom returns the policy that a plan file's header records.
func policyFrom(h plan.Header) (p policy, err error) {
	p.thorough, p.Untagged, p.HealAll = h.Thorough, h.Untagged, h.FromAll
	if p.grace, err = value.Duration(h.Grace); err != nil {
		return p, err
	}
	if p.uploads, err = value.Duration(h.Uploads); err != nil {
		return p, err
	}
	if h.Verify != "" {
		if p.verify, err = value.Verify(h.Verify); err != nil {
			return p, err
		}
	}
	for _, list := range []struct {
		names []string
		set   *[finding.NumKinds]bool
	}{{h.Off, &p.Skip}, {h.OnRequest, &p.Also}} {
		for _, name := range list.names {
			id, ok := finding.Parse(name)
			if !ok || id >= finding.NumKinds {
				return p, failure.Misuse("", "it speaks of %q, a finding that this version doesn't know", name)
			}
			list.set[id] = true
		}
	}
	return p, nil
}

// wordsOf returns the flags of fix that make a plan with this header.
func wordsOf(h plan.Header) []string {
	words := []string{"--grace", h.Grace, "--uploads-older-than", h.Uploads}
	add := func(given bool, more ...string) {
		if given {
			words = append(words, more...)
		}
	}
	each := func(flag string, values []string) {
		for _, v := range values {
			words = append(words, flag, v)
		}
	}
	add(h.Untagged, "--untagged")
	add(h.Thorough, "--thorough")
	add(h.Verify == "all", "--verify", "all")
	add(len(h.Off) > 0, "--skip", strings.Join(h.Off, ","))
	add(len(h.OnRequest) > 0, "--also", strings.Join(h.OnRequest, ","))
	each("--from", h.From)
	add(h.FromAll, "--from-all")
	each("--repo", h.Repo)
	each("--from-repo", h.FromRepo)
	return words
}
