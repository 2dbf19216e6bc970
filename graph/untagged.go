package graph

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
	for i := range j.problems {
		if problem := &j.problems[i]; problem.id == ManifestUntagged && !problem.young {
			r.Totals.UntaggedGoing++
		}
	}
	for id := range j.orphans() {
		if !j.youngBlob(id) {
			r.Totals.UntaggedBytes += j.sizes[id]
		}
	}
	r.Totals.UntaggedBytes -= r.Counts[BlobOrphan].Bytes
}
