package report

import (
	"strconv"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report/accept"
)

// Grounds returns a rule's reason, end, file and line.
func Grounds(r *accept.Rule) string {
	until := "no end"
	if r.Until != "" {
		until = "until " + r.Until
	}
	return words.Clean(strings.Join(strings.Fields(r.Reason), " ")) + " (" + until + "; " + words.Clean(r.Where()) + ")"
}

// Left returns the count of findings of a kind that aren't accepted.
func (c *Check) Left(id finding.Kind) finding.Count { return c.Accepted.Left(id, c.Result.Counts[id]) }

// acceptanceFields are the results of --accept.
type acceptanceFields struct {
	Findings int           `json:"findings"` // accepted findings
	Bytes    int64         `json:"bytes"`
	Tags     int           `json:"tags_broken"` // of the totals: broken only by accepted findings
	Entries  []entryFields `json:"entries"`
}

type entryFields struct {
	accept.Entry
	File     string `json:"file"`
	Line     int    `json:"line"`
	State    string `json:"state"`    // applies, expired, too-many-tags, not-looked-for, or unmatched
	Named    int    `json:"named"`    // findings that it is about
	Accepted int    `json:"accepted"` // findings that it accepts
}

func (c *Check) acceptance() *acceptanceFields {
	if c.Accepted == nil {
		return nil
	}
	sum := c.Accepted.Sum()
	a := &acceptanceFields{sum.Count, sum.Bytes, c.Accepted.TagsBroken, []entryFields{}}
	for r := range c.Accepted.Each() {
		a.Entries = append(a.Entries, entryFields{r.Entry, r.File, r.Line, string(c.StateOf(r)), r.Named, r.Accepted})
	}
	return a
}

// RuleState is the result of a rule in a check.
type RuleState string

const (
	ruleApplies   RuleState = "applies"
	ruleExpired   RuleState = "expired"
	ruleTooMany   RuleState = "too-many-tags"  // a finding blocks more tags than it allows
	ruleUnsought  RuleState = "not-looked-for" // there is no such finding, but not all were looked for
	ruleUnmatched RuleState = "unmatched"      // there is no such finding
)

// RuleStates are all states; those that need no attention are last.
var RuleStates = []RuleState{ruleExpired, ruleTooMany, ruleUnmatched, ruleUnsought, ruleApplies}

func (c *Check) StateOf(r *accept.Rule) RuleState {
	looked := lookedFields(c.Looked)
	switch {
	case r.Expired:
		return ruleExpired
	case r.TooMany > 0:
		return ruleTooMany
	case r.Named > 0:
		return ruleApplies
	case !c.Result.Complete || !looked.covers(nil, r.ID):
		return ruleUnsought
	}
	return ruleUnmatched
}

// Fate describes, in a clause, a rule that doesn't simply apply.
func (c *Check) Fate(r *accept.Rule) string {
	switch c.StateOf(r) {
	case ruleExpired:
		names := "matches nothing"
		if r.Named > 0 {
			names = "names " + words.Plural(r.Named, "finding", "findings")
		}
		return "expired: its last day was " + r.Until + "; it " + names
	case ruleTooMany:
		return words.Plural(r.TooMany, "finding breaks", "findings break") + " more tags than it allows (" + words.Number(r.Tags) + "); tags: " + strconv.Itoa(r.MaxTags) + " would accept that"
	case ruleUnmatched:
		return "matches nothing; remove it"
	case ruleUnsought:
		return "matches nothing, but this check did not look for all such things"
	}
	return ""
}
