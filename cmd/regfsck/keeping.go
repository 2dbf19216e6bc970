package main

import (
	"context"
	"errors"
	"time"

	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/retain"
	"regfsck/report"
	"regfsck/walker/layout"
)

// keeping finds what a policy doesn't keep.
type keeping struct {
	ctx      context.Context
	policy   retain.Policy
	zone     *time.Location
	untagged bool                     // manifests that no tag leads to go, where no rule says for how long they stay
	rebuilt  map[string]apply.Rebuilt // links that were rebuilt where their times could not be set

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
