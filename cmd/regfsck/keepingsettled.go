package main

import (
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report"
)

// leaveDenied takes out of a removal what can't go, so that the rest still can: a
// tag with an odd name, a manifest where something broken pins its repository.
func (k *keeping) leaveDenied(scan *graph.Scan, out *graph.Removal) error {
	for len(out.Tags)+len(out.Manifests) > 0 {
		denied, err := scan.Denied(k.ctx, out)
		if err != nil || len(denied) == 0 {
			return err
		}
		why, left := map[string]string{}, false
		for _, d := range denied {
			why[d.Ref] = d.Why
		}
		for i := range k.verdicts {
			v := &k.verdicts[i]
			text, stays := why[v.Ref()]
			if v.Keep || !stays {
				continue
			}
			left = true
			v.Keep, v.Rules, v.Why = true, []string{"can't go: " + text}, ""
			if v.Tag != "" {
				delete(out.Tags[v.Repository], v.Tag)
			} else {
				delete(out.Manifests[v.Repository], v.Digest)
			}
		}
		if !left {
			break // the plan says what it can't do
		}
	}
	return nil
}

// settled are the verdicts once there is a plan: tags sha256-<hex>… go with what
// they are about.
func settled(verdicts []report.Retained, p *plan.Plan) []report.Retained {
	type tag struct{ repository, name string }
	unneeded := map[tag]bool{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Finding == finding.TagUnneeded.String() {
			unneeded[tag{s.Repository, s.Tag}] = true
		}
	}
	for i := range verdicts {
		if v := &verdicts[i]; v.Subject != "" && unneeded[tag{v.Repository, v.Tag}] {
			v.Keep, v.Why = false, "goes with "+v.Subject
		}
	}
	return verdicts
}
