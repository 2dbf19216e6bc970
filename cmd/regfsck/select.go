package main

import (
	"context"
	"errors"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/graph/retain"
	"regfsck/report"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// keeping finds what a policy doesn't keep.
type keeping struct {
	ctx      context.Context
	policy   retain.Policy
	zone     *time.Location
	untagged bool                       // manifests that no tag leads to go, where no rule says for how long they stay
	rebuilt  map[string]journal.Rebuilt // links that were rebuilt where their times could not be set

	verdicts []report.Retained
}

// idle reports whether no rule is about anything, so that all stays.
func (k *keeping) idle() bool {
	for _, r := range k.policy {
		if r.Active() || (r.UntaggedWithin != retain.Duration{}) {
			return false
		}
	}
	return !k.untagged
}

// ruled is a repository that a rule is for, with its tags in the order of names.
type ruled struct {
	name  string
	rules retain.Rules
	names []graph.Tagged
	tags  []retain.Tag
}

// removal returns what goes of a store.
func (k *keeping) removal(scan *graph.Scan) (*graph.Removal, error) {
	now := scan.Now
	var all []*ruled
	for _, name := range scan.Repositories() {
		rules, ok := k.policy.For(name)
		if !ok {
			continue
		}
		r := &ruled{name: name, rules: rules}
		for t := range scan.Tags(name) {
			t.Pushed = k.pushed(name, t)
			r.names = append(r.names, t)
			r.tags = append(r.tags, retain.Tag{Name: t.Name, Digest: t.Digest, Doubt: t.Doubt, Pushed: retain.Nanoseconds(t.Pushed)})
		}
		all = append(all, r)
	}
	whole := suspicious(all, now)
	if err := k.date(scan, all, whole); err != nil {
		return nil, err
	}
	set := retain.Options{Now: now, Zone: k.zone}
	for _, r := range all {
		for i := range r.tags {
			if whole { // else it is known of a part of them when they were created
				set.Store.Add(r.tags[i], now)
			}
		}
	}
	out := &graph.Removal{Repositories: map[string]string{}, Tags: map[string]map[string]string{}, Manifests: map[string]map[string]string{}}
	for _, r := range all {
		if err := k.judge(scan, r, set, out); err != nil {
			return nil, err
		}
	}
	return out, k.leaveDenied(scan, out)
}

// pushed is when a tag was pushed, not when its link was rebuilt.
func (k *keeping) pushed(repository string, t graph.Tagged) time.Time {
	if made, ok := k.rebuilt[layout.CurrentKey(repository, t.Name)]; ok && made.Written.Equal(t.Pushed) {
		return made.From
	}
	return t.Pushed
}

// judge notes what becomes of a repository's tags, and of its manifests without.
func (k *keeping) judge(scan *graph.Scan, r *ruled, set retain.Options, out *graph.Removal) error {
	verdicts, err := retain.Judge(r.tags, r.rules, set)
	if err != nil {
		return r.refused(err)
	}
	for i, v := range verdicts {
		k.verdicts = append(k.verdicts, retained(r.name, &r.tags[i], &v))
		if !v.Keep {
			add(out.Tags, r.name, r.tags[i].Name, v.Why)
		}
	}
	if (r.rules.UntaggedWithin == retain.Duration{}) && !k.untagged {
		return nil
	}
	return k.judgeUntagged(scan, r, set, out)
}

// refused is the failure of rules that can't be followed.
func (r *ruled) refused(err error) error {
	if errors.Is(err, retain.ErrCopied) {
		return misuse("--time created goes by when images were made. Nothing was changed.", "%s: %w", r.name, err)
	}
	return misuse(seeHelp("prune"), "%s: %w", r.name, err)
}

// retained is what a report says of a verdict.
func retained(repository string, t *retain.Tag, v *retain.Verdict) report.Retained {
	r := report.Retained{
		Repository: repository, Tag: t.Name, Keep: v.Keep, Rules: v.Rules, Why: v.Why, Note: v.Note, By: v.By.String(),
	}
	if t.Digest != (layout.Digest{}) {
		r.Digest = t.Digest.String()
	}
	if v.Signature {
		r.Subject = v.Subject.String()
	}
	if v.Date != 0 {
		r.Date = time.Unix(0, v.Date).UTC()
	}
	return r
}

// date fills in when images were created, where rules go by that, or where it has
// to be known whether the store is a copy.
func (k *keeping) date(scan *graph.Scan, all []*ruled, whole bool) error {
	var digests []string
	var of []*retain.Tag
	for _, r := range all {
		if r.rules.By != retain.Created && !whole && !suspicious([]*ruled{r}, scan.Now) {
			continue
		}
		for i := range r.tags {
			if config := r.names[i].Config; config != (layout.Digest{}) {
				digests, of = append(digests, config.String()), append(of, &r.tags[i])
			}
		}
	}
	configs, err := scan.Configs(k.ctx, digests)
	if err != nil {
		return err
	}
	for i, c := range configs {
		if c.State == walker.ManifestGood {
			of[i].Created = retain.Nanoseconds(c.Created)
		}
	}
	return nil
}

// A copy is told by more tags than few, pushed within a hundredth of the time that
// their images were made in; and none was made before oldest.
const few = 50

var oldest = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

// suspicious reports whether the pushed times alone don't show that this is no copy.
func suspicious(all []*ruled, now time.Time) bool {
	n, first, last := 0, time.Time{}, time.Time{}
	for _, r := range all {
		for _, t := range r.names {
			if t.Pushed.Before(oldest) || t.Pushed.After(now) {
				continue
			}
			if n++; n == 1 || t.Pushed.Before(first) {
				first = t.Pushed
			}
			if n == 1 || t.Pushed.After(last) {
				last = t.Pushed
			}
		}
	}
	return n > few && last.Sub(first) <= now.Sub(oldest)/100
}

// judgeUntagged notes the manifests that no tag leads to, nor anything that stays.
func (k *keeping) judgeUntagged(scan *graph.Scan, r *ruled, set retain.Options, out *graph.Removal) error {
	var manifests []retain.Tag
	for _, t := range scan.Untagged(r.name) {
		manifests = append(manifests, retain.Tag{Digest: t.Digest, Doubt: t.Doubt, Pushed: retain.Nanoseconds(t.Pushed)})
	}
	verdicts := flagged(manifests)
	if (r.rules.UntaggedWithin != retain.Duration{}) {
		rules := r.rules
		rules.By = retain.Pushed // nobody has read when these were created
		var err error
		if verdicts, err = retain.JudgeUntagged(manifests, rules, set); err != nil {
			return r.refused(err)
		}
	}
	var stay []layout.Digest
	for i, v := range verdicts {
		if v.Keep {
			stay = append(stay, manifests[i].Digest)
		}
	}
	led := scan.Led(r.name, stay)
	for i, v := range verdicts {
		if !v.Keep && led[manifests[i].Digest] {
			v = retain.Verdict{Keep: true, Rules: []string{"something that stays leads to it"}, Date: v.Date, By: v.By}
		}
		k.verdicts = append(k.verdicts, retained(r.name, &manifests[i], &v))
		if !v.Keep {
			add(out.Manifests, r.name, manifests[i].Digest.String(), v.Why)
		}
	}
	return nil
}

// flagged judges the manifests that no tag leads to by --untagged alone.
func flagged(manifests []retain.Tag) []retain.Verdict {
	verdicts := make([]retain.Verdict, len(manifests))
	for i, m := range manifests {
		v := &verdicts[i]
		v.Date = m.Pushed
		if v.Keep = m.Doubt != ""; v.Keep {
			v.Rules = []string{"in doubt (" + m.Doubt + ")"}
		} else {
			v.Why = "no tag leads to it (--untagged)"
		}
	}
	return verdicts
}

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
		if s := &p.Steps[i]; s.Finding == finding.TagUnneeded {
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
