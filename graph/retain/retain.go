// Package retain decides which tags of a repository are kept: from tags, rules and the time,
// it computes a verdict for each tag. It reads and changes nothing.
//
// All rules keep, except Expiry. A tag is kept if any rule keeps it, so a further rule never
// removes more. It is removed only if there are rules about tags and none keeps it. Tags
// without a certain target or a usable date are kept.
//
// Two tags are always kept: latest, and the newest tag of the repository, except those that
// Rules.MayRemove names. If it names the newest tag, the newest of the others is kept, so
// that rules for some tags never empty a repository.
//
// Referrers tags, sha256-<hex>…, are kept exactly as long as their subject, which their
// verdict names for the caller. No rule applies to them, they take no slot, and none is the
// newest tag.
//
// Rules with slots go from the newest tag to the oldest. The slots of keep-last are digests:
// a digest's newest tag takes a slot, and its other tags are kept with it. The slots of
// keep-hourly to keep-yearly are calendar periods that have tags: the newest tag in a period
// takes its slot, and tags of the same digest in the period are kept with it. A digest can
// take several periods. As in restic, the oldest tag is kept if slots remain. Hours are real
// hours: the two that a clock change shows alike are different.
//
// Tags of the same date are treated alike: if one is kept for its date, all are, even beyond
// the number of slots. If the created times are equal, the pushed times decide, if all are
// known.
//
// The time is that of sorting the tags.
package retain

import (
	"strings"
	"time"

	"regfsck/walker/layout"
)

// Tag is a tag with its dates; see Nanoseconds.
type Tag struct {
	Name    string
	Digest  layout.Digest // its target; zero if unknown
	Doubt   string        // why the target is uncertain or couldn't be read; "" if it is certain
	Pushed  int64         // when the tag was set to Digest
	Created int64         // when the image was made, by its config
	Expires []string      // the image's expiry in Quay's notation ("2w"); nil for none
	Pulled  int64         // when it was last pulled; 0 if unknown
	Listed  string        // the list that names it as in use, and how; "" for none
}

// Options are further inputs of Judge.
type Options struct {
	Now   time.Time
	Zone  *time.Location // of the calendar; nil means UTC
	Store Spans          // of all tags of the policy, in all repositories
}

// Verdict is the decision on a tag.
type Verdict struct {
	Keep  bool
	Rules []string // all rules that keep it: "keep-last 3 (2nd)", "newest"
	Why   string   // why it is removed, or why it is kept without a rule

	// Signature reports whether the tag is a referrers tag: it is kept exactly as long as
	// Subject, a manifest of the same repository. Keep is true then.
	Signature bool
	Subject   layout.Digest

	Date int64  // the date used, in nanoseconds since 1970; 0 for none
	By   Time   // the kind of that date
	Note string // why it isn't the date that was asked for, or why there is none; else ""
}

// Judge returns the verdicts of all tags of a repository, in their order. The error means
// that the rules are invalid, or is ErrCopied.
func Judge(tags []Tag, rules Rules, o Options) ([]Verdict, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	o, err := o.forRepository(tags, rules.Expiry || rules.By == Pushed && rules.asksForDates())
	if err != nil {
		return nil, err
	}
	e := &evaluation{tags: tags, rules: rules, options: o, verdicts: make([]Verdict, len(tags))}
	e.date()
	if !rules.Active() {
		for i := range e.verdicts {
			if v := &e.verdicts[i]; !v.Signature {
				v.Why = "no rule is about tags"
			}
			e.verdicts[i].Keep = true
		}
		return e.verdicts, nil
	}
	atMost := len(rules.Tags) + 1
	for _, row := range table {
		if row.keep != nil && !row.Many() {
			atMost++
		}
	}
	e.missed = rows(len(tags), atMost)
	dated := e.order
	e.expire()
	for _, row := range table {
		if row.keep != nil {
			row.keep(e)
		}
	}
	e.order = dated
	e.protect()
	e.close()
	return e.verdicts, nil
}

// evaluation is the state of Judge for one repository.
type evaluation struct {
	tags     []Tag
	rules    Rules
	options  Options
	order    []dated // the tags that rules by date apply to, newest first
	verdicts []Verdict
	missed   [][]string     // by tag: the rules that didn't keep it
	expired  map[int]string // by tag: when it expired, and by which value
}

// rows returns n empty lists with capacity for room strings each.
func rows(n, room int) [][]string {
	all, lists := make([]string, n*room), make([][]string, n)
	for i := range lists {
		lists[i] = all[i*room : i*room : (i+1)*room]
	}
	return lists
}

// close sets the reason of tags that no rule keeps, and removes them.
func (e *evaluation) close() {
	for i := range e.verdicts {
		v := &e.verdicts[i]
		if v.Keep = v.Signature || len(v.Rules) > 0; !v.Keep {
			if v.Why = e.expired[i]; v.Why == "" {
				v.Why = "not kept by " + strings.Join(e.missed[i], "; ")
			}
		}
	}
}

// keep records that a rule keeps a tag.
func (e *evaluation) keep(tag int, rule string) {
	e.verdicts[tag].Rules = append(e.verdicts[tag].Rules, rule)
}

// miss records that a rule doesn't keep a tag.
func (e *evaluation) miss(tag int, rule string) {
	e.missed[tag] = append(e.missed[tag], rule)
}

// JudgeUntagged returns the verdicts of a repository's unreferenced manifests, in their
// order: no tag, index or subject keeps them. One is kept if it is in use or was pushed less
// than UntaggedWithin before now (not before the newest tag). A manifest is a Tag without a
// name. Its Pushed is the latest of the times of its revision link and its history entries:
// it may have lost its tag long after its push, but not before it was last tagged. What can't
// be judged is kept; all are kept if the rule isn't given. The errors are those of Judge.
func JudgeUntagged(manifests []Tag, rules Rules, o Options) ([]Verdict, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	given := rules.UntaggedWithin != Duration{}
	o, err := o.forRepository(manifests, given && rules.By == Pushed)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(manifests))
	border := Nanoseconds(rules.UntaggedWithin.Before(o.Now.In(o.Zone)))
	rule := "keep-untagged-within " + rules.UntaggedWithin.String()
	for i := range manifests {
		m, v := &manifests[i], &verdicts[i]
		d, kept := o.dateOf(m, rules.By, v)
		switch {
		case !given:
			v.Why = "no rule is about manifests without a tag"
		case kept != "":
			v.Rules = []string{kept}
		case rules.InUse(m, o) != "":
			v.Rules = []string{rules.InUse(m, o)}
		case d.date > border:
			v.Rules = []string{rule}
		default:
			v.Why = "not kept by " + rule
		}
		v.Keep = !given || len(v.Rules) > 0
	}
	return verdicts, nil
}
