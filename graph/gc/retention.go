package gc

import (
	"context"
	"slices"
	"time"

	"regfsck/graph"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Retention is a retention policy and what it needs to know besides the store.
type Retention struct {
	Policy   retain.Policy
	Zone     *time.Location // of the calendar; nil means UTC
	Untagged bool           // manifests that no tag leads to are removed where no rule says how long they are kept

	// Rejected returns what of a removal can't be removed, by reference; nil where everything can.
	Rejected func(context.Context, *Removal) ([]Rejection, error)

	// Lists are the images that the lists of the policy's rules name, by their files.
	Lists map[string][]inuse.Image

	// Logs are what the access logs of the policy's rules tell, by their files.
	Logs map[string]*inuse.Log

	// Pushed says when the tag was pushed whose link has a key and a time: a link that
	// was rebuilt may show a later one. nil believes every time.
	Pushed func(key string, shown time.Time) time.Time
}

// Idle reports whether no rule is about anything, so that everything is kept.
func (r *Retention) Idle() bool {
	return !r.Untagged && !slices.ContainsFunc(r.Policy, func(rule retain.Rule) bool {
		return rule.Active() || rule.UntaggedWithin != retain.Duration{}
	})
}

// Decision is what a retention policy decides of a tag, or of a manifest that no tag
// leads to.
type Decision struct {
	Repository string
	Tag        string   // "" for a manifest
	Digest     string   // "" where nobody can say what the tag means
	Keep       bool     // it is kept for its own sake
	Rules      []string // what keeps it
	Why        string   // why it is removed
	Subject    string   // of a referrers tag: it is kept exactly as long as this is
	Date       time.Time
	By         string // which date that is: "pushed" or "created"
	Note       string // why it isn't the one that was asked for
}

// Ref names the tag, or the manifest.
func (d *Decision) Ref() Ref {
	if d.Tag == "" {
		return Ref{Repository: d.Repository, Digest: d.Digest}
	}
	return Ref{Repository: d.Repository, Tag: d.Tag}
}

// RuleError tells that the rules for a repository can't be followed: they are wrong,
// or ask for dates that are a copy's (retain.ErrCopied).
type RuleError struct {
	Repository string
	Err        error
}

func (e *RuleError) Error() string { return e.Repository + ": " + e.Err.Error() }

// Unwrap returns the error that retain gave.
func (e *RuleError) Unwrap() error { return e.Err }

// Selection is what a retention policy comes to.
type Selection struct {
	Removal   *Removal   // of what it doesn't keep
	Decisions []Decision // on each tag and each manifest that it is about, repository by repository
	Notes     []string   // what a person should know of what it went by
}

// SelectByPolicy follows a retention policy in a store. What can't be removed is kept
// by its decision, so that the rest still can be: a tag with a name that no registry
// accepts, a manifest of a pinned repository. Configs of images are read where created
// times matter. An error is a *RuleError or an *InputError, or tells that the store could
// not be read.
func SelectByPolicy(ctx context.Context, scan *graph.Scan, r Retention) (*Selection, error) {
	s := &selection{Retention: r, ctx: ctx, scan: scan, Selection: &Selection{Removal: newRemoval()}}
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
	if whole { // else created times are known of a part of the tags
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

// selection is the work of SelectByPolicy.
type selection struct {
	Retention
	*Selection
	ctx          context.Context
	scan         *graph.Scan
	repositories []*governed
	listed       map[string]*listed // by list
	pulled       map[string]*pulled // by the names of the logs
	found        *Untagged          // nil until somebody asks
}

// untagged finds the manifests that no tag leads to.
func (s *selection) untagged() *Untagged {
	if s.found == nil {
		s.found = FindUntagged(s.scan)
	}
	return s.found
}

// governed is a repository that a rule is for, with its tags in the order of names.
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

// readCreated reads when images were created, where rules go by that, or where it has
// to be known whether the tags were copied, those of the whole store or of a repository.
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

// judge decides on a repository's tags, and on its manifests that no tag leads to.
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
		rules.By = retain.Pushed // nobody has read when these were created
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
			v = retain.Verdict{Keep: true, Rules: []string{"something that stays references it"}, Date: v.Date, By: v.By}
		}
		s.Decisions = append(s.Decisions, decision(g.name, &manifests[i], &v))
		if !v.Keep {
			request(s.Removal.Manifests, g.name, manifests[i].Digest.String(), v.Why)
		}
	}
	return nil
}

// withoutRule judges manifests that no tag leads to where no rule is about them: those
// go of which it is certain what they are.
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

// decision is what a verdict comes to.
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

// keepRejected takes out of the removal what can't be removed, until nothing is left
// of that.
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
			return nil // the plan says what it can't do
		}
	}
	return nil
}
