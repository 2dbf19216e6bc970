// Package retain decides which tags of a repository are kept: tags, rules and the
// present moment go in, a verdict for each tag comes out. It reads and changes
// nothing.
//
// Rules only ever keep, but for the one that honours what images say of their own end.
// A tag is kept if any rule keeps it, so that one more rule never removes more, and goes
// only if there are rules about tags and none of them keeps it. Whatever can't be judged is kept: a tag whose target isn't
// certain, a tag without a believable date.
//
// Two tags are kept without being asked for: latest, and the newest tag of the
// repository; Rules.MayRemove gives that up by name. Where the newest tag is
// named there, the newest of the others is kept in its place, so that what was
// said of some tags never empties a repository of the rest.
//
// Tags sha256-<hex>… are signatures and the like. They are kept exactly as long as
// the manifest they are about, which is the caller's to follow: their verdict
// names it. No rule is about them, they take no slot, and none is the newest tag.
//
// The rules with a number of slots go through the tags from the newest to the
// oldest. The slots of keep-last are digests: a digest takes a slot with its
// newest tag, and its other tags are kept with it. Those of keep-hourly to
// keep-yearly are periods of the calendar which have a tag at all: each is taken
// by the newest tag in it, whose digest's other tags of the same period stay with
// it. A digest's tags have dates of their own, so it can stand for several
// periods. As in restic, where slots are left at the end the oldest tag is kept too.
// Hours are real ones: the two that a clock put back shows alike are two.
//
// Tags of the same date are one: where one of them stays for its date, all do,
// though that is more than there are slots. Where it is the created time that is
// the same, the pushed times tell which is the newer one, if all of them are
// known.
//
// A judgement takes time as sorting the tags does.
package retain

import (
	"strings"
	"time"

	"regfsck/walker/layout"
)

// Tag is what is known of a tag. For the dates see Nanoseconds.
type Tag struct {
	Name    string
	Digest  layout.Digest // what it names; the zero Digest if that isn't known
	Doubt   string        // why what it names isn't certain, or couldn't be read; "" if it is and could
	Pushed  int64         // when the tag was set to Digest
	Created int64         // when the image was made, as its config says
	Expires []string      // what its image says of how long it is to stay, in Quay's notation ("2w"); nil for nothing
	Pulled  int64         // when it was last pulled; 0 if that isn't known
	Listed  string        // the list that names it as an image in use, and how; "" for none
}

// Options is what a judgement needs to know besides tags and rules.
type Options struct {
	Now   time.Time
	Zone  *time.Location // of the calendar; nil means UTC
	Store Spans          // of all tags that the policy is about, in whichever repository
}

// Verdict is what is to become of a tag.
type Verdict struct {
	Keep  bool
	Rules []string // the rules that keep it, all of them: "keep-last 3 (2nd)", "newest"
	Why   string   // it is removed: the reason. It stays for want of a rule about it: that

	// Signature tells that no rule is about the tag: it is kept exactly as long as
	// Subject, a manifest of the same repository, does. Keep is true as long as
	// nothing else is known of that.
	Signature bool
	Subject   layout.Digest

	Date int64  // the date it was judged by, in nanoseconds since 1970; 0 if there is none to believe
	By   Time   // which one that is
	Note string // why that isn't the one that was asked for, or why there is none; else ""
}

// Judge returns a verdict for each tag of a repository, in their order, whatever
// it is. The error tells that the rules are wrong, or, as ErrCopied, that the
// dates they ask for are.
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

// evaluation is the work on one repository.
type evaluation struct {
	tags     []Tag
	rules    Rules
	options  Options
	order    []dated // what the rules by date are about, the newest first
	verdicts []Verdict
	missed   [][]string     // by tag: what didn't keep it
	expired  map[int]string // by tag: when, and what says so
}

// rows returns n empty lists with room for some strings each.
func rows(n, room int) [][]string {
	all, lists := make([]string, n*room), make([][]string, n)
	for i := range lists {
		lists[i] = all[i*room : i*room : (i+1)*room]
	}
	return lists
}

// close gives what no rule keeps its reason, and lets it go.
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

// keep writes down that a rule keeps a tag.
func (e *evaluation) keep(tag int, rule string) {
	e.verdicts[tag].Rules = append(e.verdicts[tag].Rules, rule)
}

// miss writes down that a rule doesn't.
func (e *evaluation) miss(tag int, rule string) {
	e.missed[tag] = append(e.missed[tag], rule)
}

// JudgeUntagged returns a verdict for each manifest of a repository that
// nothing keeps, neither a tag nor an index nor a subject, in their order. One
// stays if it is in use, or was pushed less than UntaggedWithin before now; not before
// the newest tag, since nobody asks for these by name. A manifest is a Tag without a name. Its
// Pushed is the newest of its revision link's time and of the times of all entries
// for it in the histories of tags: it may have lost its tag long after it was
// pushed, but not before it was last tagged. What can't be judged is kept, and all
// stay if the rule isn't given. The errors are those of Judge.
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
		d, stays := o.dateOf(m, rules.By, v)
		switch {
		case !given:
			v.Why = "no rule is about manifests without a tag"
		case stays != "":
			v.Rules = []string{stays}
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
