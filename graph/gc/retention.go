package gc

import (
	"context"
	"slices"
	"sync"
	"time"

	"regfsck/graph"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Retention is a retention policy with its inputs besides the store.
type Retention struct {
	Policy   retain.Policy
	Zone     *time.Location // of the calendar; nil means UTC
	Untagged bool           // untagged manifests are removed if no rule is about them

	// Rejected returns the requests of a removal that can't be met; nil if all can.
	Rejected func(context.Context, *Removal) ([]Rejection, error)

	// Lists are the images in the lists of the rules, by file.
	Lists map[string][]inuse.Image

	// Logs are the access logs of the rules, by file.
	Logs map[string]*inuse.Log

	// Pushed returns when a tag was pushed, by its link's key and time: a rebuilt link may
	// have a later time. nil: the link's time.
	Pushed func(key string, shown time.Time) time.Time
}

// Idle reports whether the policy has no rules, so that everything is kept.
func (r *Retention) Idle() bool {
	return !r.Untagged && !slices.ContainsFunc(r.Policy, func(rule retain.Rule) bool {
		return rule.Active() || rule.UntaggedWithin != retain.Duration{}
	})
}

// Decision is the decision of a retention policy on a tag or an untagged manifest.
type Decision struct {
	Repository string
	Tag        string   // "" for a manifest
	Digest     string   // "" if unknown
	Keep       bool     // kept for its own sake
	Rules      []string // that keep it
	Why        string   // why it is removed
	Subject    string   // of a referrers tag: it is kept exactly as long as this manifest
	Date       time.Time
	By         string // the kind of date: "pushed" or "created"
	Note       string // why it isn't the date that was asked for
}

// Ref returns the tag or manifest.
func (d *Decision) Ref() Ref {
	if d.Tag == "" {
		return Ref{Repository: d.Repository, Digest: d.Digest}
	}
	return Ref{Repository: d.Repository, Tag: d.Tag}
}

// RuleError means that the rules of a repository are invalid, or use dates of a copy
// (retain.ErrCopied).
type RuleError struct {
	Repository string
	Err        error
}

func (e *RuleError) Error() string { return e.Repository + ": " + e.Err.Error() }

// Unwrap returns retain's error.
func (e *RuleError) Unwrap() error { return e.Err }

// Selection is the result of a retention policy.
type Selection struct {
	Removal   *Removal   // of what it doesn't keep
	Decisions []Decision // on each tag and untagged manifest, by repository
	Notes     []string   // for the report
}

// SelectByPolicy applies a retention policy to a store. What can't be removed is kept by its
// decision: a tag with a name that no registry accepts, a manifest of a pinned repository. It
// reads images' configs if created times matter. The error is a *RuleError, an *InputError,
// or one of reading.
func SelectByPolicy(ctx context.Context, scan *graph.Scan, r Retention) (*Selection, error) {
	s := &selection{Retention: r, ctx: ctx, scan: scan, Selection: &Selection{Removal: newRemoval()}}
	s.untagged = sync.OnceValue(func() *Untagged { return FindUntagged(scan) })
	if err := s.findListed(); err != nil {
		return nil, err
	}
	if err := s.findPulled(); err != nil {
		return nil, err
	}
	for _, name := range scan.Repositories() {
		if rules, ok := r.Policy.For(name); ok {
			s.repositories = append(s.repositories, s.repository(name, rules))
		}
	}
	var all [][]retain.Tag
	for _, repository := range s.repositories {
		all = append(all, repository.tags)
	}
	whole := retain.MayBeCopied(scan.Now, all...)
	if err := s.readCreated(whole); err != nil {
		return nil, err
	}
	if err := s.readExpiry(); err != nil {
		return nil, err
	}
	o := retain.Options{Now: scan.Now, Zone: r.Zone}
	if whole { // otherwise created times are known only of some tags
		for _, tags := range all {
			for _, t := range tags {
				o.Store.Add(t, scan.Now)
			}
		}
	}
	for _, repository := range s.repositories {
		if err := s.judge(repository, o); err != nil {
			return nil, &RuleError{repository.name, err}
		}
	}
	if err := s.keepRejected(); err != nil {
		return nil, err
	}
	return s.Selection, nil
}

// selection is the state of SelectByPolicy.
type selection struct {
	Retention
	*Selection
	ctx          context.Context
	scan         *graph.Scan
	repositories []*governed
	listed       map[string]*listed // by list
	pulled       map[string]*pulled // by names of logs
	untagged     func() *Untagged
}

// governed is a repository with a rule, with its tags sorted by name.
type governed struct {
	name    string
	rules   retain.Rules
	tags    []retain.Tag
	configs []layout.Digest // of the tags' images; zero for none
	listed  func(tag string, digest layout.Digest) string
	pulled  func(tag string, digest layout.Digest) int64
}

func (s *selection) repository(name string, rules retain.Rules) *governed {
	g := &governed{name: name, rules: rules, listed: s.listedIn(name, rules.Lists), pulled: s.pulledIn(name, rules)}
	for t := range s.scan.Tags(name) {
		if s.Pushed != nil {
			t.Pushed = s.Pushed(layout.CurrentKey(name, t.Name), t.Pushed)
		}
		g.tags = append(g.tags, retain.Tag{Name: t.Name, Digest: t.Digest, Doubt: t.Doubt, Pushed: retain.Nanoseconds(t.Pushed), Listed: g.listed(t.Name, t.Digest), Pulled: g.pulled(t.Name, t.Digest)})
		g.configs = append(g.configs, t.Config)
	}
	return g
}

// readCreated reads when images were created, if rules use that, or to find out whether the
// tags were copied, of the whole store or of single repositories.
func (s *selection) readCreated(whole bool) error {
	var digests []string
	var of []*retain.Tag
	for _, g := range s.repositories {
		if g.rules.By != retain.Created && !whole && !retain.MayBeCopied(s.scan.Now, g.tags) {
			continue
		}
		for i := range g.tags {
			if config := g.configs[i]; config != (layout.Digest{}) {
				digests, of = append(digests, config.String()), append(of, &g.tags[i])
			}
		}
	}
	configs, err := s.scan.Configs(s.ctx, digests)
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

// judge decides on a repository's tags and untagged manifests.
func (s *selection) judge(g *governed, o retain.Options) error {
	verdicts, err := retain.Judge(g.tags, g.rules, o)
	if err != nil {
		return err
	}
	for i, v := range verdicts {
		s.Decisions = append(s.Decisions, decision(g.name, &g.tags[i], &v))
		if !v.Keep {
			request(s.Removal.Tags, g.name, g.tags[i].Name, v.Why)
		}
	}
	if g.rules.UntaggedWithin == (retain.Duration{}) && !s.Untagged {
		return nil
	}
	return s.judgeUntagged(g, o)
}

func (s *selection) judgeUntagged(g *governed, o retain.Options) error {
	var manifests []retain.Tag
	for _, t := range s.untagged().In(g.name) {
		manifests = append(manifests, retain.Tag{Digest: t.Digest, Doubt: t.Doubt, Pushed: retain.Nanoseconds(t.Pushed), Listed: g.listed("", t.Digest), Pulled: g.pulled("", t.Digest)})
	}
	verdicts := withoutRule(manifests, g.rules, o)
	if (g.rules.UntaggedWithin != retain.Duration{}) {
		rules := g.rules
		rules.By = retain.Pushed // created times weren't read
		var err error
		if verdicts, err = retain.JudgeUntagged(manifests, rules, o); err != nil {
			return err
		}
	}
	var kept []layout.Digest
	for i, v := range verdicts {
		if v.Keep {
			kept = append(kept, manifests[i].Digest)
		}
	}
	needed := s.scan.Reachable(g.name, kept)
	for i, v := range verdicts {
		if !v.Keep && needed[manifests[i].Digest] {
			v = retain.Verdict{Keep: true, Rules: []string{"something that is kept references it"}, Date: v.Date, By: v.By}
		}
		s.Decisions = append(s.Decisions, decision(g.name, &manifests[i], &v))
		if !v.Keep {
			request(s.Removal.Manifests, g.name, manifests[i].Digest.String(), v.Why)
		}
	}
	return nil
}

// withoutRule judges untagged manifests without a rule: those without doubt are removed.
func withoutRule(manifests []retain.Tag, rules retain.Rules, o retain.Options) []retain.Verdict {
	verdicts := make([]retain.Verdict, len(manifests))
	for i, m := range manifests {
		v := &verdicts[i]
		v.Date = m.Pushed
		switch v.Keep = true; {
		case m.Doubt != "":
			v.Rules = []string{"in doubt (" + m.Doubt + ")"}
		case rules.InUse(&m, o) != "":
			v.Rules = []string{rules.InUse(&m, o)}
		default:
			v.Keep, v.Why = false, "no tag points to it (--untagged)"
		}
	}
	return verdicts
}

// decision converts a verdict.
func decision(repository string, t *retain.Tag, v *retain.Verdict) Decision {
	d := Decision{
		Repository: repository, Tag: t.Name, Keep: v.Keep, Rules: v.Rules, Why: v.Why, Note: v.Note, By: v.By.String(),
	}
	if t.Digest != (layout.Digest{}) {
		d.Digest = t.Digest.String()
	}
	if v.Signature {
		d.Subject = v.Subject.String()
	}
	if v.Date != 0 {
		d.Date = time.Unix(0, v.Date).UTC()
	}
	return d
}

// keepRejected removes rejected requests from the removal, until there are none.
func (s *selection) keepRejected() error {
	for len(s.Removal.Tags)+len(s.Removal.Manifests) > 0 {
		rejections, err := s.Rejected(s.ctx, s.Removal)
		if err != nil || len(rejections) == 0 {
			return err
		}
		why, changed := map[string]string{}, false
		for _, r := range rejections {
			why[r.Ref] = r.Why
		}
		for i := range s.Decisions {
			d := &s.Decisions[i]
			text, rejected := why[d.Ref().String()]
			if d.Keep || !rejected {
				continue
			}
			changed = true
			d.Keep, d.Rules, d.Why = true, []string{"can't be removed: " + text}, ""
			if d.Tag != "" {
				delete(s.Removal.Tags[d.Repository], d.Tag)
			} else {
				delete(s.Removal.Manifests[d.Repository], d.Digest)
			}
		}
		if !changed {
			return nil // the plan reports the rejections
		}
	}
	return nil
}
