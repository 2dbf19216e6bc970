package graph

import "regfsck/graph/finding"

// weighUntagged sums up what a fix with Policy.Untagged would take and free besides
// what it does anyway. It is a second judgement, made only where there are manifests
// without a tag and nobody has asked about them.
func (c *Scan) weighUntagged(r *Result) {
	p := c.Policy
	if r.Totals.Untagged == 0 || p.Untagged || p.Removal != nil || p.Usage {
		return
	}
	p.Untagged = true
	as := c.policyOf(p)
	as.lost = c.lost
	j := c.g.judge(as)
	counts := j.counts()
	r.Totals.UntaggedGoing = counts[finding.ManifestUntagged].Count
	r.Totals.UntaggedBytes = reclaimable(&counts) - r.Totals.ReclaimableBytes
}
