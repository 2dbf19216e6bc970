package main

import (
	"time"

	"regfsck/graph"
	"regfsck/graph/retain"
	"regfsck/walker/layout"
)

// judgeUntagged notes the manifests that no tag leads to, nor anything that stays.
func (k *keeping) judgeUntagged(scan *graph.Scan, r *ruled, set retain.Setting, out *graph.Removal) error {
	var manifests []retain.Tag
	for _, t := range scan.Untagged(r.name) {
		manifests = append(manifests, retain.Tag{Digest: t.Digest, Doubt: t.Doubt, Pushed: retain.Nanoseconds(t.Pushed)})
	}
	verdicts := k.flagged(manifests, set.Now)
	if (r.rules.UntaggedWithin != retain.Duration{}) {
		rules := r.rules
		rules.By = retain.Pushed // nobody has read when these were created
		var err error
		if verdicts, err = retain.JudgeUntagged(manifests, rules, set); err != nil {
			return r.refused(err)
		}
	}
	if doubt := r.uncertain(); doubt != "" {
		for i := range verdicts {
			verdicts[i] = retain.Verdict{Keep: true, Rules: []string{doubt}, Date: verdicts[i].Date, By: verdicts[i].By}
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
			add(out.Manifests, r.name, manifests[i].Digest, v.Why)
		}
	}
	return nil
}

// uncertain tells why no manifest of the repository can be said to have no tag, ""
// where that can be said.
func (r *ruled) uncertain() string {
	for _, t := range r.names {
		if t.Digest == (layout.Digest{}) {
			return "it may be what the tag " + t.Name + " means: nobody can say"
		}
	}
	return ""
}

// flagged judges the manifests that no tag leads to by --untagged alone.
func (k *keeping) flagged(manifests []retain.Tag, now time.Time) []retain.Verdict {
	verdicts := make([]retain.Verdict, len(manifests))
	border := retain.Nanoseconds(now.Add(-k.grace))
	for i, m := range manifests {
		v := &verdicts[i]
		v.Date = m.Pushed
		switch {
		case m.Doubt != "":
			v.Rules = []string{"in doubt (" + m.Doubt + ")"}
		case m.Pushed > border:
			v.Rules = []string{"younger than --grace"}
		default:
			v.Why = "no tag leads to it (--untagged)"
		}
		v.Keep = v.Why == ""
	}
	return verdicts
}
