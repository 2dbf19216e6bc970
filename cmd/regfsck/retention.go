package main

import (
	"github.com/urfave/cli/v2"

	"regfsck/graph/retain"
)

// ruleFlags are the flags of one rule: a flag for each row of the table.
func ruleFlags(table []retain.Row) (flags []cli.Flag) {
	for _, row := range table {
		if row.Many() {
			flags = append(flags, &cli.StringSliceFlag{Name: row.Name, Usage: row.Usage})
		} else {
			flags = append(flags, &cli.StringFlag{Name: row.Name, Usage: row.Usage})
		}
	}
	return append(flags, &cli.StringFlag{Name: "policy", Usage: "take the rules from `FILE` (YAML; regfsck prune --schema prints its form)"})
}

// policyGiven returns the policy that the flags or the file say.
func policyGiven(c *cli.Context, table []retain.Row) (retain.Policy, error) {
	var rule retain.Rule
	var given []string
	for _, row := range table {
		if !c.IsSet(row.Name) {
			continue
		}
		given = append(given, "--"+row.Name)
		values := []string{c.String(row.Name)}
		if row.Many() {
			values = c.StringSlice(row.Name)
		}
		for _, v := range values {
			if err := row.Set(&rule, v); err != nil {
				return nil, misuse(seeHelp("prune"), "--%s %s: %w", row.Name, v, err)
			}
		}
	}
	file := c.String("policy")
	if file != "" && len(given) > 0 {
		return nil, misuse(seeHelp("prune"), "%s and --policy: the rules stand either in the file or in flags", given[0])
	}
	if file != "" {
		return readPolicy(file, table)
	}
	p := retain.Policy{rule}
	if err := p.Check(); err != nil {
		return nil, misuse(seeHelp("prune"), "%w", err)
	}
	return p, nil
}
