package main

import (
	"regfsck/graph"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

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
