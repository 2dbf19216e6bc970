package main

import (
	"fmt"
	"regexp"

	"github.com/urfave/cli/v2"

	"regfsck/graph/retain"
)

// part is a part of a retention rule: a flag of prune, and a key in a policy
// file, under the same name and with the same meaning.
type part struct {
	name, value, usage string
	many               bool // it may be given several times; as a key, it takes a list too
	set                func(r *retain.Rule, value string) error
}

// parts are those of a rule, in the order of help.
func parts() []part {
	count := func(name, what string, at func(*retain.Rules) *retain.Count) part {
		return part{name, "N", "keep " + what, false, func(r *retain.Rule, v string) (err error) {
			*at(&r.Rules), err = retain.ParseCount(v)
			return err
		}}
	}
	period := func(name string, at func(*retain.Rules) *retain.Count) part {
		unit := map[string]string{"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}[name]
		return count("keep-"+name, "the newest tag of each of the last `N` "+unit+" that have one", at)
	}
	return []part{
		count("keep-last", "the tags of the newest `N` digests", func(r *retain.Rules) *retain.Count { return &r.Last }),
		period("hourly", func(r *retain.Rules) *retain.Count { return &r.Hourly }),
		period("daily", func(r *retain.Rules) *retain.Count { return &r.Daily }),
		period("weekly", func(r *retain.Rules) *retain.Count { return &r.Weekly }),
		period("monthly", func(r *retain.Rules) *retain.Count { return &r.Monthly }),
		period("yearly", func(r *retain.Rules) *retain.Count { return &r.Yearly }),
		{"keep-within", "DURATION", "keep tags that are less than `DURATION` older than the newest tag of their repository (h d w mo y)", false, func(r *retain.Rule, v string) (err error) {
			r.Within, err = retain.ParseDuration(v)
			return err
		}},
		{"keep-tags", "RE", "keep tags in whose names `RE` is found (repeatable)", true, func(r *retain.Rule, v string) error {
			re, err := regexp.Compile(v)
			r.Tags = append(r.Tags, re)
			return err
		}},
		{"keep-untagged-within", "DURATION", "keep manifests without a tag that were pushed less than `DURATION` ago, and remove older ones", false, func(r *retain.Rule, v string) (err error) {
			r.UntaggedWithin, err = retain.ParseDuration(v)
			return err
		}},
		{"time", "WHICH", "go by the time a tag was `WHICH`: pushed (default) or created, as the image's config says", false, func(r *retain.Rule, v string) (err error) {
			r.By, err = retain.ParseTime(v)
			return err
		}},
		{"may-remove", "TAG", "don't keep tags named `TAG`, a pattern, for being latest or the newest (repeatable)", true, globs(func(r *retain.Rule) *[]retain.Glob { return &r.MayRemove })},
		{"repo", "GLOB", "only in repositories named `GLOB`: * in one part of a name, ** over several (repeatable)", true, globs(func(r *retain.Rule) *[]retain.Glob { return &r.Repositories })},
		{"exclude-repo", "GLOB", "not in repositories named `GLOB` (repeatable)", true, globs(func(r *retain.Rule) *[]retain.Glob { return &r.Exclude })},
	}
}

func globs(at func(*retain.Rule) *[]retain.Glob) func(*retain.Rule, string) error {
	return func(r *retain.Rule, v string) error {
		g, err := retain.ParseGlob(v)
		*at(r) = append(*at(r), g)
		return err
	}
}

// ruleFlags are the parts of one rule.
func ruleFlags() (flags []cli.Flag) {
	for _, p := range parts() {
		if p.many {
			flags = append(flags, &cli.StringSliceFlag{Name: p.name, Usage: p.usage})
		} else {
			flags = append(flags, &cli.StringFlag{Name: p.name, Usage: p.usage})
		}
	}
	return append(flags, &cli.StringFlag{Name: "policy", Usage: "take the rules from `FILE` (YAML; regfsck prune --schema prints its form)"})
}

// policyGiven returns the policy that the flags or the file say.
func policyGiven(c *cli.Context) (retain.Policy, error) {
	var rule retain.Rule
	var given []string
	for _, p := range parts() {
		if !c.IsSet(p.name) {
			continue
		}
		given = append(given, "--"+p.name)
		values := []string{c.String(p.name)}
		if p.many {
			values = c.StringSlice(p.name)
		}
		for _, v := range values {
			if err := p.set(&rule, v); err != nil {
				return nil, misuse(seeHelp("prune"), "--%s %s: %w", p.name, v, err)
			}
		}
	}
	file := c.String("policy")
	if file != "" && len(given) > 0 {
		return nil, misuse(seeHelp("prune"), "%s and --policy: the rules stand either in the file or in flags", given[0])
	}
	if file != "" {
		return readPolicy(file)
	}
	p := retain.Policy{rule}
	if err := p.Check(); err != nil {
		return nil, misuse(seeHelp("prune"), "%w", err)
	}
	return p, nil
}

// describe names a part for an error in a policy file.
func (p part) describe() string { return fmt.Sprintf("%s (%s)", p.name, p.value) }
