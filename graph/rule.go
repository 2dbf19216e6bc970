package graph

import (
	"context"
	"strings"

	"regfsck/backend"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// readRules asks for the rules by which the store itself takes away what the
// registry needs. That they can't be known hides nothing of the store.
func (c *Scan) readRules(ctx context.Context) error {
	r, ok := c.w.Reader.(backend.Ruler)
	if !ok {
		return nil
	}
	c.g.rules, c.unruled = r.Rules(ctx)
	return ctx.Err()
}

// rule reports each of these rules that reaches a registry's files.
func (j *judgement) rule() {
	for i, rule := range j.rules {
		p := problem{id: finding.LifecycleExpiry, repo: none, obj: none, tag: uint32(i), cure: finding.CureNone, detail: rule.Detail, name: layout.Root}
		switch {
		case strings.HasPrefix(layout.Root+"/", rule.Prefix):
		case strings.HasPrefix(rule.Prefix, layout.Root+"/"):
			p.name = strings.TrimSuffix(rule.Prefix, "/")
		default:
			continue
		}
		j.report(p)
	}
}
