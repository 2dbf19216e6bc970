package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/retention"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/graph/retain"
)

// runPrune plans the removal of the tags that no rule keeps and of what only they use, and
// applies the plan with --apply.
func runPrune(s *session, c *cli.Context) error {
	if c.Bool("schema") {
		return s.print(retention.Schema(s.rules))
	}
	store, err := namedStore(c)
	if err != nil {
		return err
	}
	r := gc.Retention{Untagged: c.Bool("untagged")}
	if r.Policy, err = policyGiven(c, s.rules); err != nil {
		return err
	}
	if r.Zone, err = zone(s.getenv("TZ")); err != nil {
		return err
	}
	in, err := retention.ReadInputs(c.Context, r.Policy, s.now(), s.stdin)
	if err != nil {
		return err
	}
	r.Lists, r.Logs = in.Lists, in.Logs
	j, err := jobOf(s, c, store)
	if err != nil {
		return err
	}
	j.header.Until = in.Until
	j.policy.Untagged = false // the rules decide about untagged manifests
	j.consent.limits.ByRule = true
	j.choose = func(scan *graph.Scan) (*gc.Removal, error) { return j.prune(c.Context, scan, r) }
	if r.Idle() {
		j.notes = append(j.notes, "Without a rule all tags are kept: give one, such as --keep-last 10, or --policy FILE.")
	}
	return j.change(c.Context)
}

// prune returns what a retention policy removes, and saves its decisions.
func (j *job) prune(ctx context.Context, scan *graph.Scan, r gc.Retention) (*gc.Removal, error) {
	if j.target.Traits().TimesFixed { // rebuilt links have a new time
		rebuilt, err := j.rebuilt(ctx)
		if err != nil {
			return nil, err
		}
		r.Pushed = func(key string, shown time.Time) time.Time {
			if made, ok := rebuilt[key]; ok && made.Written.Equal(shown) {
				return made.From
			}
			return shown
		}
	}
	r.Rejected = func(ctx context.Context, removal *gc.Removal) ([]gc.Rejection, error) {
		p := j.policy.Policy
		p.Removal = removal
		return check.Rejections(ctx, scan, p)
	}
	made, err := gc.SelectByPolicy(ctx, scan, r)
	rule, wrong := errors.AsType[*gc.RuleError](err)
	input, unbelievable := errors.AsType[*gc.InputError](err)
	switch {
	case unbelievable:
		return nil, failure.Misuse(retention.Hint, "--%w", input)
	case wrong && errors.Is(rule, retain.ErrCopied):
		hint := "--time created uses the time when images were made. Nothing was changed."
		if slices.ContainsFunc(r.Policy, func(rule retain.Rule) bool { return rule.Expiry }) {
			hint = "Leave out --honour-expiry, which counts from the push; --time created uses the time when images were made. Nothing was changed."
		}
		return nil, failure.Misuse(hint, "%w", rule)
	case wrong:
		return nil, failure.Misuse(seeHelp("prune"), "%w", rule)
	case err != nil:
		return nil, err
	}
	j.decisions, j.notes = made.Decisions, append(j.notes, made.Notes...)
	return made.Removal, nil
}

// rebuilt returns the links that runs have rebuilt, and notes the state directories that can't
// be read here.
func (j *job) rebuilt(ctx context.Context) (map[string]journal.Rebuilt, error) {
	w, err := j.writer(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	others, err := w.States(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	states, unread := []string{j.state}, []string{}
	if err != nil {
		unread = append(unread, err.Error())
	}
	for _, d := range others {
		switch {
		case !d.Reachable():
			unread = append(unread, d.String())
		case d.Path != j.state:
			states = append(states, d.Path)
		}
	}
	if n, named := len(unread), min(len(unread), 3); n > 0 {
		list := strings.Join(unread[:named], ", ")
		if n > named {
			list += " and " + words.Number(n-named) + " more"
		}
		j.notes = append(j.notes, "Links that runs with these state directories rebuilt seem as new as those runs, since the directories can't be read here: "+list+". If they don't exist any more, remove their lines from the store's "+backend.Own+"/states.")
	}
	return journal.RebuiltLinks(states...)
}

// completeDecisions marks the referrers tags that the plan removes with their subjects.
func completeDecisions(decisions []gc.Decision, p *plan.Plan) {
	unneeded := map[gc.Ref]bool{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Finding == finding.TagUnneeded {
			unneeded[gc.Ref{Repository: s.Repository, Tag: s.Tag}] = true
		}
	}
	for i := range decisions {
		if d := &decisions[i]; d.Subject != "" && unneeded[d.Ref()] {
			d.Keep, d.Why = false, "removed with "+d.Subject
		}
	}
}

// keptTags returns the tags that the rules keep, by repository in which the plan removes
// something.
func keptTags(decisions []gc.Decision, p *plan.Plan) map[string][]string {
	pruned, all := map[string]bool{}, map[string][]string{}
	for i := range p.Steps {
		pruned[p.Steps[i].Repository] = true
	}
	for i := range decisions {
		if d := &decisions[i]; d.Keep && d.Tag != "" && pruned[d.Repository] {
			all[d.Repository] = append(all[d.Repository], d.Tag)
		}
	}
	return all
}

// missingTags returns those of some tags that a store doesn't have, as REPOSITORY:TAG.
func missingTags(scan *graph.Scan, tags map[string][]string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		at, has := scan.Graph.RepoID[name]
		for _, tag := range tags[name] {
			if has {
				if _, has := scan.Graph.Repos[at].FindTag(tag); has {
					continue
				}
			}
			all = append(all, name+":"+tag)
		}
	}
	return all
}

// zone returns the time zone of the variable TZ; UTC if it is empty.
func zone(tz string) (*time.Location, error) {
	name := strings.TrimPrefix(tz, ":")
	if name == "" {
		return time.UTC, nil
	}
	at, err := time.LoadLocation(name)
	if err != nil {
		return nil, failure.Misuse("Leave TZ out for UTC, or name a place like Europe/Berlin.", "TZ=%s: %w", tz, err)
	}
	return at, nil
}

// ruleFlags returns a flag for each row of the table.
func ruleFlags(table []retain.Row) (flags []cli.Flag) {
	for _, row := range table {
		switch {
		case row.Many():
			flags = append(flags, listFlag(row.Name, row.Usage))
		case row.Form == retain.FormSwitch:
			flags = append(flags, switchFlag(row.Name, row.Usage))
		default:
			flags = append(flags, textFlag(row.Name, row.Usage))
		}
	}
	return group(catalog.AboutStay, append(flags, textFlag("policy", "read the rules from `FILE` (YAML; regfsck prune --schema prints its schema)"))...)
}

// policyGiven returns the policy of the flags or of the policy file.
func policyGiven(c *cli.Context, table []retain.Row) (retain.Policy, error) {
	var rule retain.Rule
	var given []string
	for _, row := range table {
		if !c.IsSet(row.Name) {
			continue
		}
		given = append(given, "--"+row.Name)
		values := []string{c.String(row.Name)}
		switch {
		case row.Many():
			values = c.StringSlice(row.Name)
		case row.Form == retain.FormSwitch:
			values = []string{strconv.FormatBool(c.Bool(row.Name))}
		}
		for _, v := range values {
			if err := row.Set(&rule, v); err != nil {
				return nil, failure.Misuse(seeHelp("prune"), "--%s %s: %w", row.Name, v, err)
			}
		}
	}
	file := c.String("policy")
	if file != "" && len(given) > 0 {
		return nil, failure.Misuse(seeHelp("prune"), "%s and --policy: give the rules either in the file or as flags", given[0])
	}
	if file != "" {
		return retention.ReadPolicy(file, table)
	}
	p := retain.Policy{rule}
	if err := p.Check(); err != nil {
		return nil, failure.Misuse(seeHelp("prune"), "%w", err)
	}
	return p, nil
}
